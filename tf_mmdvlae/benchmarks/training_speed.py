"""How fast a preset trains, and what a step spends its time on."""

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae import mmd
from tf_mmdvlae.benchmarks.timing import seconds, spread
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model import MMDVLAE

_STEPS = 20
_SPLIT_IMAGES = 16_384


def training_speed(config, rounds=5):
    """Images per second of a preset's training step and input, on random images.

    Each round times, one after the other: training steps on a batch that is already there, the
    gradients of all MMD terms for codes of the batch's size, and the cached input alone.

    Args:
      config: a `Config`.
      rounds: how many rounds.

    Returns:
      {"images_per_second", "mmd_share", "input_images_per_second", "input_ratio"}, each
      {"median", "low", "high"} over the rounds: training speed; time of the MMD terms with their
      gradients as a share of the step's; input speed; input speed / training speed.
    """
    settings, size = config.model, config.train.batch_size
    keras.utils.set_random_seed(0)
    model = MMDVLAE(settings, fade_in=config.train.fade_in(len(settings.latent_dims)))
    model.compile(keras.optimizers.Adam(config.train.learning_rate))
    shape = (_SPLIT_IMAGES, *settings.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    split = pipeline.Split("train", images, {}, {}, _SPLIT_IMAGES)
    # Wide enough for the iterator to have stopped filling its buffers when it is timed.
    batches = iter(pipeline.training_batches(split, size, 0, flip=config.data.flip))
    batch = next(batches)
    # As `fit` does: on a GPU both are compiled, and what is compiled can make no variables.
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step, jit_compile=model.jit_compile)
    penalties = _penalties(settings, size, model.jit_compile)
    for _ in range(3):
        step(batch)
        penalties()
    table = {"step": [], "mmd": [], "input": []}
    for _ in range(rounds):
        table["step"].append(seconds(lambda: step(batch), _STEPS))
        table["mmd"].append(seconds(penalties, _STEPS))
        table["input"].append(seconds(lambda: next(batches), 10 * _STEPS))
    step_time, mmd_time, input_time = (np.array(table[name]) for name in ("step", "mmd", "input"))
    return {
        "batch_size": size,
        "images_per_second": spread(size / step_time),
        "mmd_share": spread(mmd_time / step_time),
        "input_images_per_second": spread(size / input_time),
        "input_ratio": spread(step_time / input_time),
    }


def _penalties(settings, size, jit_compile):
    dimensions = (*settings.latent_dims, sum(settings.latent_dims))
    codes = [tf.random.stateless_normal((size, d), (0, d)) for d in dimensions]
    kernels = [mmd.kernel_for_dimension(settings.kernel, settings.scales, d) for d in dimensions]

    @tf.function(jit_compile=jit_compile)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(codes)
            total = 0.0
            for code, kernel in zip(codes, kernels, strict=True):
                if settings.prior == "closed_form":
                    total += mmd.mmd_squared_to_normal(code, kernel, settings.estimator)
                else:
                    prior = tf.random.stateless_normal(tf.shape(code), (1, 1))
                    total += mmd.mmd_squared(code, prior, kernel, settings.estimator)
        return tape.gradient(total, codes)

    return gradients
