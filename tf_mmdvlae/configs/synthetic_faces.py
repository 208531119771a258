"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download."""

import dataclasses

from tf_mmdvlae.config import DataConfig
from tf_mmdvlae.configs import image_folder

_FACES = image_folder.PRESETS["default"]
_DEFAULT = dataclasses.replace(_FACES, data=DataConfig(dataset="synthetic_faces"))

PRESETS = {
    "default": _DEFAULT,
    # As much as fits in the five minutes that `make demo` may take on two cores: many small steps,
    # and early stages that leave most of them to all layers together.
    "demo": dataclasses.replace(
        _DEFAULT,
        train=dataclasses.replace(
            _DEFAULT.train,
            steps=1100,
            batch_size=32,
            first_stage=0.16,
            stage=0.08,
            log_every=50,
        ),
    ),
}
