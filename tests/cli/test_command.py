"""What all commands do alike."""

import os
import signal
import time

import pytest

from tf_mmdvlae.cli.command import Command, Flag


@pytest.fixture
def signals():
    """Puts back the handlers that a command sets."""
    numbers = (signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        # Python runs the handler between two instructions, here.
        time.sleep(0.01)


def by_itself(values):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def while_finalizing(values):
    """What a handler raises there is dropped by Python."""
    Finalized()
    time.sleep(10)


@pytest.mark.parametrize("call", [by_itself, while_finalizing])
def test_sigterm_ends_a_command_at_once(call, monkeypatch, capsys, signals):
    monkeypatch.setattr("sys.argv", ["bin/any"])
    began = time.monotonic()
    assert Command("any", "Does nothing.", {}, call)() == 128 + signal.SIGTERM
    assert time.monotonic() - began < 8
    assert "Stopped; nothing is left half written." in capsys.readouterr().err


def test_the_help_keeps_long_flags_apart_from_what_they_do():
    table = {"a_flag_of_many_words": Flag(bool, "does much")}
    command = Command("any", "Does nothing.", table, None)
    assert "--a_flag_of_many_words does much" in command.help()
