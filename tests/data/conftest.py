"""Small TFDS data sets whose pixels tell which example they are."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds

SHAPE = (8, 8, 3)
UNREADABLE = (17, 140)


def picture(number):
    """Red is the example's number, green tells left from right."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[..., 0] = number
    pixels[:, :4, 1] = 255
    return pixels


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """250 pictures to train on, two of them unreadable, and 21 to test on."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "title": tfds.features.Text(),
                    "photo": tfds.features.Image(shape=SHAPE),
                    "parity": tfds.features.ClassLabel(names=["even", "odd"]),
                    "attributes": {"Large": np.bool_, "Third": np.bool_},
                    "landmarks": {"nose": np.int64},
                    "number": np.float32,
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(250), "test": self._generate_examples(21)}

    def _generate_examples(self, count):
        for number in range(count):
            unreadable = count == 250 and number in UNREADABLE
            yield (
                number,
                {
                    "title": str(number),
                    "photo": io.BytesIO(b"not a picture") if unreadable else picture(number),
                    "parity": number % 2,
                    "attributes": {"Large": number > 100, "Third": number % 3 == 0},
                    "landmarks": {"nose": number},
                    "number": number,
                },
            )


class BrokenPictures(TinyPictures):
    """One in 25 can't be read."""

    def _split_generators(self, dl_manager):
        return {"train": self._broken()}

    def _broken(self):
        for key, example in self._generate_examples(25):
            if key == 3:
                example["photo"] = io.BytesIO(b"not a picture")
            yield key, example


class TinySounds(tfds.core.GeneratorBasedBuilder):
    """No picture."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"loudness": np.float32})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": [(0, {"loudness": 0.0})]}

    def _generate_examples(self):
        return []


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    TinyPictures(data_dir=folder).download_and_prepare()
    BrokenPictures(data_dir=folder).download_and_prepare()
    return str(folder)


@pytest.fixture(scope="session")
def tiny_pictures():
    """The builder class of the data set in `data_dir`."""
    return TinyPictures
