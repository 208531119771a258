"""The exceptions that commands show without a traceback."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator


class InputError(ValueError):
    """Something that the caller gave is wrong: a flag, a file, a folder, a value.

    The message says in one or two lines what was wrong, where, and what to do. Commands print it
    and leave with exit code 1.
    """


class TrainingStopped(RuntimeError):
    """A run ended before its last step; the message says why, where, and how to go on.

    `exit_code` is what a command leaves with: 1, or 128 + the number of the signal that stopped it.
    """

    def __init__(self, message: object, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code: int = exit_code


class Diverged(TrainingStopped):
    """A run stopped because its loss or a weight is not finite, or its loss runs away."""


def first_line(error: BaseException) -> str:
    """The message of another package's error, cut to its first line.

    TensorFlow puts the names of its nodes and operations around a reason; they go, too.
    """
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"\{\{.*?\}\} *| *\[Op:.*", "", line) or type(error).__name__


@contextlib.contextmanager
def explained(failure: str, advice: str = "") -> Iterator[None]:
    """Turns an `OSError` of the block into an `InputError`: "<failure>: <reason>. <advice>"."""
    try:
        yield
    except BrokenPipeError:
        # The reader of what is printed has gone; no file is at fault.
        raise
    except OSError as error:
        raise InputError(f"{failure}: {error.strerror or error}. {advice}".rstrip()) from error
