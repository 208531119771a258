"""The operations of a ladder's blocks in one row, for networks that are no ladders."""

from tf_mmdvlae.config.settings import parse_operation


def trunk(settings):
    """All operations of a `ModelConfig`'s blocks, lowest first.

    Returns:
      A list of (kind, stride, below, above): "conv" or "dense", and the shapes (no batch) of the
      features before and after it.
    """
    return [
        (*parse_operation(text)[::2], below, above)
        for block, path in zip(settings.blocks, settings.feature_shapes(), strict=True)
        for text, below, above in zip(block, path[:-1], path[1:], strict=True)
    ]
