"""The one exception that commands show without a traceback."""


class InputError(ValueError):
    """Something that the caller gave is wrong: a flag, a file, a folder, a value.

    The message says in one or two lines what was wrong, where, and what to do. Commands print
    it and leave with exit code 1; in Python it is an ordinary ``ValueError``.
    """
