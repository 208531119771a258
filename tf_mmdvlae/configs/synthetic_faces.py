"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download."""

import dataclasses

from tf_mmdvlae.config import DataConfig
from tf_mmdvlae.configs import image_folder

_FACES = image_folder.PRESETS["default"]
_DEFAULT = dataclasses.replace(_FACES, data=DataConfig(dataset="synthetic_faces"))

PRESETS = {
    "default": _DEFAULT,
    # As much as fits in the five minutes that `make demo` may take on two cores.
    "demo": dataclasses.replace(
        _DEFAULT, train=dataclasses.replace(_DEFAULT.train, steps=700, decay_start=0.5)
    ),
}
