"""Speed measurements: medians over rounds that alternate what is compared."""
