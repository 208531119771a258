"""The commands, one module each; `bin/<command>` starts them."""

import importlib
import sys


def start(module: str) -> int:
    """Runs the command in `module`, returns its exit code, and explains a missing package."""
    try:
        return importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        print(
            f"error: the Python module {error.name or error} is missing for {sys.executable}. "
            "`pip install .` in the checkout installs all that tf_mmdvlae requires; after "
            "`make install` or `make demo`: source .venv/bin/activate",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("error: Stopped.", file=sys.stderr)
        return 130
