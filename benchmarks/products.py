"""Counts a compiled step's floating-point operations from its graph."""

import dataclasses
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Product:
    """A convolution, a gradient of one, or a matrix product, as it stands in a graph.

    Attributes:
      kind: the operation's type in TensorFlow, such as "Conv2DBackpropFilter".
      dtype: the name of its type of number, such as "bfloat16".
      operands: shapes of the tensors that it takes; of a gradient of a convolution, of the two
        that are multiplied.
      result: the shape of what it gives.
      attributes: what else decides its result, by name: strides, padding, transpositions.
      operations: 2 x multiply-adds.
    """

    kind: str
    dtype: str
    operands: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    attributes: dict
    operations: int

    @property
    def is_convolution(self):
        """Whether it is a convolution or a gradient of one, not a matrix product."""
        return self.kind.startswith("Conv")


_CONVOLUTIONS = {
    # Which inputs are multiplied; the third is a shape.
    "Conv2D": (0, 1),
    "Conv2DBackpropInput": (2, 1),
    "Conv2DBackpropFilter": (0, 2),
}
_PRODUCTS = {
    "MatMul": ("transpose_a", "transpose_b"),
    "BatchMatMulV2": ("adj_x", "adj_y"),
    "BatchMatMulV3": ("adj_x", "adj_y"),
}


def products(concrete):
    """The convolutions and matrix products of a compiled function, those it calls included.

    A multiply-add counts as two operations, and padding counts as if it were multiplied. A loop's
    body counts once, and what nothing depends on not at all (the gradient of an image, say).
    Element by element operations, sums and normalization are left out.

    Args:
      concrete: a `tf.types.experimental.ConcreteFunction`, traced for a batch of known size.

    Returns:
      A list of `Product`.

    Raises:
      ValueError: if a shape is not known.
    """
    found, waiting = [], [concrete.graph]
    while waiting:
        graph = waiting.pop()
        for operation in _run(graph):
            if operation.type in _CONVOLUTIONS:
                found.append(_convolution(operation))
            elif operation.type in _PRODUCTS:
                found.append(_matrix_product(operation))
            for name in _called(operation):
                waiting.append(graph._get_function(name).graph)
    return found


def count(concrete):
    """2 x multiply-adds of all convolutions and matrix products of a compiled function."""
    return sum(product.operations for product in products(concrete))


def _run(graph):
    """The operations that something depends on; others are in the graph and never run."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    found = {}
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found[operation] = None
            waiting += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    return found


def _called(operation):
    # A gradient's definition is attached to the call that it belongs to and is not run by it.
    for name in ("f", "then_branch", "else_branch", "body"):
        if name in operation.node_def.attr and operation.node_def.attr[name].HasField("func"):
            yield operation.node_def.attr[name].func.name


def _shape(tensor):
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"The shape of {tensor.name} is not known: {tensor.shape}.")
    return tuple(tensor.shape)


def _convolution(operation):
    kind = operation.type
    operands = tuple(_shape(operation.inputs[index]) for index in _CONVOLUTIONS[kind])
    output = operation.outputs[0]
    if kind != "Conv2D" and not output.shape.is_fully_defined():
        output.set_shape(tf.get_static_value(operation.inputs[0 if "Input" in kind else 1]))
    result = _shape(output)
    filters = result if kind == "Conv2DBackpropFilter" else operands[1]
    small = {"Conv2D": result}.get(kind, operands[0] if "Input" in kind else operands[1])
    # Each place of the smaller image meets a whole filter once, in all three.
    operations = 2 * math.prod(small[:3]) * math.prod(filters)
    attributes = {name: operation.get_attr(name) for name in ("strides", "padding")}
    attributes["padding"] = attributes["padding"].decode()
    return Product(kind, output.dtype.name, operands, result, attributes, operations)


def _matrix_product(operation):
    left, right = (_shape(tensor) for tensor in operation.inputs)
    names = _PRODUCTS[operation.type]
    result = _shape(operation.outputs[0])
    attributes = {name: operation.get_attr(name) for name in names}
    inner = left[-2] if attributes[names[0]] else left[-1]
    return Product(
        operation.type,
        operation.outputs[0].dtype.name,
        (left, right),
        result,
        attributes,
        2 * math.prod(result) * inner,
    )
