"""Requests that TensorFlow Serving runs while it loads a model, so that no user waits for that."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.serving.signatures import Signature

# A middle grey: any image compiles the graph as well as another.
_GREY = 0.5


def example_requests(
    table: Mapping[str, Signature], directions: Directions | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Makes one valid request of one row per signature: signature -> {input name: array}."""
    image_shape = table["encode"].inputs[0].shape[1:]
    return {
        name: {spec.name: _example(spec, image_shape, directions) for spec in signature.inputs}
        for name, signature in table.items()
    }


def write_warmup(
    path: pathlib.Path | str, requests: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """Writes requests as the TFRecord file of `PredictionLog`s that TensorFlow Serving looks for.

    It looks for `path` = "<version>/assets.extra/tf_serving_warmup_requests".
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest(
                # Serving replaces this name by the one under which it loads the model.
                model_spec=model_pb2.ModelSpec(name="default", signature_name=signature),
                inputs={name: tf.make_tensor_proto(value) for name, value in inputs.items()},
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _example(spec, image_shape, directions):
    if spec.name == "attribute":
        return np.array([directions.names[0].encode()], object)
    if spec.dtype == tf.string:
        grey = np.full(image_shape, round(255 * _GREY), np.uint8)
        return np.array([tf.io.encode_png(grey).numpy()], object)
    return np.full([1, *spec.shape[1:]], _GREY).astype(spec.dtype.as_numpy_dtype)
