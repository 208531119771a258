"""Damaged bytes in prepared data and in caches, and clocks that are set back between two runs."""

import dataclasses
import os
import random
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.campaigns.test_damaged_files import damaged
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data.pipeline import load_split

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 1)


class CampaignPictures(tfds.core.GeneratorBasedBuilder):
    """12 pictures with a label."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["even", "odd"])
        features = {"image": tfds.features.Image(shape=SHAPE), "label": label}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(12):
            image = np.full(SHAPE, 20 * number, np.uint8)
            yield number, {"image": image, "label": number % 2}


def loaded(data):
    """The images and labels of a split, or None where it is refused."""
    try:
        split = load_split(data, SHAPE, "train")
    except InputError:
        return None
    return [np.array(split.images), *split.labels.values(), split.labels.keys(), split.class_names]


def require_right(found, expected, what):
    for mine, theirs in zip(found, expected, strict=True):
        assert np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs, (
            what
        )


def test_damaged_prepared_data(campaign, tmp_path):
    builder = CampaignPictures(data_dir=tmp_path / "whole")
    builder.download_and_prepare()
    data = DataConfig(dataset="campaign_pictures", data_dir=str(tmp_path / "data"), cache="memory")
    expected = loaded(dataclasses.replace(data, data_dir=str(tmp_path / "whole")))

    def attempt(generator):
        draw = random.Random(int(generator.integers(2**63)))
        shutil.copytree(tmp_path / "whole", tmp_path / "data")
        files = sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file())
        path = draw.choice(files)
        content = path.read_bytes()
        path.write_bytes(damaged(draw, content, path.suffix == ".json"))
        try:
            found = loaded(data)
        except Exception as error:
            raise AssertionError(f"{path.name}: {error!r}; {path.read_bytes()[:900]}") from error
        finally:
            shutil.rmtree(tmp_path / "data")
        # TFDS's descriptions have no checksums; its records do.
        if found and path.suffix != ".json" and ".txt" not in path.name:
            require_right(found, expected, path.name)
        return found is None

    campaign(attempt, short=3, minutes=1)


def test_damaged_caches(campaign, picture_folder, tmp_path, monkeypatch):
    """A cache with other bytes, and pictures that were replaced or have other times."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    shutil.copytree(picture_folder, tmp_path / "pictures")
    pictures = sorted((tmp_path / "pictures").rglob("*.png"))
    memory = DataConfig(
        dataset="image_folder", image_dir=str(tmp_path / "pictures"), cache="memory"
    )
    disk = dataclasses.replace(memory, cache="disk")

    def attempt(generator):
        draw = random.Random(int(generator.integers(2**63)))
        loaded(disk)
        changed = draw.choice(("cache", "pictures", "times"))
        if changed == "cache":
            files = sorted(path for path in cache.rglob("*") if path.is_file())
            path = draw.choice(files)
            path.write_bytes(damaged(draw, path.read_bytes(), path.suffix == ".json"))
        elif changed == "pictures":
            # The same number of bytes in a file, written when the clock was elsewhere.
            path = draw.choice(pictures)
            size = path.stat().st_size
            others = [one.read_bytes() for one in pictures if one.stat().st_size == size]
            path.write_bytes(draw.choice(others))
        for path in draw.sample([*pictures, *cache.rglob("*")], 9):
            os.utime(path, (0, draw.uniform(0, 4e9)))
        require_right(loaded(disk), loaded(memory), changed)
        shutil.rmtree(cache)
        return changed == "cache"

    campaign(attempt, short=8, minutes=1)
