"""How far a long task is: a bar on a terminal, about ten lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

_BAR = "{percentage:3.0f}%|{bar}| {n:,}/{total:,}"
_BAR_SECONDS = 0.5
_LINE_SECONDS = 15.0
_LINES = 10


class Progress:
    """Shows "<done>/<total> <unit>, <rate> images/s, <time> left" now and then.

    A terminal shows one bar. Elsewhere a line appears once the rate is clear, and then for every
    tenth of the task, but no line within 15 seconds of another.

    Args:
      total, unit: how many units there are, and their name, such as "steps".
      images: images per unit, for the rate; 0 for no rate.
      stream: where to print; None is standard error.
      delay: seconds within which nothing is shown, so that a quick task shows nothing at all.
      later: turns images/s into the seconds that what follows the task takes, which count as time
        left; None for nothing.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        images: int = 1,
        stream: TextIO | None = None,
        delay: float = 0,
        later: Callable[[float], float] | None = None,
    ) -> None:
        self._total, self._unit, self._images, self._delay = total, unit, images, delay
        self._later = later or (lambda rate: 0.0)
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._began = self._shown = time.monotonic()
        self._tenth = -1
        # The first step compiles; a rate that counted it would be wrong for minutes.
        self._first: tuple[float, int] | None = None
        self._bar: tqdm | None = None

    def update(self, done: int, details: str = "") -> None:
        """Notes that `done` units are done in all, and shows that now and then with `details`."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        began, base = self._first
        rate = (done - base) / (now - began) if now > began else 0
        tenth = done * _LINES // max(1, self._total)
        if self._is_terminal:
            is_due = now - self._shown >= _BAR_SECONDS
        else:
            is_due = now - self._shown >= _LINE_SECONDS and rate > 0 and tenth > self._tenth
        if now - self._began < self._delay or not (is_due or done >= self._total):
            return
        self._shown, self._tenth = now, tenth
        parts = [details] if details else []
        if rate > 0:
            left = (self._total - done) / rate + self._later(rate * self._images)
            parts.insert(0, f"{duration(left)} left")
            if self._images:
                parts.insert(0, f"{rate * self._images:,.0f} images/s")
        if not self._is_terminal:
            line = "  ".join([f"{done:,}/{self._total:,} {self._unit}", *parts])
            print(line, file=self._stream, flush=True)
            return
        if self._bar is None:
            bar_format = f"{_BAR} {self._unit}{{postfix}}"
            self._bar = tqdm(
                total=self._total, file=self._stream, bar_format=bar_format, dynamic_ncols=True
            )
        self._bar.n = min(done, self._total)
        self._bar.set_postfix_str("  ".join(parts))

    def close(self) -> None:
        """Ends the line that a terminal shows."""
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Seconds as a person writes them: 75 -> "1:15", 3700 -> "1:01:40"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
