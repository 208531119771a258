"""What a training step is computed on and in: replicas, precision, compilation."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Layers made inside the block compute in the Keras dtype policy `name`.

    An InputError says that no device here can train in it.
    """
    if name == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise InputError(
            "train.precision is 'mixed_float16', for which TensorFlow needs a GPU, and there is "
            "none; use --precision=mixed_bfloat16 or float32."
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def exchange_dtype(precision: str, distribute: str) -> str:
    """What replicas send gradients in, "float32" or "bfloat16", for the fields of `TrainConfig`.

    An InputError says that the devices here can't.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if precision == "auto":
        return "bfloat16" if distribute == "multi_worker" and not has_gpu else "float32"
    if precision == "bfloat16" and distribute != "none" and has_gpu:
        raise InputError(
            "train.exchange_precision is 'bfloat16', in which TensorFlow sends nothing between "
            "GPUs; use float32 or auto."
        )
    return precision


def jit_compile(xla: str) -> bool | str:
    """What Keras's `compile` takes as `jit_compile` for `TrainConfig.xla`."""
    return "auto" if xla == "auto" else xla == "on"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of arrays or tensors to a graph that serves any number of rows.

    Its `if` and loops are Python's own: none may depend on a tensor.
    """
    return tf.function(function, reduce_retracing=True, autograph=False)


@dataclasses.dataclass(frozen=True)
class Replica:
    """One of `count` copies of a model, from 0 on, that each compute a part of a training step."""

    index: int | tf.Tensor
    count: int

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """This replica's rows [n, ...] of those of the whole batch [count * n, ...]."""
        if self.count == 1:
            return rows
        size = tf.shape(rows)[0] // self.count
        return rows[self.index * size : (self.index + 1) * size]

    def gather(self, *parts: tf.Tensor) -> Sequence[tf.Tensor]:
        """The rows of all replicas, in one exchange: tensors [n, d] -> [count * n, d].

        What is computed of them must be the same in all replicas: the gradient is that of the sum
        over replicas, and none asks the others for theirs.
        """
        if self.count == 1:
            return parts

        @tf.custom_gradient
        def gather(own):
            joined = tf.distribute.get_replica_context().all_gather(own, axis=0)
            # Between the devices of one process the number of rows is forgotten.
            joined.set_shape([own.shape[0] and own.shape[0] * self.count, own.shape[1]])
            return joined, lambda upstream: self.count * self.part(upstream)

        joined = gather(tf.concat(parts, axis=1))
        return tf.split(joined, [part.shape[1] for part in parts], axis=1)

    def rounded(
        self, gradients: Sequence[tf.Tensor | None], dtype: str
    ) -> Sequence[tf.Tensor | None]:
        """Gradients as they are sent to the other replicas; None, for what has none, stays."""
        if self.count == 1:
            return gradients
        return [None if one is None else tf.cast(one, dtype) for one in gradients]

    def mean(self, values: Any) -> Any:
        """The means over all replicas of a nested structure of tensors, in one exchange."""
        if self.count == 1:
            return values
        parts = [tf.cast(part, tf.float32) for part in tf.nest.flatten(values)]
        packed = tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, packed)
        pieces = tf.split(mean, [part.shape.num_elements() for part in parts])
        means = [tf.reshape(piece, part.shape) for piece, part in zip(pieces, parts, strict=True)]
        return tf.nest.pack_sequence_as(values, means)


ALONE = Replica(0, 1)


def replica() -> Replica:
    """The `Replica` that is computing; `ALONE` outside a `tf.distribute` strategy."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return ALONE
    return Replica(context.replica_id_in_sync_group, context.num_replicas_in_sync)


def synchronize_normalization(model: keras.Model) -> None:
    """Lets batch normalization see the whole batch, and not each replica's part of it alone."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
