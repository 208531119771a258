"""The reconstruction error of pictures that the model does not train on, while it trains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_mmdvlae.config.settings import Config, DataConfig
from tf_mmdvlae.data import description, pipeline
from tf_mmdvlae.model.mmdvlae import MMDVLAE

_IMAGES = 256
_ROWS = 64
# A run measures so often at most, and so rarely that it costs 2% of the time, where a step takes
# three times as long as a reconstruction of its images.
_TIMES = 25
_SHARE = 0.02
_STEP = 3
# The error may rise by a twentieth from its lowest value, as it does when layers fade in; half as
# much again as on training images is more than the default runs of MNIST and CelebA show.
_RISE = 1.05
_GAP = 1.5
# A mean over fewer images says little about the others.
_FEWEST = 16


class HeldOut:
    """Measures a model on some training images and on as many held-out ones, in the same way.

    The error is that of training (l1, mse or bce, a mean over pixels and channels), of one sampled
    code an image. But no layer is dropped, no image flipped, batch normalization takes its averages
    and the noise is the same each time, so that the two errors can be compared with each other and
    with those of other steps. It is a function of the weights and the step alone, and changes
    nothing in training.

    `every` is the least number of steps between two measurements.
    """

    def __init__(self, config: Config, train: pipeline.Split, held_out: pipeline.Split):
        self._parts = {"train": _first(train), "val": _first(held_out)}
        settings = config.train
        images = sum(len(batch) for part in self._parts.values() for batch in part)
        affordable = images / (_STEP * settings.batch_size * _SHARE)
        self.every = math.ceil(max(settings.steps / _TIMES, affordable))
        self._error: tf.types.experimental.GenericFunction | None = None

    def measure(self, model: MMDVLAE, step: int) -> dict[str, float]:
        """Measures {"train_reconstruction", "val_reconstruction"} after `step` steps."""
        if self._error is None:
            shape = [None, *model.config.image_shape]
            number = tf.TensorSpec([], tf.int64)
            signature = [tf.TensorSpec(shape, tf.float32), number, number]
            self._error = tf.function(
                model.sampled_error, input_signature=signature, autograph=False
            )
        values = {}
        for name, batches in self._parts.items():
            errors = [float(self._error(batch, step, k)) for k, batch in enumerate(batches)]
            rows = [len(batch) for batch in batches]
            values[f"{name}_reconstruction"] = float(np.average(errors, weights=rows))
        return values


def _first(split):
    batches = pipeline.evaluation_batches(split, _ROWS).take(math.ceil(_IMAGES / _ROWS))
    with pipeline.explained_stream(split):
        return list(batches.as_numpy_iterator())


def load_held_out(config: Config, test: pipeline.Split) -> pipeline.Split:
    """Reads the images to watch: those of the split "validation", or `test` where there is none.

    The data set must have a split of that name, and the config must train on "train" and test on
    "test", whole or in part. The first images are read, as many as `HeldOut` takes.
    """
    data = config.data
    if not _has_validation(data):
        return test
    split = f"validation[:{_IMAGES}]"
    data = config.changed(data={"test_split": split, "cache": "memory"}).data
    return pipeline.load_split(data, config.model.image_shape, "test")


def _has_validation(data: DataConfig) -> bool:
    names = [split.partition("[")[0] for split in (data.train_split, data.test_split)]
    if data.dataset == "image_folder" or names != ["train", "test"]:
        return False
    return description.describe(data).splits.get("validation", 0) > 0


def standing(history: Sequence[Mapping[str, float]], config: Config) -> tuple[int, int]:
    """The step with the lowest held-out error, and how many measurements came after it.

    Those count that came after the last layer had faded in, and after `train.continued_from`.
    Returns (0, 0) if there are none.
    """
    train = config.train
    fade_in = train.fade_in(len(config.model.latent_dims)) or ()
    begins = max([train.continued_from, *(end for _, end in fade_in)])
    errors = {
        int(record["step"]): record["val_reconstruction"]
        for record in history
        if record["step"] > begins and record.get("val_reconstruction") is not None
    }
    if not errors:
        return 0, 0
    best = min(errors, key=lambda step: (errors[step], step))
    return best, sum(step > best for step in errors)


def has_stopped(history: Sequence[Mapping[str, float]], config: Config) -> bool:
    """Whether a run got no better for `train.stop_after` measurements."""
    return 0 < config.train.stop_after <= standing(history, config)[1]


def overfitting(history: Sequence[Mapping[str, float]], images: int) -> str:
    """Says that a run overfitted, and what to do; "" if it did not.

    A run overfits where the error of held-out images ends more than 5% above its lowest value while
    that of training images fell, or ends above 1.5 times that of training images, if it is that of
    16 images or more.

    Args:
      history: the log; records with "step", "train_reconstruction" and "val_reconstruction" count.
      images: the number of held-out images.
    """
    names = ("val_reconstruction", "train_reconstruction")
    measured = [one for one in history if all(one.get(name) is not None for name in names)]
    if not measured:
        return ""
    best, last = min(measured, key=lambda record: record["val_reconstruction"]), measured[-1]
    held_out, trained = last["val_reconstruction"], last["train_reconstruction"]
    errors = f"{held_out:.4f} on held-out images and {trained:.4f} on training images"
    advice = "More pictures help, and --config.data.flip=true where mirror images make sense"
    fell = trained < best["train_reconstruction"]
    if fell and held_out > _RISE * best["val_reconstruction"]:
        return (
            f"The run overfits: the reconstruction error is {errors}, but was "
            f"{best['val_reconstruction']:.4f} on held-out images at step {best['step']:,}. "
            f"Fewer --steps in another --workdir give a better model. {advice}."
        )
    if images >= _FEWEST and held_out > _GAP * trained:
        return (
            "The run knows its training images much better than others: the reconstruction error "
            f"is {errors}. {advice}."
        )
    return ""
