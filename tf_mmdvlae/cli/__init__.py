"""The commands, one module each; `bin/<command>` starts them."""

import importlib
import sys

# What setup.py installs, by the names under which Python imports them.
_REQUIRED = {
    "absl",
    "importlib_resources",
    "jinja2",
    "keras",
    "matplotlib",
    "numpy",
    "PIL",
    "psutil",
    "scipy",
    "sklearn",
    "tensorboard",
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_serving",
    "threadpoolctl",
    "tqdm",
}


def start(module):
    """Runs the command in `module`, returns its exit code, and explains a missing package."""
    try:
        return importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _REQUIRED:
            message = (
                f"the Python package {error.name} is not installed for {sys.executable}. Run "
                "`pip install .` in the checkout; after `make demo`: source .venv/bin/activate"
            )
        else:
            message = f"the Python module {error.name or error} is missing for {sys.executable}."
        print(f"error: {message}", file=sys.stderr)
        return 1
