"""One file per data set; its head gives the command, the hardware and the results."""
