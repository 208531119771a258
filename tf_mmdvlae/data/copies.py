"""Files that hold the same bytes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_arrays, write_arrays
from tf_mmdvlae.common.paths import user_cache
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data.decode import MOST_BYTES
from tf_mmdvlae.data.reading import processors

_TASK = 256
_QUIET_SECONDS = 3
# Pictures that differ do so in their last bytes; first bytes tell of the camera.
_END = 4096
# Fewer are compared in a second.
_WORTH_KEEPING = 10_000
# Python gives no hash this value.
_UNREAD = -1


def originals(root: str, names: Sequence[str]) -> np.ndarray:
    """The position of the first file with the same bytes, int64 [n], for the files `names`.

    Links to one file are not read. Of other files only those of the same size are read, and whole
    only those with the same last 4,096 bytes. One that can't be read, or is too large for a
    picture, is nobody's copy. The answer for a large folder `root` is kept in the user's cache if
    all could be read, and is used again as long as names, sizes, times and inodes stay the same.
    """
    paths = [os.path.join(root, name) for name in names]
    firsts, sizes, key = _looked_at(paths)
    place = None
    if len(paths) >= _WORTH_KEEPING:
        # What can't be kept or is damaged is found out anew.
        with contextlib.suppress(InputError):
            folder = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
            place = user_cache("") / f"copies-{folder}.npz"
            kept = read_arrays(place)
            if str(kept.get("key")) == key:
                return kept["firsts"].astype(np.int64)
    alike = _shared(np.flatnonzero(sizes >= 0), sizes[sizes >= 0])
    results = _read(_end, [paths[position] for position in alike], "files compared")
    ends = np.fromiter(results, np.int64, len(alike))
    alike = _shared(alike, ends)
    digests = list(_read(_digest, [paths[position] for position in alike], "files compared whole"))
    first_of: dict[bytes, int] = {}
    for position, digest in zip(alike, digests, strict=True):
        if digest:
            firsts[position] = first_of.setdefault(digest, position)
    firsts = firsts[firsts]
    if place and _UNREAD not in ends and all(digests):
        with contextlib.suppress(InputError):
            write_arrays(place, {"key": np.array(key), "firsts": firsts})
    return firsts


def _looked_at(paths):
    """The first link to each file, [n]; the sizes of these links, -1 elsewhere; a digest of all."""
    firsts, sizes = np.arange(len(paths)), np.full(len(paths), -1, np.int64)
    first_of: dict[tuple[int, int], int] = {}
    key = hashlib.sha256()
    for position, path in enumerate(_shown(paths, len(paths), "files looked at")):
        key.update(os.fsencode(path))
        with contextlib.suppress(OSError):
            status = os.stat(path)
            # A file that takes another's place may have its size and time of change.
            times = status.st_mtime_ns, status.st_ctime_ns
            told = status.st_size, *times, status.st_ino, status.st_nlink
            key.update(f"\0{told}\0".encode())
            if status.st_nlink > 1:
                link = status.st_dev, status.st_ino
                firsts[position] = first_of.setdefault(link, position)
            if firsts[position] == position and status.st_size <= MOST_BYTES:
                sizes[position] = status.st_size
    return firsts, sizes, key.hexdigest()


def _shared(positions: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Those of `positions` whose key another one has too."""
    _, kinds, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return positions[counts[kinds] > 1]


def _read(read: Callable, paths: Sequence[str], unit: str) -> Iterator:
    tasks = [paths[at : at + _TASK] for at in range(0, len(paths), _TASK)]
    with concurrent.futures.ThreadPoolExecutor(processors()) as pool:
        results = pool.map(lambda task: [read(path) for path in task], tasks)
        yield from _shown(itertools.chain.from_iterable(results), len(paths), unit)


def _shown(items: Iterable, count: int, unit: str) -> Iterator:
    """The items, with a line of progress now and then."""
    progress = Progress(count, unit, images=0, delay=_QUIET_SECONDS)
    for done, item in enumerate(items, start=1):
        yield item
        if not done % _TASK:
            progress.update(done)
    progress.close()


def _end(path):
    """A number that files of the same size and end have in common; `_UNREAD` of one unread."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _END))
            return hash((size, file.read(_END)))
    except OSError:
        return _UNREAD


def _digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
