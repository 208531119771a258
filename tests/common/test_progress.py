"""How far a task is, on a terminal and in a log."""

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


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_rate_and_time_left_do_not_count_the_first_step(clock, kind):
    stream = kind()
    line = Progress(1100, "steps", images=8, stream=stream)
    clock["now"] += 10
    line.update(100)
    clock["now"] += 20
    line.update(300, "loss 1")
    line.close()
    shown = stream.getvalue()
    # 200 steps in the 20 seconds since the first.
    if kind is Terminal:
        assert "300/1,100 steps, 80 images/s  1:20 left  loss 1" in shown
    else:
        assert shown == "300/1,100 steps  80 images/s  1:20 left  loss 1\n"


def test_time_left_counts_what_follows(clock):
    stream = io.StringIO()
    line = Progress(1100, "steps", images=8, stream=stream, later=lambda rate: 4000 / rate)
    line.update(100)
    clock["now"] += 20
    line.update(300)
    assert stream.getvalue() == "300/1,100 steps  80 images/s  2:10 left\n"


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_the_end_is_always_shown(clock, kind):
    stream = kind()
    line = Progress(3, "images read", stream=stream)
    for done in (1, 2, 3):
        line.update(done)
    line.close()
    assert "3/3 images read" in stream.getvalue()
    assert stream.getvalue().endswith("\n")
    assert "1/3" not in stream.getvalue()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_task_quicker_than_the_delay_shows_nothing(clock, kind):
    stream = kind()
    line = Progress(3, "images read", stream=stream, delay=3)
    for done in (1, 2, 3):
        line.update(done)
        clock["now"] += 1
    line.close()
    assert stream.getvalue() == ""


def test_a_terminal_shows_one_line(clock):
    stream = Terminal()
    line = Progress(3, "steps", stream=stream)
    for done in (1, 2, 3):
        clock["now"] += 1
        line.update(done)
    line.close()
    shown = stream.getvalue()
    for done in (1, 2, 3):
        assert f"{done}/3 steps" in shown
    assert shown.count("\n") == 1
    assert shown.endswith("\n")


def test_more_than_the_total_is_shown_as_the_total(clock):
    stream = Terminal()
    line = Progress(3, "steps", stream=stream)
    for done in (1, 4):
        clock["now"] += 1
        line.update(done)
    line.close()
    assert "3/3 steps" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "most"), [(10, 1), (70, 5), (10 * 24 * 3600, 11)])
def test_a_log_has_about_ten_lines_that_all_show_rate_and_time_left(clock, seconds, most):
    stream = io.StringIO()
    line = Progress(10_000, "steps", stream=stream)
    for step in range(1, 10_001):
        clock["now"] += seconds / 10_000
        line.update(step)
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= most
    assert all("images/s" in text and "left" in text for text in lines)
    assert lines[-1].startswith("10,000/10,000 steps")


def test_a_log_does_not_wait_for_the_first_tenth(clock):
    stream = io.StringIO()
    line = Progress(10**9, "steps", stream=stream)
    for step in (1, 2):
        clock["now"] += 15
        line.update(step)
    assert stream.getvalue().startswith("2/1,000,000,000 steps  0 images/s  ")
