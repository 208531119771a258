"""The data set `synthetic_faces`: drawn faces with every factor that they were drawn from.

Importing this module makes `tfds.load("synthetic_faces")` work. Nothing is downloaded: the pictures
are drawn once, on all processors, and stored like any other data set.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.faces.factors import FACTORS, Factor, sample_factors
from tf_mmdvlae.data.faces.renderer import IMAGE_SIZE, render

_DESCRIPTION = """\
Drawn faces of 64x64 pixels with the factors that each was drawn from: light, background, skin,
hair, shape of the face, expression, pose, glasses and beard. The factors are independent of one
another; poses are denser around a face that looks ahead, all others uniform over their ranges. All
faces have the midpoint of their eyes at one place. The picture is an exact function of the factors
(`tf_mmdvlae.data.faces.renderer.render`), so the right answer to a change of factors is known."""

_LICENSE = """\
Copyright of the tf_mmdvlae authors, Apache License 2.0
(https://www.apache.org/licenses/LICENSE-2.0). Contains no external data."""

# Faces per task of a thread, and per block that is drawn before TFDS writes it. TFDS holds the
# interpreter while it writes, and drawing beside it would wait for it at every step.
_TASK = 64
_BLOCK = 16 * _TASK


class SyntheticFaces(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of drawn faces.

    An example has `image`, uint8 [64, 64, 3], and each factor of `FACTORS` by its name: float32 in
    the factor's unit, or a class label with names. A split has `SPLIT_SIZES` faces, whose factors
    are drawn with the seed `SPLIT_SEEDS`. Version 1.0.0 is read where it is
    prepared; where it is not, opening it is an `InputError`.
    """

    VERSION = tfds.core.Version("2.0.0")
    SUPPORTED_VERSIONS: ClassVar[list] = [tfds.core.Version("1.0.0")]
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "2.0.0": (
            "The midpoint of the eyes lies at one place. Yaw and pitch are denser in the middle, "
            "and pitch ends at 15 degrees in place of 20. Eyes, brows, nose, mouth, moustache and "
            "glasses are larger."
        ),
    }
    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 16_000, "validation": 2_000, "test": 2_000}
    SPLIT_SEEDS: ClassVar[dict[str, int]] = {"train": 101, "validation": 102, "test": 103}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # TFDS would warn of a folder that is not there.
        prepared = self.data_path.exists() and self.is_prepared()
        if self.version != self.VERSION and not prepared:
            raise InputError(
                f"{self.name}:{self.version} is not prepared in {self.data_dir_root}, and this "
                f"version of tf_mmdvlae draws {self.VERSION}.\nCopy {self.name}/{self.version} "
                f"there from where it is prepared, or start a new run with --dataset={self.name}."
            )

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(IMAGE_SIZE, IMAGE_SIZE, 3), encoding_format="png")
        factors = {name: _feature(factor) for name, factor in FACTORS.items()}
        features = tfds.features.FeaturesDict({"image": image, **factors})
        return self.dataset_info_from_configs(
            description=_DESCRIPTION, features=features, license=_LICENSE
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        del dl_manager  # Nothing to download.
        return {
            split: self._generate_examples(size, self.SPLIT_SEEDS[split])
            for split, size in self.SPLIT_SIZES.items()
        }

    def _generate_examples(self, size: int, seed: int) -> Iterator[tuple[int, dict]]:
        factors = sample_factors(size, seed)

        def draw(start):
            faces = {name: column[start : start + _TASK] for name, column in factors.items()}
            # TFDS would encode one picture at a time, at a level that is four times slower and
            # saves a tenth of the size.
            return tf.io.encode_png(render(faces), compression=2).numpy()

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for block in range(0, size, _BLOCK):
                tasks = range(block, min(block + _BLOCK, size), _TASK)
                images = itertools.chain(*list(pool.map(draw, tasks)))
                for number, image in enumerate(images, start=block):
                    values = {name: column[number] for name, column in factors.items()}
                    yield number, {"image": image, **values}


def _feature(factor: Factor) -> tfds.features.FeatureConnector:
    doc = f"{factor.meaning} ({factor.unit}, {factor.low:g} to {factor.high:g})"
    if factor.kind == "categorical":
        return tfds.features.ClassLabel(names=factor.classes, doc=factor.meaning)
    return tfds.features.Scalar(dtype=np.float32, doc=doc)
