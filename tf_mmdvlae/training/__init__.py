"""A run: from a config to checkpoints, metrics, figures and an export."""
