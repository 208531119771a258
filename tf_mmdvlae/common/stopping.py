"""The signals that ask a process to stop."""

from __future__ import annotations

import signal


def stopping_signals() -> list[int]:
    """The numbers of Ctrl-C's signal, SIGTERM, and SIGHUP of a terminal that goes.

    One that the process was started to ignore is left out, as in the background of a shell or under
    nohup: it stays ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
