"""The convolutions and matrix products of a step, of the same shapes, with nothing around them."""

import tensorflow as tf

from benchmarks.ceilings import corner


def bare_products(products):
    """A compiled function that computes all of them on random numbers.

    What it takes is what the shapes of a network cost; what a step takes beyond it is the network's
    other operations, and the running of them. That is so on processors; for a GPU the step is
    compiled by XLA, which would take equal products of equal numbers for one, so that this is not.

    Args:
      products: a list of `floating_point_operations.Product`.

    Returns:
      A function without arguments.
    """
    variables = {}

    def variable(shape, dtype):
        # Sharing one among all operands of a shape keeps the memory to that of a step.
        key = (tuple(shape), dtype)
        if key not in variables:
            values = tf.random.stateless_normal(shape, (0, len(variables)))
            variables[key] = tf.Variable(tf.cast(values, dtype))
        return variables[key]

    calls = [
        (product, [variable(shape, product.dtype) for shape in product.operands])
        for product in products
    ]

    @tf.function
    def run():
        return [corner(_compute(product, *pair)) for product, pair in calls]

    return run


def _compute(product, left, right):
    operation = getattr(tf.raw_ops, product.kind)
    if product.kind == "MatMul":
        return operation(a=left, b=right, **product.attributes)
    if product.kind.startswith("BatchMatMul"):
        names = product.attributes
        if product.kind == "BatchMatMulV3":
            names = {**names, "Tout": product.dtype}
        return operation(x=left, y=right, **names)
    names = {
        "Conv2D": ("input", "filter"),
        "Conv2DBackpropInput": ("out_backprop", "filter"),
        "Conv2DBackpropFilter": ("input", "out_backprop"),
    }[product.kind]
    shapes = {
        "Conv2D": {},
        "Conv2DBackpropInput": {"input_sizes": product.result},
        "Conv2DBackpropFilter": {"filter_sizes": product.result},
    }[product.kind]
    return operation(**dict(zip(names, (left, right), strict=True)), **shapes, **product.attributes)
