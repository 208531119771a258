"""How fast a data set's pictures come: decoded anew, from the disk cache, from memory."""

import dataclasses
import mmap
import os
import pathlib
import shutil
import time

import numpy as np

from benchmarks.harness import seconds, spread
from benchmarks.steps import compile_step, make_ladder
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.reading import processors


def input_speed(config, images=8000, rounds=5):
    """Images/s of a data set's input, beside the preset's training steps in the same rounds.

    "cold" decodes every image once and keeps it, as the first pass of a run does. "disk" is an
    epoch of training batches from the disk cache, its pages put out of memory before; "memory" is
    an epoch of those from memory. A disk cache that was not there before is removed.

    Args:
      config: a `Config` whose data set is there.
      images: how many of the training images are taken at most, the first ones; of an image folder,
        and of a slice, all are.
      rounds: how often all but "cold" are measured.

    Returns:
      {"images", "batch_size", "cores", "training_images_per_second", "rows"}; "rows" is name ->
      {"images_per_second", "images_per_core_second" (of processor time), "ratio" (to training)},
      each {"median", "low", "high"}.

    Raises:
      InputError: if the data set can't be read, or holds less than a batch.
    """
    shape, size = config.model.image_shape, config.train.batch_size
    data = _shortened(config.data, images)

    clock = _Clock()
    memory = pipeline.load_split(dataclasses.replace(data, cache="memory"), shape, "train")
    cold = clock.images_per_second(memory.size)

    began = time.time()
    disk = pipeline.load_split(dataclasses.replace(data, cache="disk"), shape, "train")
    try:
        speeds = _rounds(config, {"disk": disk, "memory": memory}, rounds)
    finally:
        folder = pathlib.Path(disk.images.filename).parent
        if folder.stat().st_mtime >= began:
            shutil.rmtree(folder)
    training = np.array(speeds.pop("training"))[:, 0]
    speeds = {"cold": [cold], **speeds}
    rows = {}
    for name, measured in speeds.items():
        wall, core = np.array(measured).T
        rows[name] = {
            "images_per_second": spread(wall),
            "images_per_core_second": spread(core),
            "ratio": spread(wall / training),
        }
    return {
        "images": memory.size,
        "batch_size": size,
        "cores": processors(),
        "training_images_per_second": spread(training),
        "rows": rows,
    }


def _shortened(data, images):
    if data.dataset == "image_folder":
        return data
    held = pipeline.describe(data).splits.get(data.train_split, 0)
    if held <= images:
        return data
    return dataclasses.replace(data, train_split=f"{data.train_split}[:{images}]")


def _rounds(config, splits, rounds):
    size = config.train.batch_size
    batches = {
        name: pipeline.training_batches(split, size, 0, flip=config.data.flip)
        for name, split in splits.items()
    }
    batch = next(iter(batches["memory"]))
    step = compile_step(make_ladder(config), batch)
    seconds(lambda: step(batch), 2)
    speeds = {"training": [], **{name: [] for name in splits}}
    for _ in range(rounds):
        clock = _Clock()
        for _ in range(5):
            step(batch)["loss"].numpy()
        speeds["training"].append(clock.images_per_second(5 * size))
        for name, split in splits.items():
            if name == "disk":
                _put_out_of_memory(split.images)
            count = max(1, split.size // size)
            # An iterator of the last round holds batches that it read before.
            iterator = iter(batches[name])
            clock = _Clock()
            for _ in range(count):
                next(iterator)
            speeds[name].append(clock.images_per_second(count * size))
    return speeds


class _Clock:
    """Starts when it is made."""

    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def images_per_second(self, images):
        """(Images a second of time, images a second of one core's work) since the start."""
        wall = time.perf_counter() - self.wall
        return images / wall, images / (time.process_time() - self.processor)


def _put_out_of_memory(images):
    if not hasattr(os, "posix_fadvise"):
        return
    # A page that is mapped stays.
    images._mmap.madvise(mmap.MADV_DONTNEED)
    descriptor = os.open(images.filename, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
