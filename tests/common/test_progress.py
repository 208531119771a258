"""The line that tells how far a task is."""

import io

import pytest

from tf_mmdvlae.common import progress
from tf_mmdvlae.common.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still: `clock["now"]`."""
    times = {"now": 100.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: times["now"])
    return times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3599.9, "1:00:00"), (3700, "1:01:40")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_rate_and_time_left_do_not_count_the_first_step(clock):
    stream = io.StringIO()
    line = Progress(1100, "steps", images=8, stream=stream)
    clock["now"] += 10
    line.update(100)
    clock["now"] += 20
    line.update(300, "loss 1")
    line.close()
    # 200 steps in the 20 seconds since the first.
    assert stream.getvalue() == "300/1,100 steps  80 images/s  1:20 left  loss 1\n"


def test_the_end_is_always_told(clock):
    stream = io.StringIO()
    line = Progress(3, "images read", stream=stream)
    for done in (1, 2, 3):
        line.update(done)
    assert stream.getvalue() == "3/3 images read\n"


def test_a_terminal_shows_one_line(clock):
    stream = Terminal()
    line = Progress(3, "steps", stream=stream)
    for done in (1, 2, 3):
        clock["now"] += 1
        line.update(done)
    line.close()
    shown = stream.getvalue()
    assert shown.count("\r\x1b[K") == 3
    assert shown.count("\n") == 1
    assert shown.endswith("\n")


def test_ten_days_leave_a_bounded_number_of_lines(clock):
    stream = io.StringIO()
    line = Progress(10**9, "steps", stream=stream)
    for step in range(1, 10 * 24 * 360):
        clock["now"] += 10
        line.update(step)
    assert len(stream.getvalue().splitlines()) < 1_000
