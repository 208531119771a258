"""The exceptions that commands show without a traceback, and what they take from others."""


class InputError(ValueError):
    """Something that the caller gave is wrong: a flag, a file, a folder, a value.

    The message says in one or two lines what was wrong, where, and what to do. Commands print
    it and leave with exit code 1; in Python it is an ordinary ``ValueError``.
    """


class TrainingStopped(RuntimeError):
    """A run ended before its last step; the message says why, where, and how to go on.

    Attributes:
      exit_code: what a command leaves with: 1, or 128 + the number of the signal that stopped it.
    """

    def __init__(self, message, exit_code=1):
        super().__init__(message)
        self.exit_code = exit_code


class Diverged(TrainingStopped):
    """A run stopped because its loss or a weight is not finite, or its loss runs away."""


def first_line(error):
    """What an error of another package says, cut to its first line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
