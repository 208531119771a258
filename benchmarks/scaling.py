"""How much faster two workers are than one, on this machine, each with half of its cores."""

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
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.training.workers import Workers

_STEPS, _UNMEASURED_STEPS = 20, 5
_IMAGES = 4096


def scaling_speed(config: Config, rounds: int = 3) -> dict:
    """Images per second of one worker alone, and of two that train together.

    Each worker has half of this machine's cores to itself and `config.train.batch_size` images per
    step, on random images. Rounds alternate the two. Hardware threads of one core belong to one
    worker, unless there is no other core.

    Returns:
      {"batch_size" (of each worker), "cores" (of each), "one", "two": images per second,
      {"median", "low", "high"}, "efficiency": speed of two / twice the speed of one, likewise}.

    Raises:
      InputError: on a machine where each worker can't have a core of its own, or if a worker fails.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("--scaling needs Linux, to give each worker cores of its own.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("--scaling needs two cores, one for each worker; there is one.")
    halves = halves_of(cores)
    batch = config.train.batch_size
    speeds = {1: [], 2: []}
    for _ in range(rounds):
        for count in speeds:
            speeds[count].append(count * batch / _step_seconds(config, halves[:count]))
    one, two = np.array(speeds[1]), np.array(speeds[2])
    return {
        "batch_size": batch,
        "cores": len(halves[0]),
        "one": spread(one),
        "two": spread(two),
        "efficiency": spread(two / (2 * one)),
    }


def halves_of(cores, system="/sys/devices/system/cpu"):
    """Two equally long lists of `cores`; the hardware threads of one core stay in one list.

    Args:
      cores: numbers of cores, two or more.
      system: the folder in which Linux describes its cores.
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
    config = config.changed(
        train={
            "distribute": "multi_worker" if count > 1 else "none",
            "batch_size": count * config.train.batch_size,
        }
    )
    arguments = ["-m", "benchmarks.scaling", json.dumps(config.to_dict())]
    return float(np.median(json.loads(run_workers(arguments, cores)[0].splitlines()[-1])))


def run_workers(arguments, cores):
    """Runs Python in processes that find each other by TF_CONFIG.

    Args:
      arguments: Python's arguments, the same for every worker.
      cores: for each worker the cores that it may use.

    Returns:
      What each worker wrote to standard output.

    Raises:
      InputError: if a worker fails.
    """
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


class _Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        # Waits for the step.
        float(logs["loss"])
        self.ends.append(time.perf_counter())


def _worker(config):
    """Trains for some steps, as one worker, and returns the seconds of each measured step."""
    train = config.train
    workers = Workers(train.distribute)
    keras.utils.set_random_seed(0)
    with workers.strategy.scope():
        model = MMDVLAE(config.model, 0, train.fade_in(len(config.model.latent_dims)))
        model.compile(FusedAdam(train.learning_rate))
    split = random_split(config.model.image_shape, max(_IMAGES, train.batch_size))
    batches = pipeline.training_batches(split, train.batch_size, 0, share=workers.share)
    clock = _Clock()
    model.fit(
        workers.feed(batches),
        steps_per_epoch=_UNMEASURED_STEPS + _STEPS,
        verbose=0,
        callbacks=[clock],
    )
    workers.wait()
    return np.diff(clock.ends)[_UNMEASURED_STEPS - 1 :].tolist()


if __name__ == "__main__":
    print(json.dumps(_worker(Config.from_dict(json.loads(sys.argv[1])))))
