"""The encoder and the decoder of an export as ONNX, for runtimes that are not TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tf_mmdvlae.model import latents
from tf_mmdvlae.serving.formats import compare, onnx_model
from tf_mmdvlae.serving.loaded import Served

# So many codes of images compare each network with the SavedModel.
_COMPARED = 4


def encoder(served: Served) -> bytes:
    """The encoder as ONNX: `image` float32 [n, H, W, C] in [0, 1] -> `code` float32 [n, D].

    A code has all layers side by side, lowest first. The network computes what the signature
    `encode` does for valid images; it checks nothing.

    Raises:
      InputError: if ONNX can't hold it, or computes something else.
    """
    means = [f"z_{layer}" for layer in range(1, len(served.latent_dims) + 1)]
    parts = _network(served, "encode", means)

    def encode(inputs):
        return {"code": tf.concat(parts(inputs), axis=1)}

    generator = np.random.default_rng(0)
    images = generator.random((_COMPARED, *served.image_shape), np.float32)
    expected = latents.join(served.encode(images)[0])
    specification = tf.TensorSpec([None, *served.image_shape], tf.float32, name="image")
    return _converted(encode, specification, images, {"code": expected})


def decoder(served: Served) -> bytes:
    """The decoder as ONNX: `code` float32 [n, D] -> `image` float32 [n, H, W, C], as `encoder`."""
    parts = _network(served, "decode", ["image"])
    names = [f"z_{layer}" for layer in range(1, len(served.latent_dims) + 1)]

    def decode(inputs):
        layers = tf.split(inputs["code"], served.latent_dims, axis=1)
        return {"image": parts(dict(zip(names, layers, strict=True)))[0]}

    codes = latents.sample_prior(served.latent_dims, _COMPARED, seed=0)
    total = sum(served.latent_dims)
    specification = tf.TensorSpec([None, total], tf.float32, name="code")
    return _converted(decode, specification, latents.join(codes), {"image": served.decode(codes)})


def _converted(function, specification, example, expected):
    content, outputs = onnx_model(function, [specification], {specification.name: example})
    compare("onnx", function.__name__, outputs, expected)
    return content


def _network(
    served: Served, signature: str, outputs: list[str]
) -> Callable[[dict[str, tf.Tensor]], list[tf.Tensor]]:
    """A signature without the checks of its inputs and outputs, which ONNX can't hold.

    What is wrong would leave a branch of an `If` at the end; what is right passes through it.
    """
    function = served.signatures[signature]
    order = sorted(function.structured_outputs)
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    # Outputs of a function are in the order of their names.
    tensors = [_passed(graph, frozen.outputs[order.index(name)].name) for name in outputs]
    for node in graph.node:
        data = [name for name in node.input if not name.startswith("^")]
        node.ClearField("input")
        node.input.extend(data)

    def run(inputs):
        places = {f"{name}:0": value for name, value in inputs.items()}
        return tf.graph_util.import_graph_def(graph, places, tensors)

    return run


def _passed(graph, tensor):
    """What reaches a tensor unchanged where nothing is wrong."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    while True:
        name, _, index = tensor.partition(":")
        node = nodes[name]
        if node.op == "Identity":
            tensor = node.input[0]
        elif node.op in ("If", "StatelessIf"):
            branch = functions[node.attr["else_branch"].func.name]
            tensor = node.input[1 + _argument(branch, int(index or 0))]
        else:
            return f"{name}:{index or 0}"


def _argument(function, output):
    """Which argument of a function is its output of this number."""
    arguments = [argument.name for argument in function.signature.input_arg]
    nodes = {node.name: node for node in function.node_def}
    place = function.ret[function.signature.output_arg[output].name].partition(":")[0]
    while place not in arguments:
        place = nodes[place].input[0].partition(":")[0]
    return arguments.index(place)
