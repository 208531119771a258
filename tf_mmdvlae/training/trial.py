"""A few steps of a run, taken to tell what the whole run would take here; nothing is written."""

from __future__ import annotations

import math
import pathlib
import time
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.memory import available_memory, peak_memory
from tf_mmdvlae.config.memory import require_memory
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.serving.export import require_same_model
from tf_mmdvlae.training.finish import finishing_seconds
from tf_mmdvlae.training.run import Run, require_images

STEPS = 20
"""How many steps are timed."""

# The first of them compile the step and fill the buffers.
_WARM = 3


class Speed(NamedTuple):
    """What steps took, and what a run would take.

    Attributes:
      images: number of training images.
      images_per_second: over the timed steps.
      memory: the most bytes that this process took, or of a GPU's memory.
      reading, training, finishing: seconds until the first step, to the last one, and from there
        until the end.
    """

    images: int
    images_per_second: float
    memory: int
    reading: float
    training: float
    finishing: float


class Trial:
    """A run that is tried: its untrained model, the devices, and the step it would go on from.

    Attributes:
      parameters: the number of the model's weights.
      devices: the names of what would train.
      start: the step of the newest checkpoint in the workdir, 0 if there is none.

    Raises:
      InputError: for what can't train here: too little memory, an export of another model, or
        several workers.
    """

    def __init__(self, config: Config, workdir: pathlib.Path | str, export_dir: pathlib.Path | str):
        if config.train.distribute == "multi_worker":
            raise InputError(
                "--dry_run tries one machine; leave --distribute=multi_worker out, and give the "
                "share of the batch that a machine takes as --batch_size."
            )
        self._gpus = tf.config.list_physical_devices("GPU")
        if not self._gpus:
            require_memory(config, available_memory())
        require_same_model(export_dir, config.model.image_shape, config.data)
        self._run = Run(config, workdir)
        self._run.admit_trunk()
        self._model = self._run.make_model()
        found = self._gpus or tf.config.list_physical_devices("CPU")
        self.devices = ", ".join(one.name.removeprefix("/physical_device:") for one in found)
        self.parameters: int = self._model.count_params()
        self.start = max(self._run.checkpoints.steps(), default=0)

    def speed(self) -> Speed:
        """Trains on the first images of the data set, which must be prepared."""
        config, run = self._run.config, self._run
        data, train = config.data, config.train
        each = train.steps_per_execution
        executions = _WARM + math.ceil(STEPS / each)
        began = time.perf_counter()
        count = executions * each * train.batch_size
        split, sizes = pipeline.load_first(data, config.model.image_shape, count)
        read = (time.perf_counter() - began) / split.size
        require_images(sizes, train.batch_size)
        batches = pipeline.training_batches(
            split, train.batch_size, train.seed, flip=data.flip, share=run.workers.share
        )
        clock = _Clock()
        with pipeline.explained_stream(split):
            self._model.fit(
                run.workers.feed(batches),
                steps_per_epoch=executions * each,
                shuffle=False,
                verbose=0,
                callbacks=[clock],
            )
        seconds = clock.times[-1] - clock.times[_WARM - 1]
        rate = (executions - _WARM) * each * train.batch_size / seconds
        memory = peak_memory()
        if self._gpus:
            memory = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        return Speed(
            images=sizes["train"],
            images_per_second=rate,
            memory=memory,
            reading=read * sum(sizes.values()),
            training=(train.steps - self.start) * train.batch_size / rate,
            finishing=finishing_seconds(config, sizes, rate),
        )


class _Clock(keras.callbacks.Callback):
    """When each return to Python came, in seconds."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        # A GPU works ahead of Python until its numbers are read.
        float(logs["loss"])
        self.times.append(time.perf_counter())
