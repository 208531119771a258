"""How much faster two workers are than one, on this machine, each with half of its cores."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np

from benchmarks.harness import spread
from benchmarks.processes import check, environment
from tf_mmdvlae.common.errors import InputError

_STEPS = 20
_UNMEASURED = 5
_CORES = pathlib.Path("/sys/devices/system/cpu")


def scaling_speed(config, rounds=3, steps=_STEPS):
    """Images per second of one worker alone, and of two that train together.

    Each worker has half of this machine's cores to itself and `config.train.batch_size` images a
    step, on random images. Rounds alternate the two. Hardware threads of one core go to one worker,
    unless there is no other core.

    Args:
      config: a `Config`.
      rounds: how many rounds.
      steps: measured steps a round.

    Returns:
      {"batch_size" (of each worker), "cores" (of each), "one", "two": images per second,
      {"median", "low", "high"}, "efficiency": speed of two / twice the speed of one, likewise}.

    Raises:
      InputError: on a machine with a single core, where cores can't be given out, or if a worker
        fails.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("--scaling needs Linux, to give each worker cores of its own.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("--scaling needs two cores, one for each worker; there is one.")
    halves = _halves(cores)
    batch = config.train.batch_size
    speeds = {1: [], 2: []}
    for _ in range(rounds):
        for count in speeds:
            speeds[count].append(count * batch / _step_seconds(config, halves[:count], steps))
    one, two = np.array(speeds[1]), np.array(speeds[2])
    return {
        "batch_size": batch,
        "cores": len(halves[0]),
        "one": spread(one),
        "two": spread(two),
        "efficiency": spread(two / (2 * one)),
    }


def _halves(cores):
    """Two lists of equally many of `cores`, side by side, siblings kept together."""
    groups = {}
    for core in cores:
        try:
            siblings = (_CORES / f"cpu{core}/topology/thread_siblings_list").read_text()
        except OSError:
            siblings = core
        groups.setdefault(siblings, []).append(core)
    groups = list(groups.values())
    if len(groups) == 1:
        groups = [[core] for core in cores]
    half = len(groups) // 2
    first, second = [], []
    for one, other in zip(groups[:half], groups[half : 2 * half], strict=True):
        size = min(len(one), len(other))
        first += one[:size]
        second += other[:size]
    return first, second


def _step_seconds(config, places, steps):
    count = len(places)
    train = dataclasses.replace(
        config.train,
        distribute="multi_worker" if count > 1 else "none",
        batch_size=count * config.train.batch_size,
    )
    settings = {
        "config": dataclasses.replace(config, train=train).to_dict(),
        "steps": steps,
        "unmeasured": _UNMEASURED,
    }
    arguments = ["-m", "benchmarks.worker", json.dumps(settings)]
    return float(np.median(json.loads(run_workers(arguments, places)[0].splitlines()[-1])))


def run_workers(arguments, places):
    """Runs Python in processes that find each other by TF_CONFIG.

    Args:
      arguments: of Python, the same for all of them.
      places: for each process the cores that it may use.

    Returns:
      What each of them wrote to standard output.

    Raises:
      InputError: if one fails.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(len(places))]
    processes = []
    for index, own in enumerate(places):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(TF_CONFIG=json.dumps(cluster), CUDA_VISIBLE_DEVICES="-1"),
                # Before TensorFlow counts the cores that it may use.
                preexec_fn=functools.partial(os.sched_setaffinity, 0, own),
            )
        )
    outputs = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        check("A worker", process.returncode, errors)
    return [output for output, _ in outputs]


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
