"""The package versions and the commit behind a result."""

from __future__ import annotations

import pathlib
import platform
import subprocess
from typing import Any


def provenance() -> dict[str, Any]:
    """The versions of the packages that matter, and the commit if there is one."""
    import keras
    import numpy
    import tensorflow

    from tf_mmdvlae import __version__

    return {
        "versions": {
            "tf_mmdvlae": __version__,
            "python": platform.python_version(),
            "tensorflow": tensorflow.__version__,
            "keras": keras.__version__,
            "numpy": numpy.__version__,
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    folder = pathlib.Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
