"""What a training step is computed in: precision and compilation."""

import contextlib

import keras
import tensorflow as tf

from tf_mmdvlae.errors import InputError


@contextlib.contextmanager
def precision(name):
    """Layers made inside the block compute in `name`, a Keras dtype policy.

    Args:
      name: one of `config.PRECISIONS`.

    Raises:
      InputError: if no device here can train in it.
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


def jit_compile(xla):
    """What Keras's `compile` takes as `jit_compile` for one of `config.XLA`."""
    return {"auto": "auto", "on": True, "off": False}[xla]
