"""The memory that a network takes at least, from its settings alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.products import least_weights

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import Config

_FLOAT, _DOUBLE = 4, 8
# A weight, its gradient and two moments.
_COPIES = 4


def least_memory(config: Config) -> int:
    """Bytes that training and the fits after it take at least.

    Counted are the weights with their gradients and moments, the features of a batch on both
    ladders, the frequencies of random features, and the covariance of all codes.
    """
    model, batch = config.model, config.train.batch_size
    features = 2 * sum(math.prod(shape) for path in model.feature_shapes() for shape in path[1:])
    total = sum(model.latent_dims)
    waves = model.frequencies if model.estimator == "random_features" else 0
    floats = _COPIES * least_weights(model) + batch * (features + waves) + total * waves
    return _FLOAT * floats + 2 * _DOUBLE * total**2


def require_memory(config: Config, available: int) -> None:
    """Refuses a network that can't fit into so many bytes."""
    smaller = "--image_size, --latent_dims or --batch_size, or narrower blocks"
    require_bytes(least_memory(config), available, config.train.batch_size, smaller)


def require_bytes(needed: int, available: int, batch_size: int, smaller: str) -> None:
    """Refuses a network that takes more bytes than there are; `smaller` says what may be so."""
    if needed > available:
        raise InputError(
            f"This network and a batch of {batch_size} take {needed / 1e9:,.1f} GB of memory at "
            f"least, and {available / 1e9:,.1f} GB are free. Give a smaller {smaller}."
        )
