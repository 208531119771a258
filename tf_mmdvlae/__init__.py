"""tf_mmdvlae: variational ladder autoencoders trained with maximum mean discrepancy.

The public names below resolve when first used (PEP 562), so that importing the package is quick.
"""

import importlib

from tf_mmdvlae.version import __version__

_HOMES = {
    "Config": "config",
    "DataConfig": "config",
    "InputError": "errors",
    "MMDVLAE": "model",
    "ModelConfig": "config",
    "TrainConfig": "config",
    "TrainingStopped": "errors",
    "export": "serving.export",
    "get_config": "configs",
    "load": "serving.loaded",
    "load_run": "training",
    "train": "training",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_mmdvlae' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tf_mmdvlae.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
