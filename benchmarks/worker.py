"""One of the processes that `scaling` times: `python -m benchmarks.worker SETTINGS`."""

import json
import sys
import time

import keras
import numpy as np

from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.training.workers import Workers

_IMAGES = 4096


class _Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        # Waits for the step.
        float(logs["loss"])
        self.ends.append(time.perf_counter())


def main(settings):
    """Trains for some steps and prints the seconds of each after the first few, as JSON."""
    config = Config.from_dict(settings["config"])
    train = config.train
    workers = Workers(train.distribute)
    keras.utils.set_random_seed(0)
    with workers.strategy.scope():
        model = MMDVLAE(config.model, 0, train.fade_in(len(config.model.latent_dims)))
        model.compile(FusedAdam(train.learning_rate))
    size = max(_IMAGES, train.batch_size)
    images = np.random.default_rng(0).integers(0, 256, (size, *config.model.image_shape), np.uint8)
    split = pipeline.Split("train", images, {}, {}, size)
    batches = pipeline.training_batches(split, train.batch_size, 0, share=workers.share)
    clock, unmeasured = _Clock(), settings["unmeasured"]
    model.fit(
        workers.feed(batches),
        steps_per_epoch=settings["steps"] + unmeasured,
        verbose=0,
        callbacks=[clock],
    )
    workers.wait()
    print(json.dumps(np.diff(clock.ends)[unmeasured - 1 :].tolist()))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
