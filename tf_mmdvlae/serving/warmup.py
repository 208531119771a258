"""Requests that TensorFlow Serving runs while it loads a model, so that no user waits for that."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

# A middle grey: any picture compiles the graph as well as another.
_GREY = 0.5


def example_requests(made, directions=None):
    """One valid request a signature, of one row each.

    Args:
      made: what `signatures.signatures` gives.
      directions: the same `Directions` that it was given.

    Returns:
      signature -> {input name: NumPy array}.
    """
    return {
        name: {
            spec.name: _example(spec, made, directions)
            for spec in (
                specification.values() if isinstance(specification, dict) else [specification]
            )
        }
        for name, (_, specification) in made.items()
    }


def write_warmup(path, requests):
    """Writes requests as the TFRecord file of `PredictionLog`s that TensorFlow Serving looks for.

    Args:
      path: the file, "<version>/assets.extra/tf_serving_warmup_requests".
      requests: signature -> {input name: array}.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest(
                # Serving puts the name under which it loads the model in place of this one.
                model_spec=model_pb2.ModelSpec(name="default", signature_name=signature),
                inputs={name: tf.make_tensor_proto(value) for name, value in inputs.items()},
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _example(spec, made, directions):
    shape = [1, *spec.shape[1:]]
    if spec.name == "attribute":
        return np.array([directions.names[0].encode()], object)
    if spec.dtype == tf.string:
        image_shape = made["encode"][1].shape[1:]
        grey = np.full(image_shape, round(255 * _GREY), np.uint8)
        return np.array([tf.io.encode_png(grey).numpy()], object)
    return np.full(shape, _GREY).astype(spec.dtype.as_numpy_dtype)
