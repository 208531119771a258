"""Commands that are killed or stopped at any moment, or can't write, and then run to their end."""

import collections
import os
import re
import signal

import pytest

from tests.campaigns.commands import contents
from tests.campaigns.conftest import MINUTES

# The bytes of a disk with room.
MUCH = 2**26
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHARES = (0.5, 0.2, 0.15, 0.15)
NAMES = ("prepare", "train", "train_classifier", "export", "figures", "evaluate", "compare")
HAS_CLASSIFIER = "holds a classifier; --overwrite"
FULL = "No space left|File too large|Read-only file system"
# A command that is interrupted more often is left to end.
MOST_INTERRUPTIONS = 4


@pytest.mark.slow
def test_interruptions(campaign, commands, record_property):
    sent = collections.Counter()

    def interrupt(generator, name, number):
        """(exit code, what was printed, whether anything was sent) of a command."""
        whole = commands.whole_run(name)
        process = commands.start(name)
        if generator.integers(2):
            commands.has_ended(generator.uniform(0, whole.seconds))
        else:
            # Most moments at which a file is begun or renamed are too short to be met by chance.
            commands.wait_for_paths(generator.integers(1, whole.paths + 1))
        if not commands.has_ended(0):
            sent["kills" if number == signal.SIGKILL else "signals"] += 1
            os.kill(process, number)
            if generator.integers(4) == 0 and not commands.has_ended(generator.uniform(0, 0.5)):
                os.kill(process, number)
        return commands.finish()

    def attempt(generator):
        name = str(generator.choice(NAMES)) if MINUTES else "prepare"
        expected = commands.whole_run(name).contents
        commands.begin(name)
        done, codes = False, []
        while not done and len(codes) < MOST_INTERRUPTIONS:
            number = signal.Signals(generator.choice(SIGNALS, p=SHARES))
            code, log = interrupt(generator, name, number)
            codes.append(code)
            done = _ended_well(code, log, number)
            _require_whole(contents(commands.folder), expected)
        if not done:
            commands.start(name)
            code, log = commands.finish()
            assert code == 0 or HAS_CLASSIFIER in log, f"{name} {codes}: {log}"
        _require_equal(commands, expected, f"{name} {codes}")
        return any(codes)

    try:
        campaign(attempt, short=1, minutes=26)
    finally:
        counts = f"{sent['kills']} kills, {sent['signals']} other signals"
        record_property("campaign", f"test_interruptions: {counts}")


@pytest.mark.slow
def test_full_disks(campaign, commands):
    """A disk that is full or read-only from any moment on, or refuses files of some size."""
    can_mount = os.geteuid() == 0

    def attempt(generator):
        name = str(generator.choice(list(commands.table))) if MINUTES else "prepare"
        whole = commands.whole_run(name)
        way = str(generator.choice(("full", "large", "read-only"))) if can_mount else "large"
        room = int(generator.uniform(0, 1.2) * sum(whole.sizes))
        if generator.integers(2):
            # HDF5 asks for a MB more than it needs; all else has little room then, too.
            room += 2**20
        commands.begin(name, {"full": room, "read-only": MUCH}.get(way))
        before = contents(commands.folder)
        if way == "large":
            # What it prints goes to a file, too.
            commands.start(name, 2**13 + int(generator.uniform() ** 4 * max(whole.sizes)))
        else:
            commands.start(name)
        if way == "read-only":
            commands.wait_for_paths(generator.integers(0, whole.paths + 1))
            while not commands.has_ended(0.001):
                # A disk on which a file is being written stays as it is.
                if commands.mount("-o", "remount,ro", commands.folder):
                    break
        code, log = commands.finish()
        what = f"{name} {way}, exit code {code}: {log}"
        assert code in (0, 1), what
        assert not re.search("Traceback|Exception ignored", log), what
        after = contents(commands.folder)
        assert all(after.get(path) == content for path, content in before.items()), what
        _require_whole(after, whole.contents)
        if code:
            lines = log.splitlines()
            errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
            assert len(errors) == 1, what
            assert errors[0] >= len(lines) - 2, what
            assert re.search(FULL, "".join(lines[errors[0] :])), what
            if way != "read-only":
                assert not list(commands.folder.rglob(".*")), what
        if way != "large":
            assert commands.mount("-o", f"remount,rw,size={MUCH}", commands.folder)
        if code:
            commands.start(name)
            code_again, log = commands.finish()
            assert code_again == 0, f"{what}; then: {log}"
        _require_equal(commands, whole.contents, what)
        return code != 0

    campaign(attempt, short=1, minutes=5)


def _require_equal(commands, expected, what):
    """What is there is what an undisturbed command leaves, and nothing else."""
    commands.take_last_versions_as_first()
    found = contents(commands.folder)
    assert found.keys() == expected.keys(), f"{what}: {sorted(found.keys() ^ expected.keys())}"
    unlike = [name for name in found if found[name] != expected[name]]
    assert not unlike, f"{what}: {unlike}"
    left = [path.name for path in commands.folder.rglob(".*")]
    assert not left, f"{what} left {left}"


def _ended_well(code, log, number):
    """Whether the command reached its end; a signal, or two, may have stopped it in one line."""
    assert not re.search("Traceback|Exception ignored", log), f"{number!r}: {log}"
    if code in (0, -signal.SIGKILL):
        return code == 0
    if HAS_CLASSIFIER in log:
        return True
    # A signal may come before the command has begun to catch it, or after its last word.
    assert code in (128 + number, -number), f"exit code {code} after {number!r}: {log}"
    lines = r"\A((?!error: ).*\n)*(error: .*\n)" + ("?" if code < 0 else "")
    assert re.search(lines + r"(error: Stopped\.\n)?\Z", log), f"{number!r}: {log}"
    return False


def _require_whole(found, expected):
    """What has its final name is what an undisturbed command leaves, or the beginning of a log."""
    for name, content in found.items():
        if name.endswith(".jsonl"):
            assert content == expected[name][: len(content)], name
        elif name in expected:
            assert content == expected[name], f"{name} is not whole"
