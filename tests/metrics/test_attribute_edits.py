import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import paired_cosine_distances

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.attribute_edits import attribute_edits
from tf_mmdvlae.model.directions import Directions

STRENGTHS = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)


def encode(images):
    pixels = images.reshape(len(images), 4)
    means = {"z_1": pixels[:, :2], "z_2": pixels[:, 2:]}
    return means, means


def decode(codes):
    return np.concatenate([codes["z_1"], codes["z_2"]], axis=1).reshape(-1, 2, 2, 1)


class Judge:
    """The first three pixels are the probabilities of the attributes, all four the features."""

    names = ("hat", "beard", "smile")

    def predict(self, images):
        pixels = images.reshape(len(images), 4)
        return {name: pixels[:, at] for at, name in enumerate(self.names)}

    def features(self, images):
        return images.reshape(len(images), 4)


DIRECTIONS = Directions(
    ("hat", "beard", "age"),
    {
        # A hat moves the hat alone; a beard takes 0.2 of a smile with it.
        "z_1": np.array([[0.5, 0], [0, 0.5], [1, 1]], np.float32),
        "z_2": np.array([[0, 0], [-0.2, 0], [0, 0]], np.float32),
    },
)


def faces(count=60, seed=0):
    return np.random.default_rng(seed).uniform(0.05, 0.95, (count, 2, 2, 1)).astype(np.float32)


def curve(points, key):
    return [point[key]["value"] for point in points]


def test_curves_by_hand_of_a_linear_model_and_judge():
    images = faces()
    result = attribute_edits(images, encode, decode, DIRECTIONS, Judge())
    assert list(result["attributes"]) == ["hat", "beard"]
    pixels = images.reshape(-1, 4).astype(np.float64)
    for at, name in enumerate(("hat", "beard")):
        points = result["attributes"][name]
        assert [point["strength"] for point in points] == list(STRENGTHS)
        for strength, point in zip(STRENGTHS, points, strict=True):
            has = pixels[:, at] >= 0.5
            edited = pixels[{-1: has, 0: has | True, 1: ~has}[np.sign(strength)]]
            shifted = edited.copy()
            shifted[:, at] += 0.5 * strength
            shifted[:, 2] -= 0.2 * strength * (name == "beard")
            flips = (shifted[:, at] >= 0.5) != (edited[:, at] >= 0.5)
            assert point["flipped"]["value"] == pytest.approx(flips.mean())
            assert point["flipped"]["standard_error"] == pytest.approx(stats.sem(flips))
            # One of the two others, the smile, moves.
            moved = 0.1 * abs(strength) * (name == "beard")
            assert point["others_moved"]["value"] == pytest.approx(moved, abs=1e-6)
            cosines = 1 - paired_cosine_distances(edited, shifted)
            assert point["face_kept"]["value"] == pytest.approx(cosines.mean(), abs=1e-6)
            assert point["face_kept"]["standard_error"] == pytest.approx(
                stats.sem(cosines), abs=1e-6
            )
            counts = {point[key]["count"] for key in ("flipped", "others_moved", "face_kept")}
            assert counts == {len(edited)}
        assert curve(points, "flipped")[::4] == [1, 0, 1]
    json.dumps(result, allow_nan=False)


def test_the_overall_curve_is_the_mean_over_attributes():
    result = attribute_edits(faces(), encode, decode, DIRECTIONS, Judge(), strengths=(1, -1))
    hat, beard = result["attributes"].values()
    assert [point["strength"] for point in result["overall"]] == [1, -1]
    for key in ("flipped", "others_moved", "face_kept"):
        for point, *pair in zip(result["overall"], curve(hat, key), curve(beard, key), strict=True):
            assert point[key]["value"] == pytest.approx(np.mean(pair))
            assert point[key]["standard_error"] == pytest.approx(stats.sem(pair))
            assert point[key]["count"] == 2


def test_a_direction_of_nothing_changes_nothing():
    nowhere = Directions(("hat",), {"z_1": np.zeros((1, 2)), "z_2": np.zeros((1, 2))})
    points = attribute_edits(faces(), encode, decode, nowhere, Judge())["attributes"]["hat"]
    assert curve(points, "flipped") == curve(points, "others_moved") == [0] * 9
    assert curve(points, "face_kept") == pytest.approx([1] * 9)


def test_edits_are_compared_with_the_reconstruction_not_the_image():
    # Every image comes back with a hat of 0.3 and a smile of 0.9, so that none wears one.
    def forgetful(images):
        means, deviations = encode(images)
        means = {name: codes.copy() for name, codes in means.items()}
        means["z_1"][:, 0], means["z_2"][:, 0] = 0.3, 0.9
        return means, deviations

    points = attribute_edits(faces(), forgetful, decode, DIRECTIONS, Judge(), ["hat"])
    points = points["attributes"]["hat"]
    assert [point["flipped"]["count"] for point in points[4:]] == [60] * 5
    assert curve(points, "flipped")[4:] == [0, 1, 1, 1, 1]
    assert curve(points, "others_moved")[4:] == pytest.approx([0] * 5)
    for point in points[:4]:
        for key in ("flipped", "others_moved", "face_kept"):
            assert math.isnan(point[key]["value"])
            assert math.isnan(point[key]["standard_error"])
            assert point[key]["count"] == 0
            assert point[key]["note"] == "no picture is judged with hat"


