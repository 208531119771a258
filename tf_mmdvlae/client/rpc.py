"""TensorFlow Serving's gRPC interface. It needs tensorflow-serving-api, and so TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_mmdvlae.client.signature import Model, Signature, missing, unreachable
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.serving.functions import refusal

try:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        model_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ImportError as error:
    raise InputError(
        "gRPC needs `pip install tensorflow-serving-api`; REST, http://host:8501, does not."
    ) from error

# A few colour images of 128x128 are more than the 4 MB that gRPC takes otherwise.
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Rpc:
    """Calls of one model. `name` is what messages call it."""

    def __init__(
        self, address: str, model: Model, timeout: float, headers: Mapping[str, str]
    ) -> None:
        scheme, _, target = address.partition("://")
        self.name = f"{model} at {address}"
        self._spec = model_pb2.ModelSpec(name=model.name)
        if model.version is not None:
            self._spec.version.value = model.version
        if model.label is not None:
            self._spec.version_label = model.label
        if scheme == "grpcs":
            credentials = grpc.ssl_channel_credentials()
            channel = grpc.secure_channel(target.rstrip("/"), credentials, options=_OPTIONS)
        else:
            channel = grpc.insecure_channel(target.rstrip("/"), options=_OPTIONS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._timeout = timeout
        self._metadata = [(name.lower(), value) for name, value in headers.items()]

    def signatures(self) -> dict[str, Signature]:
        """Asks for the model's signatures."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = self._answer(self._stub.GetModelMetadata, request)
        table = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(table)
        return {
            name: Signature(
                {key: _shape(tensor) for key, tensor in each.inputs.items()},
                {key: tensor.dtype == tf.string for key, tensor in each.outputs.items()},
            )
            for name, each in table.signature_def.items()
            # TensorFlow's own, which has no inputs.
            if not name.startswith("__")
        }

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature: input -> array [n, ...] to output -> array [n, ...]."""
        request = predict_pb2.PredictRequest(
            model_spec=self._spec,
            inputs={name: tf.make_tensor_proto(values) for name, values in inputs.items()},
        )
        request.model_spec.signature_name = signature
        outputs = self._answer(self._stub.Predict, request).outputs
        return {name: tf.make_ndarray(tensor) for name, tensor in outputs.items()}

    def _answer(self, method, request):
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            reason = error.details()
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                raise refusal(reason) from error
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise missing(self.name, reason) from error
            raise unreachable(self.name, reason) from error


def _shape(tensor):
    return tuple(edge.size for edge in tensor.tensor_shape.dim)
