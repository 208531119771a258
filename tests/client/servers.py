"""Servers that follow TensorFlow Serving's published rules and run loaded exports.

REST: https://www.tensorflow.org/tfx/serving/api_rest; paths and status codes are those of
tensorflow_serving/model_servers/http_rest_api_util.cc and http_status_util.cc. gRPC: the services
of tensorflow-serving-api.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

# Of the flags in tensorflow_serving/model_servers/main.cc of TensorFlow Serving, those that a
# server of exports may need.
FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "grpc_max_threads",
    "max_num_load_retries",
    "model_base_path",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "model_name",
    "monitoring_config_file",
    "num_load_threads",
    "per_process_gpu_memory_fraction",
    "port",
    "rest_api_num_threads",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "tensorflow_inter_op_parallelism",
    "tensorflow_intra_op_parallelism",
}

CHOICE = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"


class NotFound(Exception):
    """The server has no such model, version or label."""


class Models:
    """Loaded exports by name and version, with labels.

    `seen` has the headers of each request, `asked` its version, and `batches` the number of rows of
    each prediction.
    """

    def __init__(self, models, labels):
        self.models, self.labels = models, labels
        self.seen, self.asked, self.batches = [], [], []

    def chosen(self, name, version=None, label=None):
        versions = self.models.get(name, {})
        if label is not None:
            version = self.labels.get(name, {}).get(label)
        number = max(versions, default=None) if version is None and label is None else version
        if number not in versions:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise NotFound(f"Servable not found for request: {asked}")
        self.asked.append(number)
        return versions[number]


def definitions(served):
    """The signatures as the server describes them: the SavedModel's own message."""
    content = (served.path / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    table = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in graph.signature_def.items():
        table.signature_def[name].CopyFrom(definition)
    return table


def run(models, served, signature, inputs):
    """Inputs and outputs are arrays; a KeyError or what TensorFlow raises is the client's fault."""
    models.batches.append(len(next(iter(inputs.values()))))
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    outputs = served.signatures[signature](**tensors)
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def predicted(models, served, body):
    body = json.loads(body)
    signature = body.get("signature_name", "serving_default")
    if signature not in served.signatures:
        raise ValueError(f'Serving signature name: "{signature}" not found in signature def')
    specification = served.signatures[signature].structured_input_signature[1]
    if ("instances" in body) == ("inputs" in body):
        raise ValueError("Give either 'instances' or 'inputs'.")
    if "inputs" in body:
        given = body["inputs"]
        given = given if isinstance(given, dict) else dict.fromkeys(specification, given)
    else:
        rows = body["instances"]
        if len(specification) == 1 and not (isinstance(rows[0], dict) and "b64" not in rows[0]):
            rows = [dict.fromkeys(specification, row) for row in rows]
        given = {name: [row[name] for row in rows] for name in rows[0]}
    if set(given) != set(specification):
        raise ValueError(f"JSON object: has inputs {sorted(given)}, not {sorted(specification)}")
    inputs = {name: decoded(given[name], specification[name].dtype) for name in given}
    outputs = run(models, served, signature, inputs)
    values = {name: encoded(name, array) for name, array in outputs.items()}
    if "instances" in body:
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        return {"predictions": rows if len(values) > 1 else next(iter(values.values()))}
    return {"outputs": values if len(values) > 1 else next(iter(values.values()))}


def decoded(values, dtype):
    """JSON -> an array, with the server's refusals of other kinds of value."""
    kinds = {tf.float32: (int, float), tf.int64: (int,), tf.string: (str, dict)}[dtype]

    def leaves(value):
        if isinstance(value, list):
            return [leaves(each) for each in value]
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValueError(f"JSON Value: {value} is not of expected type: {dtype.name}")
        if dtype == tf.string:
            return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()
        return value

    return np.array(leaves(values), object if dtype == tf.string else dtype.as_numpy_dtype)


def encoded(name, array):
    if array.dtype != object:
        # The shortest decimals that give the same float32; NaN is written as NaN.
        return np.reshape([float(str(value)) for value in array.flat], array.shape).tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in array]
    return [value.decode() for value in array]


def answered(models, method, path, headers, body):
    """(status, JSON) of a request."""
    models.seen.append(dict(headers))
    try:
        if method == "POST" and (match := re.fullmatch(CHOICE + ":predict", path)):
            name, version, label = match.groups()
            served = models.chosen(name, version and int(version), label)
            return 200, predicted(models, served, body)
        if method == "GET" and (match := re.fullmatch(CHOICE + "/metadata", path)):
            name, version, label = match.groups()
            served = models.chosen(name, version and int(version), label)
            table = json_format.MessageToDict(
                definitions(served),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            spec = {"name": name, "signature_name": "", "version": served.path.name}
            return 200, {"model_spec": spec, "metadata": {"signature_def": table}}
        return 400, {"error": f"Malformed request: {method} {path}"}
    except NotFound as error:
        return 404, {"error": str(error)}
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        return 400, {"error": str(getattr(error, "message", error))}


@contextlib.contextmanager
def rest(answer):
    """The address of a server whose `answer(method, path, headers, body)` gives (status, JSON)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = answer(self.command, self.path, self.headers, body)
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def rpc(models):
    """The address of a gRPC server."""

    def chosen(spec, context):
        models.seen.append(dict(context.invocation_metadata()))
        version = spec.version.value if spec.HasField("version") else None
        try:
            return models.chosen(spec.name, version, spec.version_label or None)
        except NotFound as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            served = chosen(request.model_spec, context)
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            try:
                outputs = run(models, served, request.model_spec.signature_name, inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            protos = {name: tf.make_tensor_proto(values) for name, values in outputs.items()}
            return predict_pb2.PredictResponse(outputs=protos)

        def GetModelMetadata(self, request, context):  # noqa: N802
            assert list(request.metadata_field) == ["signature_def"]
            answer = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=request.model_spec)
            table = definitions(chosen(request.model_spec, context))
            answer.metadata["signature_def"].Pack(table)
            return answer

    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None)
