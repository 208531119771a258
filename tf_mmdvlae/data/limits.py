"""The limit of pictures from outside, for readers of all kinds."""

MAX_MEGAPIXELS = 50.0
"""Pictures of more megapixels than this are refused, unless an export says otherwise."""
