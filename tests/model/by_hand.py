"""Kernels to test, draws, and MMD^2 by slow float64 loops over all pairs of rows."""

import math

import numpy as np

from tf_mmdvlae.model import mmd

KERNELS = {
    "gaussian": mmd.Kernel("gaussian", (1.5,)),
    "multiscale_gaussian": mmd.Kernel("multiscale_gaussian", (0.5, 4.0, 1.0)),
    "inverse_multiquadratic": mmd.Kernel("inverse_multiquadratic", (0.4, 2.0, 40.0)),
}
GAUSSIANS = ("gaussian", "multiscale_gaussian")


def draws(n, d, seed, mean=0.0, deviation=1.0):
    noise = np.random.default_rng(seed).standard_normal((n, d))
    return (mean + deviation * noise).astype(np.float32)


def slow_kernel(kernel, x, y):
    total = 0.0
    for bandwidth in kernel.bandwidths:
        squared = sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True))
        if kernel.name == "inverse_multiquadratic":
            total += bandwidth / (bandwidth + squared)
        else:
            total += math.exp(-squared / (2 * bandwidth))
    return total / len(kernel.bandwidths)


def slow_within(kernel, x, estimator):
    pairs = [
        slow_kernel(kernel, a, b)
        for i, a in enumerate(x)
        for j, b in enumerate(x)
        if estimator == "biased" or i != j
    ]
    return sum(pairs) / len(pairs)


def slow_mmd_squared(x, y, kernel, estimator):
    cross = [slow_kernel(kernel, a, b) for a in x for b in y]
    return (
        slow_within(kernel, x, estimator)
        + slow_within(kernel, y, estimator)
        - 2 * sum(cross) / len(cross)
    )
