"""Settings: one file of presets per data set, and derived ones for the sets that have none."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import presets

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import Config


def known_datasets() -> list[str]:
    """Names of the data sets that have a config file, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(presets.__path__))


def unversioned(dataset: str) -> str:
    """The name of a data set without the version that may follow it: "mnist" of "mnist:3.0.1"."""
    return dataset.partition(":")[0]


def presets_of(dataset: str) -> dict[str, Config]:
    """The presets, by name, of a data set that has a config file, at the version that is named."""
    name = unversioned(dataset)
    configs = importlib.import_module(f"{presets.__name__}.{name}").PRESETS
    if name == dataset:
        return configs
    return {preset: c.changed(data={"dataset": dataset}) for preset, c in configs.items()}


def get_config(
    dataset: str, preset: str = "default", describe: Callable[[], Any] | None = None
) -> Config:
    """The settings for a data set.

    Args:
      dataset: the name of a config file, or of another TFDS image set; a version may follow it.
      preset: one of the data set's presets.
      describe: for a set that has no config file: a function without arguments that returns an
        object with `image_shape` (height, width and channels, None where they vary) and `splits`.

    Raises:
      InputError: if the preset is not known; the message lists the known ones.
    """
    configs = presets_of(dataset) if unversioned(dataset) in known_datasets() else {}
    if not configs and describe is None:
        raise InputError(
            f"{dataset} has no config file. Those that have one: {', '.join(known_datasets())}."
        )
    if preset not in (configs or ["default"]):
        known = ", ".join(configs or ["default"])
        raise InputError(f"--preset={preset} is not known for {dataset}. Known: {known}.")
    if describe is None or configs:
        return configs[preset]
    from tf_mmdvlae.config.ladders import derive

    description = describe()
    return derive(dataset, description.image_shape, description.splits)
