"""Faces are found where they are; on photographs of people where REAL_FACES names a folder."""

import importlib.util
import os
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import LAYOUTS
from tf_mmdvlae.data import detector
from tf_mmdvlae.data.detector import find_faces
from tf_mmdvlae.data.similarity import Similarity, fit, transformed

LAYOUT = LAYOUTS["celeb_a"]
REAL_FACES = os.environ.get("REAL_FACES")
POINTS = np.array([[260.0, 200.0], [340.0, 220.0], [245.0, 280.0], [320.0, 300.0]])


class FourDots:
    """Networks that take four white dots for a face."""

    def detect_faces(self, views, output_type, fit_to_image):
        rows = []
        for number, view in enumerate(views):
            labels, count = ndimage.label(view[..., 0] > 128)
            dots = [dot[::-1] for dot in ndimage.center_of_mass(labels > 0, labels, range(1, 5))]
            if count == 4:
                dots.sort(key=lambda dot: dot[1])
                left, right = sorted(dots[:2])
                points = [left, right, (0, 0), *sorted(dots[2:])]
                rows.append([number, 0, 0, 0, 0, 0.9 - number / 10, *np.transpose(points).ravel()])
        return np.reshape(np.array(rows, float), (-1, 16))


def dotted(points=POINTS, size=(640, 480)):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    rows, columns = np.ogrid[: size[1], : size[0]]
    for x, y in points:
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < 64] = 255
    return Image.fromarray(pixels)


def test_points_are_those_of_the_photograph(monkeypatch):
    monkeypatch.setattr(detector, "_networks", FourDots)
    for factor in (1, 3):
        photograph = dotted(size=(640, 480)).resize((640 * factor, 480 * factor))
        (face,) = find_faces(photograph)
        np.testing.assert_allclose(face.points, (POINTS + 0.5) * factor - 0.5, atol=0.6 * factor)
        assert face.score == pytest.approx(0.8)


def test_what_is_not_found_again_upright_and_mirrored_is_no_face(monkeypatch):
    class OnceOnly(FourDots):
        def detect_faces(self, views, **settings):
            rows = super().detect_faces(views, **settings)
            return rows[rows[:, 0] == 0]

    monkeypatch.setattr(detector, "_networks", OnceOnly)
    assert find_faces(dotted()) == []


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    monkeypatch.setattr(detector, "_networks", detector._networks.__wrapped__)
    with pytest.raises(InputError, match=r"\[align\]"):
        find_faces(Image.new("RGB", (40, 30)))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mtcnn"), reason="the extra [align] is missing")
def test_a_picture_without_a_face_has_none_whatever_its_shape():
    noise = np.random.default_rng(0).integers(0, 256, (60, 45, 3), np.uint8)
    for picture in (noise, noise[:1]):
        assert find_faces(Image.fromarray(np.ascontiguousarray(picture))) == []


def photograph(picture, degrees, scale, middle):
    """A photograph of a face, and what takes its points to the aligned picture it was made from.

    Around the picture its edges go on, so that there is no other face.
    """
    turn = np.exp(-1j * np.deg2rad(degrees)) / scale
    centre = complex(LAYOUT.width - 1, LAYOUT.height - 1) / 2
    truth = Similarity(turn, centre - turn * complex(*middle))
    wide = np.pad(np.asarray(picture), ((800, 800), (800, 800), (0, 0)), mode="edge")

    def place(x, y):
        return truth.of(np.array([x, y])) + 800

    return transformed(Image.fromarray(wide), place, (640, 480)), truth


@pytest.mark.slow
@pytest.mark.skipif(not REAL_FACES, reason="REAL_FACES names no folder of CelebA's pictures")
def test_turned_faces_of_people_are_laid_within_five_pixels():
    generator = np.random.default_rng(0)
    corners = np.array([(x, y) for x in (0, LAYOUT.width - 1) for y in (0, LAYOUT.height - 1)])
    displacements = []
    for path in sorted(pathlib.Path(REAL_FACES).rglob("*.jpg"))[:40]:
        with Image.open(path) as picture:
            middle = generator.uniform((240, 200), (400, 280))
            degrees, scale = generator.uniform(-20, 20), generator.uniform(0.8, 2)
            picture, truth = photograph(picture.convert("RGB"), degrees, scale, middle)
        faces = find_faces(picture)
        assert faces, f"{path}, turned by {degrees:.0f} degrees"
        there = fit(faces[0].points, LAYOUT).of(truth.inverse().of(corners))
        displacements.append(np.linalg.norm(there - corners, axis=1).mean())
    assert len(displacements) == 40
    assert np.median(displacements) <= 5, displacements