def test_retouches_keep_and_are_compared_with_the_image_itself():
    # The model draws every smile as 0.9 and no last pixel; retouches keep what the images have.
    def forgetful(images):
        means, deviations = encode(images)
        means = {name: codes.copy() for name, codes in means.items()}
        means["z_2"][:] = 0.9, 0
        return means, deviations

    images = faces()
    arguments = (DIRECTIONS, Judge(), ["beard"], (-1, 1))
    result = attribute_edits(images, forgetful, decode, *arguments, retouch=True)
    pixels = images.reshape(-1, 4).astype(np.float64)
    for strength, point in zip((-1, 1), result["attributes"]["beard"], strict=True):
        given = pixels[(pixels[:, 1] >= 0.5) == (strength < 0)]
        shift = strength * np.array([0, 0.5, -0.2, 0])
        retouched = np.clip(given + shift, 0, 1)
        assert point["flipped"]["value"] == 1
        moved = np.abs(retouched - given)[:, [0, 2]].mean()
        assert point["others_moved"]["value"] == pytest.approx(moved, abs=1e-6)
        cosines = 1 - paired_cosine_distances(given, retouched)
        assert point["face_kept"]["value"] == pytest.approx(cosines.mean(), abs=1e-6)


def test_each_image_is_encoded_once_and_64_of_each_side_are_edited():
    encoded, decoded, done = [], [], []

    def spy_encode(images):
        encoded.append(len(images))
        return encode(images)

    def spy_decode(codes):
        decoded.append(len(codes["z_1"]))
        return decode(codes)

    images = faces(300)
    images[:, 0, 0] = 0.9
    images[250:, 0, 0] = 0.1
    result = attribute_edits(
        images,
        spy_encode,
        spy_decode,
        DIRECTIONS,
        Judge(),
        strengths=(0, 1, 2, -1),
        progress=lambda *at: done.append(at),
    )
    assert encoded == [300]
    # Two strengths of the 50 without a hat, one of 64 with; beards are 64 and 64.
    assert decoded == [300, 100, 64, 128, 64]
    assert done == [(1, 2), (2, 2)]
    hat = result["attributes"]["hat"]
    assert [point["flipped"]["count"] for point in hat] == [114, 50, 50, 64]


def test_cases_in_which_a_measure_says_nothing():
    class Lonely(Judge):
        names = ("hat",)

        def features(self, images):
            features = super().features(images).copy()
            features[0] = 0
            return features

    images = faces(9)
    images[:, 0, 0] = 0.1
    lonely = attribute_edits(images, encode, decode, DIRECTIONS, Lonely(), strengths=[1])
    (point,) = lonely["attributes"]["hat"]
    assert point["flipped"] == {"value": 1, "standard_error": 0, "count": 9}
    assert math.isnan(point["others_moved"]["value"])
    assert "no other attribute" in point["others_moved"]["note"]
    assert point["face_kept"]["count"] == 8
    assert point["face_kept"]["note"].startswith("1 of 9 left out: where all features are zero")
    overall = lonely["overall"][0]
    assert math.isnan(overall["others_moved"]["value"])
    assert overall["flipped"]["count"] == 1
    alone = attribute_edits(images[:1], encode, decode, DIRECTIONS, Judge(), ["hat"], [1])
    (point,) = alone["attributes"]["hat"]
    assert point["flipped"]["value"] == 1
    assert math.isnan(point["flipped"]["standard_error"])
    assert "one case" in point["flipped"]["note"]


def test_labels_of_classes_are_left_aside():
    class WithClasses(Judge):
        def predict(self, images):
            return {**super().predict(images), "age": np.ones((len(images), 7)) / 7}

    arguments = faces(), encode, decode, DIRECTIONS
    assert attribute_edits(*arguments, WithClasses()) == attribute_edits(*arguments, Judge())


def test_attribute_edits_refuses():
    def refused(message, images=None, judge=None, **others):
        arguments = faces(8) if images is None else images, encode, decode, DIRECTIONS
        with pytest.raises(InputError, match=message):
            attribute_edits(*arguments, judge or Judge(), **others)

    refused("Images .* are needed", images=np.zeros((0, 2, 2, 1)))
    refused("Images .* are needed", images=np.zeros((3, 4)))
    refused("finite numbers", strengths=())
    refused("finite numbers", strengths=(1, np.nan))
    refused("no judge: age, wig. Known: hat, beard", attributes=["hat", "age", "wig"])
    refused("no attribute to edit", attributes=[])

    class Stranger(Judge):
        names = ("wig",)

    refused("direction: hat, beard, age; with a judge: wig", judge=Stranger())

    class Short(Judge):
        def predict(self, images):
            return super().predict(images[1:])

    refused("Of 8 pictures the judge gave features", judge=Short())
    short = Judge()
    short.features = lambda images: images[1:].reshape(-1, 4)
    refused(r"features \[7, 4\]", judge=short)
