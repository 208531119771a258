"""A line that tells how a long task goes: how far, how fast, how long still."""

import sys
import time


class Progress:
    """Prints "<done>/<total> <unit>, <rate> images/s, <time> left" now and then.

    On a terminal one line is drawn again and again; elsewhere a new line is printed, less often.

    Args:
      total: how many there are to do.
      unit: what they are, such as "steps".
      images: images in each, for the rate; 0 for no rate.
      stream: where to print; None is standard error.
    """

    def __init__(self, total, unit, images=1, stream=None):
        self.total = total
        self.unit = unit
        self.images = images
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.interval = 0.5 if self.terminal else 15.0
        self.started = self.printed = time.monotonic()
        # The first step compiles; a rate that counted it would be wrong for minutes.
        self.first = None

    def update(self, done, details=""):
        """Tells that `done` are done in all; prints when it is time to."""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, done)
        # In a file the lines come ever more slowly: days of training shall not fill a disk.
        interval = (
            self.interval if self.terminal else max(self.interval, (now - self.started) / 100)
        )
        if now - self.printed < interval and done < self.total:
            return
        self.printed = now
        text = f"{done:,}/{self.total:,} {self.unit}"
        since, base = self.first
        if done > base and now > since:
            rate = (done - base) / (now - since)
            left = (self.total - done) / rate
            text += f"  {rate * self.images:,.0f} images/s" if self.images else ""
            text += f"  {duration(left)} left"
        text += f"  {details}" if details else ""
        if self.terminal:
            self.stream.write(f"\r\x1b[K{text}")
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def close(self):
        """Ends the line that a terminal shows."""
        if self.terminal:
            self.stream.write("\n")
            self.stream.flush()


def duration(seconds):
    """Seconds as a person writes them: 75 -> "1:15", 3700 -> "1:01:40"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
