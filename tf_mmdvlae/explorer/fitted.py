"""What was fitted to the codes of an export: its directions and the mixture that it draws from.

Both lie in `assets.extra/`. Older exports hold them as constants of their graph alone, and what is
found there is tried: it must do what the export's own signature does.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.latents import Latents
from tf_mmdvlae.model.samplers import Mixture, Samplers, prior
from tf_mmdvlae.serving.export import DIRECTIONS_FILE, SAMPLERS_FILE
from tf_mmdvlae.serving.loaded import Served
from tf_mmdvlae.serving.signatures import mixture_draws

# Pictures that differ by less than this were made by the same codes.
_TOLERANCE = 1e-4
_SEEDS = 3
Fitted = TypeVar("Fitted", Directions, Samplers)


def find_vectors(served: Served) -> Latents | None:
    """The vectors of an export's K attributes, a latent dict [K, d_l] in the order of the names.

    Returns:
      None for an export without attributes, or an older one whose graph has no such vectors.

    Raises:
      InputError: for a file in `assets.extra/` that can't be read or is of another export.
    """
    if not served.attributes:
        return None
    directions = _read(Directions, served, DIRECTIONS_FILE)
    if directions is not None:
        return latents.concatenate(directions.of(name) for name in served.attributes)
    shapes = [[len(served.attributes), dims] for dims in served.latent_dims]
    # The graph has one look-up per layer, lowest first; TensorFlow numbers them.
    names = ["GatherV2/params", *(f"GatherV2_{i}/params" for i in range(1, len(shapes)))]
    for constants in _constants(served.path):
        arrays = [constants[name] for name in names if name in constants]
        if [list(array.shape) for array in arrays] != shapes:
            continue
        vectors = {f"z_{layer}": array for layer, array in enumerate(arrays, start=1)}
        if _edits_alike(served, vectors):
            return vectors
    return None


def find_mixture(served: Served) -> Mixture:
    """Where the random codes of an export come from: its mixture, or the prior if it has none.

    Raises:
      InputError: as `find_vectors`.
    """
    samplers = _read(Samplers, served, SAMPLERS_FILE)
    if samplers is not None:
        return samplers.joint
    total = sum(served.latent_dims)
    for constants in _constants(served.path) if "sample_fitted" in served.signatures else ():
        arrays = {array.shape: array for array in constants.values() if array.dtype == np.float32}
        for factors in [array for shape, array in arrays.items() if shape[1:] == (total, total)]:
            count = len(factors)
            means, bounds = arrays.get((count, total)), arrays.get((count - 1,))
            if means is None or bounds is None:
                continue
            weights = np.diff(bounds.astype(np.float64), prepend=0.0, append=1.0)
            mixture = Mixture(served.latent_dims, weights, means, factors)
            if _draws_alike(served, mixture):
                return mixture
    return prior(served.latent_dims)


def _read(kind: type[Fitted], served: Served, name: str) -> Fitted | None:
    path = served.path / "assets.extra" / name
    if not path.exists():
        return None
    fitted = kind.load(path)
    if fitted.latent_dims != served.latent_dims:
        raise InputError(
            f"{path} is of layers of {fitted.latent_dims} dimensions; the export has "
            f"{served.latent_dims}."
        )
    return fitted


def _constants(path: pathlib.Path) -> Iterator[dict[str, np.ndarray]]:
    """The constants of each function of a SavedModel by name."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((path / "saved_model.pb").read_bytes())
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        yield {
            node.name: tf.make_ndarray(node.attr["value"].tensor)
            for node in function.node_def
            if node.op == "Const"
        }


def _edits_alike(served, vectors):
    picture = np.full((1, *served.image_shape), 0.5, np.float32)
    last = len(served.attributes) - 1
    codes, _ = served.encode(picture)
    moved = served.decode(latents.edit(codes, latents.take(vectors, [last])))
    edited = served.edit(picture, served.attributes[last])
    return bool(np.abs(moved - edited).max() < _TOLERANCE)


def _draws_alike(served, mixture):
    seeds = np.arange(_SEEDS)
    codes = mixture_draws(mixture, tf.constant(seeds, tf.int64), tf.ones(_SEEDS))
    pictures = served.decode(latents.split(codes.numpy(), served.latent_dims))
    return bool(np.abs(pictures - served.sample(seeds, fitted=True)).max() < _TOLERANCE)
