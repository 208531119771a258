"""A step's convolutions and matrix products: their number, and their time without the rest."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable

import tensorflow as tf

SIDE = 1024
"""Rows and columns of the ceiling's square matrices."""

IMAGES, PLACES, CHANNELS, FILTER = 16, 56, 64, 3
"""The ceiling's convolution: 16 images of 56x56 places and 64 channels, 64 filters of 3x3. On a
processor it is as fast as larger ones, or faster."""

_FILTERS = {"Conv2D": 1, "Conv2DBackpropInput": 1, "Conv2DBackpropFilter": 3}
"""The place of the filters among a convolution's inputs and its output."""

_TRANSPOSED = {"MatMul": "transpose_a", "BatchMatMulV2": "adj_x", "BatchMatMulV3": "adj_x"}
"""The attribute of a matrix product that turns its first matrix."""


@dataclasses.dataclass(frozen=True)
class Product:
    """A convolution, a gradient of one, or a matrix product, as it stands in a graph.

    Attributes:
      kind: the operation's type in TensorFlow, such as "Conv2DBackpropFilter".
      dtype: a name such as "bfloat16".
      operands: the name of each input -> its shape; None for the input that holds the result's.
      result: the shape of the output.
      attributes: everything else that decides the output, such as strides and padding.
      operations: 2 x multiply-adds.
    """

    kind: str
    dtype: str
    operands: dict[str, tuple[int, ...] | None]
    result: tuple[int, ...]
    attributes: dict
    operations: int

    def __call__(self, *tensors):
        """The operation applied to tensors of the operands' shapes."""
        tensors = iter(tensors)
        inputs = {
            name: self.result if shape is None else next(tensors)
            for name, shape in self.operands.items()
        }
        return getattr(tf.raw_ops, self.kind)(**inputs, **self.attributes)


def products(concrete) -> list[Product]:
    """The convolutions and matrix products of a ConcreteFunction and of the functions it calls.

    A multiply-add counts as two operations, and padding counts as if it were multiplied. A loop's
    body counts once. Operations that no output depends on (the gradient of an image, say) do not
    count, nor do element-wise operations, sums and normalization.

    Raises:
      ValueError: if a shape is not known, perhaps since the batch may have any size.
    """
    result, graphs = [], [concrete.graph]
    while graphs:
        graph = graphs.pop()
        for operation in _needed(graph):
            if operation.type in _FILTERS or operation.type in _TRANSPOSED:
                result.append(_product(operation))
            graphs += [graph._get_function(name).graph for name in _callees(operation)]
    return result


def count(concrete) -> int:
    """2 x multiply-adds of all `products` of a compiled function."""
    return sum(product.operations for product in products(concrete))


def _needed(graph):
    """The operations that an output depends on; the others never run."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    operations = {}
    while waiting:
        operation = waiting.pop()
        if operation not in operations:
            operations[operation] = None
            waiting += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    return operations


def _callees(operation):
    # A call's other functions are definitions of gradients, which the call does not run.
    for name in ("f", "then_branch", "else_branch", "body"):
        if name in operation.node_def.attr and operation.node_def.attr[name].HasField("func"):
            yield operation.node_def.attr[name].func.name


def _product(operation):
    kind, node, output = operation.type, operation.node_def, operation.outputs[0]
    operands = {}
    for argument, tensor in zip(operation.op_def.input_arg, operation.inputs, strict=True):
        is_size = tensor.dtype == tf.int32
        operands[argument.name] = None if is_size else _shape(tensor)
        if is_size:
            output.set_shape(tf.get_static_value(tensor))
    result = _shape(output)
    names = inspect.signature(getattr(tf.raw_ops, kind)).parameters
    attributes = {name: operation.get_attr(name) for name in names if name in node.attr}
    shapes = [*operands.values(), result]
    if kind in _FILTERS:
        # In all three kinds each place of the smaller image meets a whole filter once.
        multiplied = math.prod(shapes[2][:3]) * math.prod(shapes[_FILTERS[kind]])
    else:
        multiplied = math.prod(result) * shapes[0][-2 if attributes[_TRANSPOSED[kind]] else -1]
    return Product(kind, output.dtype.name, operands, result, attributes, 2 * multiplied)


def _shape(tensor):
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"The shape of {tensor.name} is not known: {tensor.shape}.")
    return tuple(tensor.shape)


def bare_products(step_products: list[Product]) -> Callable:
    """A compiled function without arguments that computes a step's products on random numbers.

    Its time is what the shapes of a network cost; the rest of a step's time goes to the network's
    other operations and to running them. This holds on processors. XLA compiles the step for a GPU,
    and it would merge equal products of equal numbers, so that this function is not compiled by it.
    """
    # All operands of one shape share a variable, which keeps the memory to that of a step.
    variable = functools.cache(_random_variable)
    calls = [
        (product, [variable(product.dtype, *shape) for shape in product.operands.values() if shape])
        for product in step_products
    ]
    return tf.function(lambda: [_corner(product(*tensors)) for product, tensors in calls])


def ceilings(dtype: str) -> dict[str, tuple[Callable, int]]:
    """The best that this machine can do: large convolutions and matrix products, nothing else.

    The ceilings are meant for processors. A GPU waits for Python between two of these calls, while
    it runs a whole training step in one call, so that a share of them says nothing about a GPU.

    Returns:
      name -> (function without arguments, its floating-point operations): "matrix product";
      "convolution", forward; "training convolution", forward and both gradients.
    """
    square = _random_variable(dtype, SIDE, SIDE)
    features = _random_variable(dtype, IMAGES, PLACES, PLACES, CHANNELS)
    filters = _random_variable(dtype, FILTER, FILTER, CHANNELS, CHANNELS)

    def training():
        with tf.GradientTape() as tape:
            result = tf.nn.conv2d(features, filters, 1, "SAME")
        # Any tensor of the right shape will do for the gradient from above.
        gradients = tape.gradient(result, [features, filters], output_gradients=features.value())
        return [_corner(tensor) for tensor in (result, *gradients)]

    product = tf.function(lambda: _corner(tf.matmul(square, square)))
    convolution = tf.function(lambda: _corner(tf.nn.conv2d(features, filters, 1, "SAME")))
    forward = 2 * IMAGES * PLACES**2 * CHANNELS**2 * FILTER**2
    return {
        "matrix product": (product, 2 * SIDE**3),
        "convolution": (convolution, forward),
        "training convolution": (tf.function(training), 3 * forward),
    }


def _random_variable(dtype, *shape):
    return tf.Variable(tf.cast(tf.random.stateless_normal(shape, (0, 0)), dtype))


def _corner(tensor):
    """One number of a tensor, as float32: copying the whole tensor to Python would take time."""
    return tf.cast(tf.reshape(tensor, [-1])[0], "float32")
