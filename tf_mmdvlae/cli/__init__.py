"""The commands, one module each; `bin/<command>` starts them."""

import contextlib
import importlib
import signal
import sys

from tf_mmdvlae.common.stopping import stopping_signals


def start(module: str) -> int:
    """Runs the command in `module` as this process; returns its exit code.

    A missing package is explained. A signal that stops the process afterwards ends it at once.
    """
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
    except KeyboardInterrupt as error:
        print("error: Stopped.", file=sys.stderr)
        # Of a command's own handler, which says the number.
        return 128 + next(iter(error.args), signal.SIGINT)
    finally:
        _let_signals_end_at_once()


def _let_signals_end_at_once():
    # Python would show a traceback of what stops it while it ends, and an alarm would kill it.
    is_done = False
    while not is_done:
        # One may come meanwhile.
        with contextlib.suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number in stopping_signals():
                signal.signal(number, signal.SIG_DFL)
            is_done = True
