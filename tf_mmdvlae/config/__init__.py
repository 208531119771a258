"""One file a data set, and what is derived for the sets that have none."""

import importlib
import pkgutil

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import presets


def known_datasets():
    """Names of the data sets that have a config file, in order."""
    names = (module.name for module in pkgutil.iter_modules(presets.__path__))
    return sorted(names)


def presets_of(dataset):
    """The presets of a data set that has a config file: a dict of name -> `Config`."""
    return importlib.import_module(f"{presets.__name__}.{dataset}").PRESETS


def get_config(dataset, preset="default", describe=None):
    """The settings for a data set.

    Args:
      dataset: the name of a config file, or of another TFDS image set.
      preset: one of the data set's presets.
      describe: for a set that has no config file: called without arguments, it gives an object
        with `image_shape` (height, width and channels, None where they vary) and `splits`.

    Returns:
      A `Config`.

    Raises:
      InputError: if the preset is not known; the message lists the known ones.
    """
    if dataset in known_datasets():
        known = presets_of(dataset)
    elif describe is None:
        raise InputError(
            f"{dataset} has no config file. Those that have one: {', '.join(known_datasets())}."
        )
    elif preset != "default":
        raise InputError(f"--preset={preset} is not known for {dataset}. Known: default.")
    else:
        from tf_mmdvlae.config.derived import derive

        description = describe()
        known = {"default": derive(dataset, description.image_shape, description.splits)}
    if preset not in known:
        raise InputError(
            f"--preset={preset} is not known for {dataset}. Known: {', '.join(known)}."
        )
    return known[preset]
