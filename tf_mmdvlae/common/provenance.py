"""The package versions and the commit behind a result."""

from __future__ import annotations

import importlib
import pathlib
import platform
import subprocess
from typing import Any

from tf_mmdvlae import __version__


def provenance() -> dict[str, Any]:
    """The versions of the packages that matter, and the commit if there is one."""
    versions = {"tf_mmdvlae": __version__, "python": platform.python_version()}
    for name in ("tensorflow", "keras", "numpy"):
        versions[name] = importlib.import_module(name).__version__
    return {"versions": versions, "commit": _commit()}


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
