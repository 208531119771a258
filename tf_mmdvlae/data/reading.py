"""Reads every image of a source once, in several threads; leaves out what can't be read."""

import collections
import concurrent.futures
import dataclasses
import logging
import os
import time

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data.decode import decode

_log = logging.getLogger(__name__)

TOLERATED = 0.01
"""The share of unreadable images above which something else must be wrong."""

_BATCH = 256
_TASK = 32
_IN_FLIGHT = 4
_QUIET_SECONDS = 3


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a pass over a source found.

    Attributes:
      readable: bool [count], which images of the source can be decoded.
      labels: name -> [n], of the readable images in their order.
    """

    readable: np.ndarray
    labels: dict[str, np.ndarray]


def read(source, image_shape, crop, store=None):
    """Decodes every image of `source`.

    Args:
      source: a `TFDSSource` or `FolderSource`.
      image_shape: height, width, channels to scale to.
      crop: side of the centre that is kept, in (0, 1].
      store: uint8 [source.count, height, width, channels], whose first n rows are filled with the n
        readable images; None keeps no pixels.

    Returns:
      A `Reading`.

    Raises:
      InputError: if more than 1% of the images can't be decoded.
    """
    readable = np.zeros(source.count, bool)
    labels = collections.defaultdict(list)
    enlarged = unreadable = kept = seen = 0
    progress, began, shown = Progress(source.count, "images read"), time.monotonic(), False

    def decode_some(contents):
        return [_attempt(content, image_shape, crop, source.upright) for content in contents]

    def batches(pool):
        waiting = collections.deque()
        for contents, batch_labels in source.batches(_BATCH):
            tasks = [
                pool.submit(decode_some, contents[at : at + _TASK])
                for at in range(0, len(contents), _TASK)
            ]
            waiting.append((tasks, batch_labels))
            if len(waiting) == _IN_FLIGHT:
                yield waiting.popleft()
        yield from waiting

    with concurrent.futures.ThreadPoolExecutor(processors()) as pool:
        try:
            for tasks, batch_labels in batches(pool):
                good = []
                outcomes = (outcome for task in tasks for outcome in task.result())
                for pixels, small in outcomes:
                    if isinstance(pixels, Exception):
                        unreadable += 1
                        identifier = source.identify(seen + len(good))
                        _log.warning("%s can't be read and is left out: %s", identifier, pixels)
                        if unreadable > TOLERATED * source.count:
                            raise InputError(
                                f"{unreadable} images of {source.name} can't be read, more than 1% "
                                f"of its {source.count}; the last was {identifier}: {pixels}"
                            )
                        good.append(False)
                        continue
                    good.append(True)
                    enlarged += small
                    if store is not None:
                        store[kept] = pixels
                    kept += 1
                readable[seen : seen + len(good)] = good
                for name, values in batch_labels.items():
                    labels[name].append(values[good])
                seen += len(good)
                if shown or time.monotonic() - began > _QUIET_SECONDS:
                    shown = True
                    progress.update(seen, source.name)
        finally:
            pool.shutdown(cancel_futures=True)
    if shown:
        progress.close()
    if enlarged:
        _log.warning(
            "%d of the %d images of %s are smaller than %dx%d pixels and were enlarged.",
            *(enlarged, kept, source.name, image_shape[1], image_shape[0]),
        )
    return Reading(readable, {name: np.concatenate(parts) for name, parts in labels.items()})


def _attempt(content, image_shape, crop, upright):
    try:
        return decode(content, image_shape, crop, upright)
    except Exception as error:  # Pillow raises whatever its decoders ran into.
        return error, False


def processors():
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
