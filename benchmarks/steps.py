"""A preset's training step, compiled as `fit` compiles it."""

import keras
import tensorflow as tf

from tf_mmdvlae.model.devices import precision
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE


def mixed_policy():
    """The mixed precision that this machine is made for."""
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


def make_ladder(config, policy="float32"):
    """The compiled `MMDVLAE` of a `Config`, its noise and fading in as in a run."""
    keras.utils.set_random_seed(0)
    with precision(policy):
        fade_in = config.train.fade_in(len(config.model.latent_dims))
        model = MMDVLAE(config.model, fade_in=fade_in)
    model.compile(FusedAdam(config.train.learning_rate))
    return model


def compile_step(model, data):
    """The compiled training step of a Keras model for batches like `data`.

    Args:
      model: a `keras.Model` after `compile`.
      data: what its `train_step` takes.

    Returns:
      A `tf.types.experimental.ConcreteFunction` of `data`; it returns the step's metrics.
    """
    # As `fit` does: on a GPU the step is compiled, and what is compiled can make no variables.
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step, jit_compile=model.jit_compile)
    return step.get_concrete_function(data)
