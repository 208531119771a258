"""Packages that only an extra of setup.py installs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from tf_mmdvlae.common.errors import InputError


def require_packages(user: str, extra: str, packages: Sequence[str]) -> None:
    """Raises an InputError if a package of an extra is missing; `user` is what needs it."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InputError(
                f"{user} needs {package}, which cannot be imported ({error}); "
                f"pip install 'tf_mmdvlae[{extra}]' (in a checkout: pip install --editable "
                f"'.[{extra}]')."
            ) from error
