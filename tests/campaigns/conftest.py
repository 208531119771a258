"""A campaign tries one thing many times: short in `make test`, long by `make campaign`.

`docs/reliability.md` says what is tried. The environment changes a campaign: CAMPAIGN_MINUTES is
60 for `make campaign` and 0 for the short form, CAMPAIGN_SEED is another seed than 0, and
CAMPAIGN_CASE repeats one attempt alone.
"""

import contextlib
import importlib
import io
import itertools
import os
import time

import numpy as np
import pytest

MINUTES = float(os.environ.get("CAMPAIGN_MINUTES", "0"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
CASE = os.environ.get("CAMPAIGN_CASE")
# A fault that is everywhere would fill the screen and take all of the time.
MOST_WRONG = 10


@pytest.fixture
def campaign(request, record_property):
    """`campaign(attempt, short=200, minutes=10)` calls `attempt(generator)` again and again.

    An attempt draws all that it tries from its generator. It returns True if the input was refused
    as it must be, and raises whatever it likes if something is wrong. The short form makes `short`
    attempts; the long form goes on for `minutes` of its hour. A campaign with anything wrong fails.
    """

    def run(attempt, short, minutes):
        cases = [int(CASE)] if CASE else itertools.count()
        end = time.monotonic() + minutes * MINUTES
        tried, refused, wrong = 0, 0, []
        for case in cases:
            if (tried >= short and time.monotonic() >= end) or len(wrong) >= MOST_WRONG:
                break
            tried += 1
            try:
                refused += bool(attempt(np.random.default_rng([SEED, case])))
            except Exception as error:
                if CASE:
                    raise
                wrong.append(f"CAMPAIGN_SEED={SEED} CAMPAIGN_CASE={case}: {error!r:.500}")
        counts = f"{tried:,} tried, {refused:,} refused, {len(wrong):,} wrong"
        record_property("campaign", f"{request.node.name}: {counts} (seed {SEED})")
        assert not wrong, "\n".join([counts, *wrong])

    return run


@pytest.fixture(scope="session")
def commands(picture_folder, finished_run, tmp_path_factory):
    """The `Commands` that write, on the shared pictures and the finished run."""
    from tests.campaigns.commands import Commands

    commands = Commands(tmp_path_factory.mktemp("commands"), picture_folder, *finished_run[:2])
    yield commands
    commands.close()


class Reached(BaseException):
    """A command came to the part that takes minutes; all checks are behind it."""


@pytest.fixture
def reach():
    """Stands in for what takes minutes."""

    def raise_reached(*arguments, **settings):
        raise Reached

    return raise_reached


@pytest.fixture
def refuses():
    """`refuses("train", line)`: whether a command refuses, in a few lines; runs it here."""

    def run(command, line):
        module = "benchmarks.command" if command == "benchmark" else f"tf_mmdvlae.cli.{command}"
        errors = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
                code = importlib.import_module(module).main(line)
        except Reached:
            return False
        text = errors.getvalue()
        if code:
            assert text.count("error: ") == 1, text
            assert len(text.splitlines()) <= 6, text
        return code != 0

    return run


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, line in report.user_properties:
            if name == "campaign":
                terminalreporter.write_line(line)
