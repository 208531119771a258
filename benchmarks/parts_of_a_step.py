"""What a training step is made of, each part to be timed by itself."""

import time

import numpy as np
import tensorflow as tf

from tf_mmdvlae.model import mmd


def mmd_gradients(settings, size, jit_compile):
    """All MMD terms of a `ModelConfig` for `size` codes, with their gradients, compiled.

    Returns:
      A function without arguments.
    """
    dimensions = (*settings.latent_dims, sum(settings.latent_dims))
    codes = [tf.random.stateless_normal((size, d), (0, d)) for d in dimensions]
    kernels = [mmd.kernel_for_dimension(settings.kernel, settings.scales, d) for d in dimensions]

    @tf.function(jit_compile=jit_compile)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(codes)
            total = 0.0
            for code, kernel in zip(codes, kernels, strict=True):
                if settings.prior == "closed_form":
                    shape = (settings.frequencies, code.shape[1] + 2)
                    drawn = kernel.frequencies(tf.random.stateless_normal(shape, (1, 1)))
                    total += mmd.mmd_squared_to_normal(code, kernel, settings.estimator, drawn)
                else:
                    prior = tf.random.stateless_normal(tf.shape(code), (1, 1))
                    total += mmd.mmd_squared(code, prior, kernel, settings.estimator)
        return tape.gradient(total, codes)

    return gradients


def optimizer_alone(model):
    """The update of a built model's weights by gradients that are there already, compiled.

    Returns:
      A function without arguments.
    """
    variables = model.trainable_variables
    gradients = [
        tf.random.stateless_normal(variable.shape, (0, index), stddev=1e-3)
        for index, variable in enumerate(variables)
    ]

    @tf.function(jit_compile=model.jit_compile)
    def apply():
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return model.optimizer.iterations.value

    return apply


class FedSteps:
    """Training steps that take their batches from an input, and how long they waited for it.

    Args:
      step: a compiled step.
      batches: an iterator.
    """

    def __init__(self, step, batches):
        self.step = step
        self.batches = batches
        self.waits = []

    def __call__(self):
        began = time.perf_counter()
        batch = next(self.batches)
        self.waits.append(time.perf_counter() - began)
        result = self.step(batch)
        # One that runs ahead would wait at the next batch for the step, not for the input.
        result["loss"].numpy()
        return result

    def waited(self, rounds):
        """Mean seconds a step in each of `rounds` rounds of equally many steps, the last ones."""
        # Two calls come before the rounds (see `timing.alternate`).
        return np.array(self.waits[2:]).reshape(rounds, -1).mean(axis=1)
