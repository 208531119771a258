"""Keras callbacks of a person's own, by the names of the functions that return them."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tf_mmdvlae.common.errors import InputError, first_line

if TYPE_CHECKING:
    import keras

    from tf_mmdvlae.config.settings import Config


def find_function(name: str) -> Any:
    """Imports the function that "module:function" names, from the path or the current folder.

    An `InputError` says what can't be found or imported.
    """
    module_name, colon, function_name = name.partition(":")
    if not colon or not module_name or not function_name:
        raise InputError(f"--callbacks={name} must be module:function, such as my_logs:to_wandb.")
    # Last, so that no file there hides a module that Keras imports.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # A module may raise anything.
        raise InputError(
            f"--callbacks={name}: the module {module_name} can't be imported from this folder or "
            f"Python's path: {first_line(error).rstrip('.')}."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        what = "has no" if function is None else "has no function"
        raise InputError(f"--callbacks={name}: {module_name} {what} {function_name}.")
    return function


def make_callbacks(name: str, config: Config) -> list[keras.callbacks.Callback]:
    """What the function called `name` returns for a run's settings: one callback, or several.

    An `InputError` says that it failed, or returned something else.
    """
    import keras

    function = find_function(name)
    try:
        made = function(config)
    except Exception as error:  # A function may raise anything.
        raise InputError(f"--callbacks={name} failed: {first_line(error).rstrip('.')}.") from error
    callbacks = list(made) if isinstance(made, list | tuple) else [made]
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            kind = type(callback).__name__
            raise InputError(f"--callbacks={name} gave a {kind}, which is no Keras callback.")
    return callbacks
