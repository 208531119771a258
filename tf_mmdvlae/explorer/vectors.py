"""The directions of an export, read from the graph of its signature `edit`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents
from tf_mmdvlae.serving.loaded import Served

# An edited picture differs from the same edit of the codes by rounding alone.
_TOLERANCE = 1e-4


def find_vectors(served: Served) -> Latents | None:
    """The vectors of an export's K attributes, a latent dict [K, d_l] in the order of the names.

    The signature `edit` holds them as constants, in every export so far. What is found is tried:
    the codes moved along it must give the picture that `edit` gives.

    Returns:
      None for an export without attributes, or whose graph has no vectors that pass that test.
    """
    if not served.attributes:
        return None
    shapes = [[len(served.attributes), dims] for dims in served.latent_dims]
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((served.path / "saved_model.pb").read_bytes())
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        constants = {
            node.name: node.attr["value"].tensor
            for node in function.node_def
            if node.op == "Const" and node.name.endswith("/params")
        }
        # The graph has one look-up per layer, lowest first; TensorFlow numbers them.
        names = ["GatherV2/params", *(f"GatherV2_{i}/params" for i in range(1, len(shapes)))]
        if not constants.keys() >= set(names):
            continue
        arrays = [tf.make_ndarray(constants[name]) for name in names]
        if [list(array.shape) for array in arrays] != shapes:
            continue
        vectors = {f"z_{layer}": array for layer, array in enumerate(arrays, start=1)}
        if _edits_alike(served, vectors):
            return vectors
    return None


def _edits_alike(served, vectors):
    picture = np.full((1, *served.image_shape), 0.5, np.float32)
    last = len(served.attributes) - 1
    codes, _ = served.encode(picture)
    moved = served.decode(latents.edit(codes, latents.take(vectors, [last])))
    edited = served.edit(picture, served.attributes[last])
    return bool(np.abs(moved - edited).max() < _TOLERANCE)
