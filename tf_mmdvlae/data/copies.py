"""Files that hold the same bytes."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence

from tf_mmdvlae.data.decode import MOST_BYTES
from tf_mmdvlae.data.reading import processors

_TASK = 256


def copies(paths: Sequence[str]) -> list[list[int]]:
    """Groups of two or more positions in `paths` whose files have the same bytes.

    Only files of the same size are read. One that can't be read, or is too large for a picture, is
    nobody's copy.
    """
    by_size = _grouped(range(len(paths)), map(_size, paths))
    alike = [position for group in by_size for position in group]
    tasks = [alike[at : at + _TASK] for at in range(0, len(alike), _TASK)]
    with concurrent.futures.ThreadPoolExecutor(processors()) as pool:
        digests = pool.map(lambda task: [_digest(paths[position]) for position in task], tasks)
        return _grouped(alike, itertools.chain.from_iterable(digests))


def _grouped(positions: Iterable[int], keys: Iterable[object]) -> list[list[int]]:
    """The positions that share a key, of each key but None that two or more have."""
    groups = collections.defaultdict(list)
    for position, key in zip(positions, keys, strict=True):
        if key is not None:
            groups[key].append(position)
    return [group for group in groups.values() if len(group) > 1]


def _size(path):
    try:
        size = os.stat(path).st_size
    except OSError:
        return None
    return size if size <= MOST_BYTES else None


def _digest(path):
    try:
        status = os.stat(path)
        return _digest_of(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=2**20)
def _digest_of(path, size, modified):
    """A file's digest, read once a process as long as it does not change."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
