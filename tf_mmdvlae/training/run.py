"""A run: its settings, its folder, the processes that train it, and the model that they make."""

from __future__ import annotations

import pathlib

import keras

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model import devices
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.schedule import HoldThenCosine
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.workdir import Workdir
from tf_mmdvlae.training.workers import Workers


class Run:
    """What one process needs to train its share of a run.

    Make it before TensorFlow computes anything.

    Args:
      config: the settings; `train.distribute` says which processes there are.
      workdir: the folder of the run. The chief works in it; each other process works in
        `workers/<index>/` below it.

    Attributes:
      config: the settings.
      workers: the processes that train together, and which of them this one is.
      workdir: the folder of this process.
      checkpoints: the checkpoints of this process.
      rollbacks: how often the run has gone back to a checkpoint, each time with half the learning
        rate.
      splits: the images by the name of their split, "train" and "test", once they are loaded.
    """

    def __init__(self, config: Config, workdir: pathlib.Path | str):
        self.config = config
        self.workers = Workers(config.train.distribute)
        folder = pathlib.Path(workdir)
        if not self.workers.is_chief:
            folder = folder / "workers" / str(self.workers.index)
        self.workdir = Workdir(folder)
        self.checkpoints = Checkpoints(self.workdir.checkpoints, config.train.keep_checkpoints)
        self.rollbacks = 0
        self.splits: dict[str, pipeline.Split] = {}

    def load_splits(self) -> None:
        """Loads both splits, so that a fault in either shows before the first step.

        Raises:
          InputError: if a split cannot be loaded or has too few images.
        """
        self.splits = {
            name: pipeline.load_split(self.config.data, self.config.model.image_shape, name)
            for name in ("train", "test")
        }
        size, batch = self.splits["train"].size, self.config.train.batch_size
        if size < batch:
            raise InputError(
                f"The training split has {size} images, fewer than a batch of {batch}; give "
                + (f"--batch_size={size} or less." if size > 1 else "more images, at least 2.")
            )
        if self.splits["test"].size < 2:
            raise InputError(
                f"The test split has {self.splits['test'].size} images; at least 2 are needed. "
                "Give more images or a larger --config.data.test_fraction."
            )

    def make_model(self) -> MMDVLAE:
        """Makes the untrained model on the devices of all processes."""
        with self.workers.strategy.scope():
            return make_model(self.config, self.rollbacks)

    def restore(self, model: keras.Model) -> int:
        """Loads the newest checkpoint that any process has into the model of every process.

        Returns:
          The checkpoint's step; 0 if there is none.
        """
        if self.workers.count == 1:
            with self.workers.strategy.scope():
                return self.checkpoints.restore(model)
        source, step = self.workers.newest(self.checkpoints.newest()[0])
        with self.workers.strategy.scope():
            model.optimizer.build(model.trainable_variables)
        if step:
            values = None
            if self.workers.index == source:
                # All processes must assign a distributed variable together, but only this one has
                # the file, so it reads the file into a model of its own first.
                reader = make_model(self.config)
                self.checkpoints.restore(reader)
                values = _float_variables(reader)
            self.workers.copy(_float_variables(model), values, source)
            model.optimizer.iterations.assign(step)
        return step

    def single_device_model(self, model: keras.Model) -> MMDVLAE:
        """Copies the weights and the optimizer of `model` to one device, in float32."""
        if (self.config.train.precision, self.config.train.distribute) == ("float32", "none"):
            return model
        copy = make_model(self.config.changed(train={"precision": "float32"}), self.rollbacks)
        copy.optimizer.build(copy.trainable_variables)
        copy.set_weights(model.get_weights())
        # Where losses are scaled, the optimizer that steps is an inner one.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        for mine, theirs in zip(copy.optimizer.variables, optimizer.variables, strict=True):
            mine.assign(theirs)
        return copy


def make_model(config: Config, rollbacks: int = 0) -> MMDVLAE:
    """Makes the untrained, compiled model of a config; each rollback halves the learning rate."""
    train = config.train
    keras.utils.set_random_seed(train.seed)
    rate = HoldThenCosine(train.learning_rate / 2**rollbacks, train.steps, train.decay_start)
    with devices.precision(train.precision):
        fade_in = train.fade_in(len(config.model.latent_dims))
        model = MMDVLAE(config.model, train.seed, fade_in)
    model.compile(
        optimizer=FusedAdam(rate),
        jit_compile=devices.jit_compile(train.xla),
        steps_per_execution=train.steps_per_execution,
    )
    return model


def _float_variables(model: MMDVLAE) -> list:
    variables = (*model.weights, *model.optimizer.variables)
    return [variable for variable in variables if str(variable.dtype).startswith("float")]
