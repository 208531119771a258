"""tf_mmdvlae: variational ladder autoencoders trained with maximum mean discrepancy.

The public names below resolve when first used (PEP 562), so that importing the package is quick.
"""

import importlib

__version__ = "0.3.0"

_HOMES = {
    "Client": "client",
    "Config": "config.settings",
    "DataConfig": "config.settings",
    "InputError": "common.errors",
    "MMDVLAE": "model.mmdvlae",
    "ModelConfig": "config.settings",
    "TrainConfig": "config.settings",
    "TrainingStopped": "common.errors",
    "export": "serving.export",
    "get_config": "config",
    "load": "serving.loaded",
    "load_run": "training.run",
    "train": "training.train",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_mmdvlae' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tf_mmdvlae.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
