"""How fast a data set's pictures come: decoded anew, from the disk cache, from memory."""

import dataclasses
import mmap
import os
import pathlib
import shutil
import time

import numpy as np

from benchmarks.harness import compile_step, make_ladder, seconds, spread
from tf_mmdvlae.config.settings import Config, DataConfig
from tf_mmdvlae.data import description, pipeline
from tf_mmdvlae.data.reading import processors

_TRAINING_STEPS = 5


def input_speed(config: Config, images: int = 8000, rounds: int = 5) -> dict:
    """Images/s of a data set's input, beside the preset's training steps in the same rounds.

    "cold", which is measured once, decodes every image and keeps it, as the first pass of a run
    does. "disk" is an epoch of training batches from the disk cache, whose pages leave memory
    first; "memory" is an epoch of training batches from memory. A disk cache that is new is removed
    at the end. The first `images` training images take part, but all of an image folder or a slice.

    Returns:
      {"images", "batch_size", "cores", "training_images_per_second", "rows"}; "rows" is name ->
      {"images_per_second", "images_per_core_second" (of processor time), "ratio" (to training)}.

    Raises:
      InputError: if the data set can't be read, or has fewer images than a batch.
    """
    shape, data = config.model.image_shape, first_images(config.data, images)
    clock = _Clock()
    memory = pipeline.load_split(dataclasses.replace(data, cache="memory"), shape, "train")
    cold = clock.images_per_second(memory.size)
    start = time.time()
    disk = pipeline.load_split(dataclasses.replace(data, cache="disk"), shape, "train")
    try:
        speeds = _rounds(config, {"disk": disk, "memory": memory}, rounds)
    finally:
        folder = pathlib.Path(disk.images.filename).parent
        if folder.stat().st_mtime >= start:
            shutil.rmtree(folder)
    training = np.array(speeds.pop("training"))[:, 0]
    rows = {}
    for name, values in {"cold": [cold], **speeds}.items():
        wall, core = np.array(values).T
        rows[name] = {
            "images_per_second": spread(wall),
            "images_per_core_second": spread(core),
            "ratio": spread(wall / training),
        }
    return {
        "images": memory.size,
        "batch_size": config.train.batch_size,
        "cores": processors(),
        "training_images_per_second": spread(training),
        "rows": rows,
    }


def first_images(data: DataConfig, most: int) -> DataConfig:
    """The data, of which the training split has at most `most` images, where it can be cut."""
    if data.dataset == "image_folder":
        return data
    if description.describe(data).splits.get(data.train_split, 0) <= most:
        return data
    return dataclasses.replace(data, train_split=f"{data.train_split}[:{most}]")


def _rounds(config, splits, rounds):
    size, flip = config.train.batch_size, config.data.flip
    batches = {
        name: pipeline.training_batches(split, size, 0, flip=flip) for name, split in splits.items()
    }
    batch = next(iter(batches["memory"]))
    step = compile_step(make_ladder(config), batch)
    seconds(lambda: step(batch), 2)
    speeds = {name: [] for name in ("training", *splits)}
    for _ in range(rounds):
        clock = _Clock()
        for _ in range(_TRAINING_STEPS):
            step(batch)["loss"].numpy()
        speeds["training"].append(clock.images_per_second(_TRAINING_STEPS * size))
        for name, split in splits.items():
            if name == "disk":
                _drop_pages(split.images)
            count = max(1, split.size // size)
            # The iterator of an earlier round already holds some batches.
            iterator = iter(batches[name])
            clock = _Clock()
            for _ in range(count):
                next(iterator)
            speeds[name].append(clock.images_per_second(count * size))
    return speeds


class _Clock:
    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def images_per_second(self, images):
        """Since the clock was made: (images per second, images per second of processor time)."""
        wall = time.perf_counter() - self.wall
        return images / wall, images / (time.process_time() - self.processor)


def _drop_pages(images):
    """Makes the next read of a memory-mapped file come from the disk."""
    if not hasattr(os, "posix_fadvise"):
        return
    # The system keeps a page that is mapped.
    images._mmap.madvise(mmap.MADV_DONTNEED)
    with open(images.filename, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
