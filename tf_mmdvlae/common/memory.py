"""How much memory a process may take."""

from __future__ import annotations

import contextlib
import pathlib
import resource
import sys

import psutil


def available_memory() -> int:
    """The bytes of memory that are free, of the machine or of the container."""
    available = psutil.virtual_memory().available
    # In a container the machine's memory is not ours to fill.
    group = pathlib.Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit = int((group / "memory.max").read_text())
        usage = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / "memory.current").read_text()) - int(usage["inactive_file"])
        available = min(available, limit - used)
    return available


def peak_memory() -> int:
    """The most bytes of memory that this process has taken."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes.
    return peak if sys.platform == "darwin" else 1024 * peak
