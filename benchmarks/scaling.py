"""Two workers on this machine, each with half of its cores, beside one process with all of them."""

import contextlib
import json
import os
import pathlib
import socket
import sys
import time

import keras
import numpy as np

from benchmarks.harness import random_split, run_python, spread
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.training.run import make_model
from tf_mmdvlae.training.workers import Workers

_STEPS, _UNMEASURED_STEPS = 20, 5
_IMAGES = 4096
BATCH = 256
"""The images of a step, those of all workers together."""


def scaling_speed(config: Config, rounds: int = 3) -> dict:
    """Images per second of one process, and of two workers that train together, on the same cores.

    Each worker has half of this machine's cores to itself, and one process has all of these. A step
    takes `BATCH` random images in all. Hardware threads of one core belong to one worker, unless
    there is no other core.

    Returns:
      {"batch_size" (in all), "cores" (in all), "one" and "two" (images per second), "efficiency"
      (speed of two / speed of one)}.

    Raises:
      InputError: on a machine where each worker can't have a core of its own.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("--scaling needs Linux, to give each worker cores of its own.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("--scaling needs two cores, one for each worker; there is one.")
    halves = halves_of(cores)
    places = {"one": [[*halves[0], *halves[1]]], "two": halves}
    speeds = {name: [] for name in places}
    for _ in range(rounds):
        for name, place in places.items():
            speeds[name].append(BATCH / _step_seconds(config, place))
    one, two = np.array(speeds["one"]), np.array(speeds["two"])
    return {
        "batch_size": BATCH,
        "cores": sum(map(len, halves)),
        "one": spread(one),
        "two": spread(two),
        "efficiency": spread(two / one),
    }


def halves_of(cores, system="/sys/devices/system/cpu"):
    """Two equally long lists of `cores`; the hardware threads of one core stay in one list.

    `system` is the folder in which Linux describes its cores.
    """
    groups = {}
    for core in cores:
        try:
            siblings = pathlib.Path(system, f"cpu{core}/topology/thread_siblings_list").read_text()
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


def _step_seconds(config, cores):
    count = len(cores)
    distribute = "multi_worker" if count > 1 else "none"
    train = {"distribute": distribute, "batch_size": BATCH}
    arguments = ["-m", "benchmarks.scaling", json.dumps(config.changed(train=train).to_dict())]
    return float(np.median(json.loads(run_workers(arguments, cores)[0].splitlines()[-1])))


def run_workers(arguments, cores):
    """`run_python` for one worker per item of `cores`; the workers find each other by TF_CONFIG."""
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(len(cores))]
    environments = []
    for index in range(len(cores)):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environments.append({"TF_CONFIG": json.dumps(cluster), "CUDA_VISIBLE_DEVICES": "-1"})
    return run_python("A worker", arguments, environments, cores)


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _worker(config):
    """Trains for some steps, as one worker, and returns the seconds of each measured step."""
    workers, size = Workers(config.train.distribute), config.train.batch_size
    with workers.strategy.scope():
        model = make_model(config)
    split = random_split(config.model.image_shape, max(_IMAGES, size))
    batches = workers.feed(pipeline.training_batches(split, size, 0, share=workers.share))
    ends = []

    def note_end(batch, logs):
        # Waits for the step.
        float(logs["loss"])
        ends.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=note_end)
    steps = _UNMEASURED_STEPS + _STEPS
    model.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[clock])
    workers.wait()
    return np.diff(ends)[_UNMEASURED_STEPS - 1 :].tolist()


if __name__ == "__main__":
    print(json.dumps(_worker(Config.from_dict(json.loads(sys.argv[1])))))
