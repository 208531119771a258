"""Processes that train one model together, each on devices of its own."""

import contextlib
import json
import math
import os
import re

import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, TrainingStopped, first_line
from tf_mmdvlae.data.pipeline import Share

# EX_TEMPFAIL of sysexits.h: what the one who started the process may try again.
_LOST = 75
_HOW = (
    'train.distribute=multi_worker needs one such as {"cluster": {"worker": ["host1:2222", '
    '"host2:2222"]}, "task": {"type": "worker", "index": 0}}.'
)


class Workers:
    """The processes of a `tf.distribute` strategy, and which of them this one is.

    Make it before TensorFlow computes anything.

    Args:
      distribute: `TrainConfig.distribute`.

    Attributes:
      strategy: the strategy under which the model is made.
      index: of this process, 0 ... count - 1; 0 is the chief, which writes what a run leaves.
      count: of processes.

    Raises:
      InputError: for "multi_worker" without a TF_CONFIG that names the workers.
    """

    def __init__(self, distribute):
        self.index, self.count = 0, 1
        if distribute == "none":
            self.strategy = tf.distribute.get_strategy()
        elif distribute == "mirrored":
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        else:
            self.index, self.count = _place()
            self.strategy = _several_workers()
        self._total = tf.function(self._sum, input_signature=[tf.TensorSpec([None], tf.float32)])

    @contextlib.contextmanager
    def losses_told(self):
        """Says so in one line, in place of TensorFlow's traceback, when another process is gone.

        Raises:
          TrainingStopped: if TensorFlow can't reach a process any more.
        """
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

    @property
    def is_chief(self):
        """Whether this process writes what the run leaves."""
        return self.index == 0

    @property
    def devices(self):
        """How many devices this process has of its own."""
        return self.strategy.num_replicas_in_sync // self.count

    @property
    def share(self):
        """What this process reads of every batch, a `pipeline.Share`."""
        return Share(self.index, self.count, self.devices)

    def feed(self, batches):
        """What `fit` takes to give each device its pieces of `batches`, made with `share`."""
        if self.strategy.num_replicas_in_sync == 1:
            return batches
        return self.strategy.distribute_datasets_from_function(lambda context: batches)

    def sum(self, values):
        """The sum over all processes of a float32 array [n]; all of them have to ask for it."""
        if self.count == 1:
            return np.asarray(values)

        return self._total(tf.constant(values, tf.float32)).numpy()

    def _sum(self, own):
        def add():
            context = tf.distribute.get_replica_context()
            # Of several devices of one process one alone brings its values.
            first = context.replica_id_in_sync_group % self.devices == 0
            brought = tf.where(first, own, tf.zeros_like(own))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, brought)

        return self.strategy.experimental_local_results(self.strategy.run(add))[0]

    def agree(self, said):
        """Whether any process said so; all of them have to say."""
        return bool(self.sum([float(said)])[0])

    @contextlib.contextmanager
    def refusing_together(self):
        """Where one process refuses what it was given, all do; all of them have to come here.

        Raises:
          InputError: that of the block, or one that points to the process that refused.
        """
        refusal = None
        try:
            yield
        except InputError as error:
            refusal = error
        if self.agree(refusal is not None):
            raise refusal or InputError(
                f"Worker {self.index} of {self.count} ends because another one refused; that one's "
                "message says what and why."
            )

    def of_chief(self, value):
        """The chief's float or None, to the precision of float32, in all processes alike."""
        own = (math.nan if value is None else value) if self.is_chief else 0.0
        value = float(self.sum([own])[0])
        return None if math.isnan(value) else value

    def wait(self):
        """Returns when all processes have come here."""
        self.sum([0.0])

    def newest(self, step):
        """Who has the newest checkpoint.

        Args:
          step: of this process's newest, 0 for none.

        Returns:
          (index of the process, step); (0, 0) if there is none.
        """
        # Two halves, so that a float32 holds each of them exactly.
        own = np.zeros((2, self.count), np.float32)
        own[:, self.index] = divmod(step, 2**20)
        high, low = self.sum(own.ravel()).reshape(2, -1).astype(np.int64)
        steps = high * 2**20 + low
        source = int(np.argmax(steps))
        return source, int(steps[source])

    def copy(self, variables, values):
        """Gives float variables the same values in all processes.

        Args:
          variables: of this process, in the order of every other's.
          values: what they shall be, in one process; None in all others.
        """
        sizes = [math.prod(variable.shape) for variable in variables]
        joined = np.zeros(sum(sizes), np.float32)
        if values is not None:
            joined = np.concatenate([np.asarray(value, np.float32).ravel() for value in values])
        parts = np.split(self.sum(joined), np.cumsum(sizes)[:-1])
        for variable, part in zip(variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape))


def _several_workers():
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (TypeError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"The workers of TF_CONFIG can't be started: {first_line(error)}. Each needs an "
            "address host:port of its own, with a port that is free."
        ) from error


def _addresses(cluster, kind):
    """How many processes of a kind the cluster has."""
    listed = cluster.get(kind, [])
    if not isinstance(listed, list) or not all(
        isinstance(one, str) and re.fullmatch(r".+:\d+", one) for one in listed
    ):
        raise ValueError(f'cluster\'s {kind!r} must be a list of "host:port", not {listed!r}')
    return len(listed)


def _place():
    """(index, count) of this process, by TF_CONFIG."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        chiefs, workers = (_addresses(cluster, kind) for kind in ("chief", "worker"))
    except KeyError as error:
        missing = "is not set" if error.args[0] == "TF_CONFIG" else f"lacks {error.args[0]!r}"
        raise InputError(f"TF_CONFIG {missing}. {_HOW}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG can't be read: {error}. {_HOW}") from None
    place = index if kind == "chief" else chiefs + index
    if kind not in ("chief", "worker") or not 0 <= place < chiefs + workers:
        raise InputError(f"TF_CONFIG names no {kind} {index}. {_HOW}")
    return place, chiefs + workers
