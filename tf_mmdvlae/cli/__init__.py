"""The commands, one module each; `bin/<command>` starts them."""

import importlib
import sys


def start(command):
    """Runs `command` and returns its exit code; says what to do where a package is missing."""
    try:
        return importlib.import_module(f"{__name__}.{command}").main()
    except ModuleNotFoundError as error:
        print(
            f"error: the Python package {error.name} is not installed for {sys.executable}. Run "
            "`pip install .` in the checkout; after `make demo`: source .venv/bin/activate",
            file=sys.stderr,
        )
        return 1
