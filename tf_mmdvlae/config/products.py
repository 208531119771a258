"""The convolutions and matrix products of a network, from its settings alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tf_mmdvlae.config.settings import parse_operation

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import ModelConfig

# A convolution is 4x4.
_KERNEL = 16
# The gradients of features and of weights take as much as the way forward.
_PASSES = 3


def least_weights(model: ModelConfig) -> int:
    """The number of weights of a network, without biases and normalization."""
    return sum(weights for weights, _ in _products(model))


def operations(model: ModelConfig) -> int:
    """The floating-point operations that one image takes in a training step.

    Counted are the multiply-adds of `least_weights`, each as two, on the way forward and for both
    gradients; neither element-wise operations nor the MMD.
    """
    return 2 * _PASSES * sum(weights * places for weights, places in _products(model))


def _products(model: ModelConfig) -> Iterator[tuple[int, int]]:
    """Yields (weights, the places of an image where they are used) of each product."""
    shapes = model.feature_shapes()
    untapped = len(model.blocks) - len(model.latent_dims)
    for index, (block, path) in enumerate(zip(model.blocks, shapes, strict=True)):
        # Each block has a mirror. A trunk that is not shared has a copy of the tapped ones, but no
        # highest block.
        is_copied = not model.shared_trunk and untapped <= index < len(model.blocks) - 1
        for text, before, after in zip(block, path[:-1], path[1:], strict=True):
            kind, units, _ = parse_operation(text)
            is_dense = kind == "dense"
            weights = math.prod(before) * units if is_dense else _KERNEL * before[-1] * units
            yield (2 + is_copied) * weights, 1 if is_dense else math.prod(after[:-1])
    width = model.head_width
    for path, dim in zip(shapes[untapped:], model.latent_dims, strict=True):
        top = math.prod(path[-1])
        # Mean and deviation on the way in, one on the way out.
        yield 2 * top * width + 3 * width * dim if width else 3 * top * dim, 1
