"""TensorFlow imported without the lines that it prints, and only by commands that need it."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def prepare_tensorflow() -> None:
    """Sees to the first import of TensorFlow, whenever it comes, from whatever module.

    TensorFlow prints while it looks for devices, from C++, before any log level can be set; these
    lines are caught. An error of the import shows them, and so does TF_CPP_MIN_LOG_LEVEL in the
    environment. TensorFlow is kept from taking all memory of a GPU at once.
    """
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    _asks_others = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow" or self._asks_others:
            return None
        self._asks_others = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks_others = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _quietly(load, module)  # type: ignore[method-assign]
        return spec


def _quietly(load, module):
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _QuietFinder)]
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
            os.dup2(lines.fileno(), 2)
        try:
            load(module)
            for device in module.config.list_physical_devices("GPU"):
                module.config.experimental.set_memory_growth(device, True)
        except BaseException:
            lines.seek(0)
            os.write(visible, lines.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)
