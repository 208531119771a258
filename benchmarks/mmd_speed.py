"""Time, memory and certainty of the estimators of the MMD^2 from N(0, I), by size."""

import functools
import json
import os
import resource
import sys

import numpy as np
import tensorflow as tf

from benchmarks.harness import run_fork, run_python, seconds, spread
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DEFAULT_SCALES
from tf_mmdvlae.model import mmd

SIZES = (64, 1024, 4096, 16384, 65536)
DIMENSIONS = (2, 16, 256)
ESTIMATORS = (
    ("dense", None),
    ("blocks", None),
    ("linear_time", None),
    ("random_features", 258),
    ("random_features", 1026),
)

_KERNEL = "multiscale_gaussian"
# Measured: the peak of the dense form with its gradient.
_DENSE_BYTES_PER_PAIR = 44
_LONGEST_SECONDS, _SHORTEST_SECONDS = 30, 0.05
_DRAWS, _DRAWING_SECONDS = 100, 0.7


def mmd_speed(
    sizes=SIZES, dimensions=DIMENSIONS, rounds: int = 3, estimators=ESTIMATORS
) -> list[dict]:
    """Measures the estimators on codes of N(0, I), each cell in a process of its own.

    "dense" and "blocks" are the unbiased estimator, with all pairs in one table and in blocks.
    Times are of the estimate with its gradient, on the processor. A cell is left out if it needs
    more than a quarter of the memory, or more than 30 s per call, judged by the size before it. A
    call that takes over a second is timed once.

    Args:
      sizes: rows of a batch, ascending.
      estimators: pairs of a name, as above or of `mmd_squared_to_normal`, and a number of
        frequencies or None.

    Returns:
      {"estimator", "frequencies" (None but for random features), "batch", "dimensions",
      "milliseconds", "peak_megabytes" (above the process's memory before), "deviation" (of the
      estimate over draws of the codes; None where they would take long), "left_out" (None, or the
      reason)} for each cell. A cell that is left out has None for every measurement.
    """
    request = json.dumps([sizes, dimensions, rounds, estimators])
    arguments = ["-m", "benchmarks.mmd_speed", request]
    # Only the processor's memory counts here.
    environment = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    [output] = run_python("The measurement of the MMD", arguments, [environment])
    return json.loads(output)


def _rows(sizes, dimensions, rounds, estimators):
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for estimator, frequencies in estimators:
        kind = {"estimator": estimator, "frequencies": frequencies}
        for dimension in dimensions:
            seconds_per_pair = 0.0
            for batch in sizes:
                row = {**kind, "batch": batch, "dimensions": dimension}
                figures = {"milliseconds": None, "peak_megabytes": None, "deviation": None}
                needed, estimate = batch**2 * _DENSE_BYTES_PER_PAIR, seconds_per_pair * batch**2
                left_out = None
                if estimator == "dense" and needed > memory / 4:
                    left_out = f"needs {needed / 1e9:.1f} GB"
                elif estimator in ("dense", "blocks") and estimate > _LONGEST_SECONDS:
                    left_out = f"needs about {estimate:.0f} s"
                else:
                    name = f"{estimator} of {batch} x {dimension}"
                    figures = run_fork(name, functools.partial(_measure, rounds=rounds, **row))
                    seconds_per_pair = figures["milliseconds"]["low"] / 1e3 / batch**2
                yield {**row, **figures, "left_out": left_out}


def _measure(estimator, frequencies, batch, dimensions, rounds):
    kernel = mmd.kernel_for_dimension(_KERNEL, DEFAULT_SCALES[_KERNEL], dimensions)
    mmd.DENSE_ROWS = batch if estimator == "dense" else 0
    name = "unbiased" if estimator in ("dense", "blocks") else estimator
    # A step for any batch size: a small batch starts all threads before memory counts.
    signature = [tf.TensorSpec([None, dimensions]), tf.TensorSpec([], tf.int32)]

    @tf.function(input_signature=signature)
    def estimate(codes, seed):
        features = None
        if frequencies:
            noise = tf.random.stateless_normal((frequencies, dimensions + 2), [seed, 1])
            features = kernel.frequencies(noise)
        return mmd.mmd_squared_to_normal(codes, kernel, name, features)

    @tf.function(input_signature=signature)
    def with_gradient(codes, seed):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            value = estimate.python_function(codes, seed)
        return value, tape.gradient(value, codes)

    seconds(lambda: with_gradient(_codes(2, dimensions, 0), 0), 1)
    codes = _codes(batch, dimensions, 0)
    before = _peak_megabytes()
    times = [seconds(lambda: with_gradient(codes, 0), 1)]
    peak = _peak_megabytes() - before
    if times[0] < 1:
        repeats = 1 + int(_SHORTEST_SECONDS / times[0])
        times = [seconds(lambda: with_gradient(codes, 0), repeats) for _ in range(rounds)]
    draws = min(_DRAWS, int(_DRAWING_SECONDS / min(times)))
    seeds = range(1, draws + 1)
    values = [float(estimate(_codes(batch, dimensions, seed), seed)) for seed in seeds]
    return {
        "milliseconds": spread(1e3 * np.array(times)),
        "peak_megabytes": peak,
        "deviation": float(np.std(values, ddof=1)) if draws >= 10 else None,
    }


def _codes(batch, dimensions, seed):
    return tf.random.stateless_normal((batch, dimensions), (seed, 0))


def _peak_megabytes():
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes / 1e6


if __name__ == "__main__":
    try:
        print(json.dumps(list(_rows(*json.loads(sys.argv[1])))))
    except InputError as error:
        sys.exit(str(error))
