"""Processes that train one model together, each on devices of its own."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tf_mmdvlae.common.errors import InputError, TrainingStopped, first_line
from tf_mmdvlae.data.pipeline import Share

# EX_TEMPFAIL of sysexits.h: the same command may be tried again.
_LOST = 75
_HOW = (
    'train.distribute=multi_worker needs one such as {"cluster": {"worker": ["host1:2222", '
    '"host2:2222"]}, "task": {"type": "worker", "index": 0}}.'
)


class Workers:
    """The processes of a `tf.distribute` strategy, and which of them this one is.

    This is process `index`, from 0, of `count`; process 0 is the chief, which writes the results.
    The model must be made under `strategy`, and the workers before TensorFlow computes anything.
    "multi_worker" (`TrainConfig.distribute`) is refused without a TF_CONFIG that names the workers.
    """

    def __init__(self, distribute: str):
        self.index, self.count = 0, 1
        if distribute == "none":
            self.strategy = tf.distribute.get_strategy()
        elif distribute == "mirrored":
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        else:
            self.index, self.count = place_of_process()
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except (TypeError, ValueError, RuntimeError, tf.errors.OpError) as error:
                raise InputError(
                    f"The workers of TF_CONFIG can't be started: {first_line(error)}. Each needs "
                    "an address host:port of its own, with a port that is free."
                ) from error
        self._total = tf.function(self._sum, input_signature=[tf.TensorSpec([None], tf.float64)])

    @contextlib.contextmanager
    def stop_on_lost_worker(self) -> Iterator[None]:
        """Raises `TrainingStopped`, in place of TensorFlow's error, if another process is lost."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            if self.count == 1:
                raise
            raise TrainingStopped(
                f"Worker {self.index} of {self.count} lost another one, or can't reach it any "
                "more. Start all workers again with the same command; the run goes on from the "
                "newest checkpoint.",
                exit_code=_LOST,
            ) from error

    @contextlib.contextmanager
    def refuse_together(self) -> Iterator[None]:
        """Ends all processes if the block, which all must enter, raises an `InputError` in any."""
        refusal = None
        try:
            yield
        except InputError as error:
            refusal = error
        if self.any(refusal is not None):
            raise refusal or InputError(
                f"Worker {self.index} of {self.count} ends because another worker reported an "
                "error; its message says what and why."
            )

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the results of the run."""
        return self.index == 0

    @property
    def devices(self) -> int:
        """How many devices this process has of its own."""
        return self.strategy.num_replicas_in_sync // self.count

    @property
    def share(self) -> Share:
        """Which part of every batch this process reads."""
        return Share(self.index, self.count, self.devices)

    def feed(self, batches: tf.data.Dataset) -> Any:
        """Turns this process's batches into input of `fit`, which gives each device its part."""
        if self.strategy.num_replicas_in_sync == 1:
            return batches
        return self.strategy.distribute_datasets_from_function(lambda context: batches)

    # Each function below is an exchange between the processes: it returns when all have called it.

    def sum(self, values: ArrayLike) -> np.ndarray:
        """Sums an array [n] over all processes, in float64."""
        if self.count == 1:
            return np.asarray(values, np.float64)
        return self._total(tf.constant(values, tf.float64)).numpy()

    def _sum(self, values):
        def add():
            context = tf.distribute.get_replica_context()
            # Where a process has several devices, only the first one adds the values.
            first = context.replica_id_in_sync_group % self.devices == 0
            addend = tf.where(first, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, addend)

        return self.strategy.experimental_local_results(self.strategy.run(add))[0]

    def wait(self) -> None:
        """Waits for all processes."""
        self.sum([0.0])

    def any(self, condition: bool) -> bool:
        """Whether the condition holds in any process."""
        return bool(self.sum([float(condition)])[0])

    def broadcast(self, values: ArrayLike, source: int = 0) -> np.ndarray:
        """Gives all processes the array [n] of the process `source`, in float64."""
        return self.sum(values if self.index == source else np.zeros_like(values))

    def newest(self, step: int) -> tuple[int, int]:
        """Finds the newest checkpoint of all processes; `step` is this process's own, 0 for none.

        Returns (index of the process that has it, its step), or (0, 0) if there is none.
        """
        steps = self.sum(np.where(np.arange(self.count) == self.index, step, 0))
        return int(np.argmax(steps)), int(np.max(steps))

    def copy(self, variables: list, values: list | None, source: int) -> None:
        """Assigns the `values` of the process `source` to float variables in all processes.

        Every process gives its variables in the same order; all but `source` give None as values.
        """
        sizes = [math.prod(variable.shape) for variable in variables]
        flat = np.zeros(sum(sizes))
        if values is not None:
            flat = np.concatenate([np.asarray(value, np.float64).ravel() for value in values])
        parts = np.split(self.broadcast(flat, source), np.cumsum(sizes)[:-1])
        for variable, part in zip(variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape))


def _process_count(cluster, kind):
    hosts = cluster.get(kind, [])
    is_list = isinstance(hosts, list) and all(isinstance(host, str) for host in hosts)
    if not is_list or not all(re.fullmatch(r".+:\d+", host) for host in hosts):
        raise ValueError(f'cluster\'s {kind!r} must be a list of "host:port", not {hosts!r}')
    return len(hosts)


def place_of_process() -> tuple[int, int]:
    """The index of this process and the number of all, by TF_CONFIG; an `InputError` without."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        chiefs, workers = (_process_count(cluster, name) for name in ("chief", "worker"))
    except KeyError as error:
        missing = "is not set" if error.args[0] == "TF_CONFIG" else f"lacks {error.args[0]!r}"
        raise InputError(f"TF_CONFIG {missing}. {_HOW}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG can't be read: {error}. {_HOW}") from None
    place = index if kind == "chief" else chiefs + index
    if kind not in ("chief", "worker") or not 0 <= place < chiefs + workers:
        raise InputError(f"TF_CONFIG names no {kind} {index}. {_HOW}")
    return place, chiefs + workers
