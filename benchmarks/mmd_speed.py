"""Time, memory and certainty of the estimators of the MMD^2 from N(0, I), by size."""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import tensorflow as tf

from benchmarks.harness import spread
from benchmarks.processes import check, environment
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
# What the dense form with its gradient was seen to hold at its peak.
_DENSE_BYTES_A_PAIR = 44
_LONGEST_SECONDS, _SHORTEST_SECONDS = 30, 0.05
_DRAWS, _DRAWING_SECONDS = 100, 0.7


def mmd_speed(sizes=SIZES, dimensions=DIMENSIONS, rounds=3, estimators=ESTIMATORS):
    """Measures the estimators on codes of N(0, I), each cell in a process of its own.

    "dense" and "blocks" are the unbiased estimator, all pairs in one table and in blocks. Times are
    of the estimate with its gradient, on the processor. A cell that would take more than a quarter
    of the memory, or more than 30 s a call by what the size before it took, is left out.

    Args:
      sizes: rows of a batch, ascending.
      dimensions: dimensions of the codes.
      rounds: how often each cell is timed; once where a call takes more than a second.
      estimators: pairs of a name, as above or of `mmd_squared_to_normal`, and a number of
        frequencies or None.

    Returns:
      A list of rows: {"estimator", "frequencies" (of random features, or None), "batch",
      "dimensions", "milliseconds" ({"median", "low", "high"} over rounds), "peak_megabytes" (over
      what the process held before), "deviation" (of the estimate over draws of the codes; None
      where they would take long), "left_out" (None, or why)}. A row that is left out has None for
      all that was not measured.

    Raises:
      InputError: if a cell's process fails.
    """
    found = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps([list(sizes), list(dimensions), rounds, list(estimators)]),
        # A GPU's memory is not what is counted.
        env=environment(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2"),
        capture_output=True,
        text=True,
    )
    check("The measurement of the MMD", found.returncode, found.stderr)
    return json.loads(found.stdout)


def _rows(sizes, dimensions, rounds, estimators):
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for estimator, frequencies in estimators:
        for dimension in dimensions:
            seconds_a_pair = 0.0
            for batch in sizes:
                cell = {
                    "estimator": estimator,
                    "frequencies": frequencies,
                    "batch": batch,
                    "dimensions": dimension,
                }
                seconds, size = seconds_a_pair * batch**2, batch**2 * _DENSE_BYTES_A_PAIR
                found = {"milliseconds": None, "peak_megabytes": None, "deviation": None}
                if estimator == "dense" and size > memory / 4:
                    found["left_out"] = f"needs {size / 1e9:.1f} GB"
                elif estimator in ("dense", "blocks") and seconds > _LONGEST_SECONDS:
                    found["left_out"] = f"needs about {seconds:.0f} s"
                else:
                    found = {**_in_a_fork(cell, rounds), "left_out": None}
                    seconds_a_pair = found["milliseconds"]["low"] / 1e3 / batch**2
                yield {**cell, **found}


def _in_a_fork(cell, rounds):
    """Measures in a child of this process, which has imported TensorFlow but not started it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as pipe:
            try:
                answer, code = json.dumps(_measure(rounds=rounds, **cell)), 0
            # What left this block would go on with the parent's work.
            except BaseException as error:
                answer, code = f"{type(error).__name__}: {error}", 1
            pipe.write(answer)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    check("{estimator} of {batch} x {dimensions}".format(**cell), code, answer)
    return json.loads(answer)


def _measure(estimator, frequencies, batch, dimensions, rounds):
    kernel = mmd.kernel_for_dimension(_KERNEL, DEFAULT_SCALES[_KERNEL], dimensions)
    mmd.DENSE_ROWS = batch if estimator == "dense" else 0
    name = "unbiased" if estimator in ("dense", "blocks") else estimator

    def estimate(codes, seed):
        drawn = None
        if frequencies:
            noise = tf.random.stateless_normal((frequencies, dimensions + 2), [seed, 1])
            drawn = kernel.frequencies(noise)
        return mmd.mmd_squared_to_normal(codes, kernel, name, drawn)

    def with_gradient(codes, seed):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            value = estimate(codes, seed)
        return value, tape.gradient(value, codes)

    # Of any batch size, so that a small one starts all threads before memory is counted.
    signature = [tf.TensorSpec([None, dimensions]), tf.TensorSpec([], tf.int32)]
    estimate = tf.function(estimate, input_signature=signature)
    with_gradient = tf.function(with_gradient, input_signature=signature)
    _seconds(with_gradient, _codes(2, dimensions, 0), 1)
    codes = _codes(batch, dimensions, 0)
    before = _peak_megabytes()
    times = [_seconds(with_gradient, codes, 1)]
    peak = _peak_megabytes() - before
    if times[0] < 1:
        repeats = 1 + int(_SHORTEST_SECONDS / times[0])
        times = [_seconds(with_gradient, codes, repeats) for _ in range(rounds)]
    draws = min(_DRAWS, int(_DRAWING_SECONDS / min(times)))
    values = [
        float(estimate(_codes(batch, dimensions, seed), seed)) for seed in range(1, draws + 1)
    ]
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


def _seconds(call, codes, times):
    began = time.perf_counter()
    for seed in range(times):
        value, gradient = call(codes, seed)
    np.asarray(value), np.asarray(gradient)
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    try:
        json.dump(list(_rows(*json.load(sys.stdin))), sys.stdout)
    except InputError as error:
        sys.exit(str(error))
