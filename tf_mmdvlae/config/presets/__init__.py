"""One file per data set, each with its presets."""
