"""Processes of their own, for what must be measured apart."""

import os
import pathlib
import signal

from tf_mmdvlae.common.errors import InputError

_ROOT = pathlib.Path(__file__).resolve().parents[1]


def environment(**values):
    """This process's environment for another one that imports the package, and `values` in it."""
    # The package need not be installed.
    path = filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **values}


def check(what, code, errors=""):
    """Makes a failed process an error of this one.

    Args:
      what: the process, for people.
      code: its exit code, or minus the number of the signal that ended it.
      errors: what it wrote to standard error.

    Raises:
      InputError: with the last line of `errors`, if the code is not 0.
    """
    if not code:
        return
    how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    last = errors.strip().splitlines()[-1:]
    raise InputError(f"{what} failed ({how})" + "".join(f": {line}" for line in last))
