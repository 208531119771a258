"""How times are taken and summed up."""

import time

import numpy as np
import tensorflow as tf


def seconds(call, times):
    """The mean time of `times` calls of `call`, in seconds, the last result waited for."""
    began = time.perf_counter()
    for _ in range(times):
        result = call()
    # Waits for a device that works ahead of Python.
    tf.nest.map_structure(np.asarray, result)
    return (time.perf_counter() - began) / times


def alternate(calls, rounds, least=0.5, progress=None):
    """Times several calls in turn, so that what slows the machine down slows all of them alike.

    Each is called once before, unmeasured, to compile, and once more to see how often it must be
    called to take `least` seconds.

    Args:
      calls: name -> a function without arguments that returns tensors or arrays.
      rounds: how many times each is measured.
      least: seconds that a measurement is to take, about.
      progress: None, or a `Progress` over rounds * len(calls) measurements.

    Returns:
      name -> float64 [rounds], the seconds that one call took in each round.
    """
    for call in calls.values():
        seconds(call, 1)
    repeats = {name: max(1, round(least / seconds(call, 1))) for name, call in calls.items()}
    times = {name: [] for name in calls}
    for done in range(rounds):
        for place, (name, call) in enumerate(calls.items(), start=1):
            times[name].append(seconds(call, repeats[name]))
            if progress is not None:
                progress.update(done * len(calls) + place)
    if progress is not None:
        progress.close()
    return {name: np.array(values) for name, values in times.items()}


def spread(values):
    """The median and the ends of some measurements: {"median", "low", "high"}."""
    return {
        "median": float(np.median(values)),
        "low": float(np.min(values)),
        "high": float(np.max(values)),
    }
