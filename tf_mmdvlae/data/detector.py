"""Finds the faces in a photograph, with eyes and mouth, by the networks of the package mtcnn.

Zhang et al. 2016, Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks, arXiv 1604.02878.
"""

from __future__ import annotations

import functools
import importlib.resources
import importlib.util
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import LAYOUTS, Layout
from tf_mmdvlae.data.similarity import Similarity, aligned, face_size, fit

_SIDE, _LARGE_SIDE = 400, 1200
# How large, in sides as above, and how far turned, in degrees, a photograph is looked at, until
# there is a face: the networks have seen upright ones.
_LOOKS = ((1.0, 0), (1.0, 20), (1.0, -20), (1.6, 10), (1.6, -10))
_UPRIGHT = LAYOUTS["celeb_a"]
# Further from its place, in pixels of the upright picture, nothing is the same face.
_NEAR = 25.0
# The columns of an answer: picture, box, score, then x and y of eyes, nose and mouth corners.
_SCORE, _X, _Y = 5, [6, 7, 9, 10], [11, 12, 14, 15]
_MIRRORED = [1, 0, 3, 2]


class Face(NamedTuple):
    """A face that was found.

    Attributes:
      points: float64 [4, 2], in the order of `Layout.points`; (0, 0) is the centre of the
        photograph's top left pixel.
      score: how sure the detector is, from 0 to 1; None if the points are given.
    """

    points: np.ndarray
    score: float | None


def is_installed() -> bool:
    """Whether the packages of the extra [align] are there."""
    return all(map(importlib.util.find_spec, ("mtcnn", "joblib", "lz4")))


def require() -> None:
    """Raises an InputError where the extra [align] is not installed."""
    _networks()


def find_faces(image: Image.Image, small: bool = False) -> list[Face]:
    """Finds the faces in a photograph, the largest first.

    The photograph is searched at 400 pixels a side; where nothing is found, turned and larger. Each
    face that may be there is then looked at upright, as it is and mirrored: what is not found again
    in both is no face, and its points are the mean of both.

    Args:
      image: an upright photograph of mode RGB.
      small: True searches at 1,200 pixels a side, for groups of people.

    Raises:
      InputError: if the extra [align] is not installed.
    """
    side = _LARGE_SIDE if small else _SIDE
    middle = complex(*image.size) / 2 - (0.5 + 0.5j)
    for enlarged, degrees in _LOOKS:
        scale = min(1.0, enlarged * side / max(image.size))
        width, height = (max(1, round(edge * scale)) for edge in image.size)
        turn = scale * np.exp(1j * np.deg2rad(degrees))
        shift = complex(width, height) / 2 - (0.5 + 0.5j) - turn * middle
        if faces := _search(image, Similarity(turn, shift), Layout(height, width, ())):
            return faces
    return []


def _search(image, similarity, layout):
    """The faces that are found in one view of a photograph, the largest first."""
    faces: list[Face] = []
    found = _detect([aligned(image, similarity, layout)])
    for _, _, points in sorted(found, key=lambda one: -one[1]):
        face = _looked_at(image, similarity.inverse().of(points))
        if face and not any(_is_same(face, other) for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda face: -face_size(face.points))


def _looked_at(image, points):
    """The face that lies near `points`, seen upright; None if there is none."""
    try:
        similarity = fit(points, _UPRIGHT)
        view = aligned(image, similarity, _UPRIGHT)
    except ValueError:
        return None
    found = _detect([view, ImageOps.mirror(view)])
    best: dict[int, tuple[float, np.ndarray]] = {}
    for number, score, places in found:
        if number == 1:
            places = np.stack([view.width - 1 - places[:, 0], places[:, 1]], axis=1)[_MIRRORED]
        distances = np.abs(places - _UPRIGHT.points).max(axis=1)
        if distances.max() < _NEAR and (number not in best or score > best[number][0]):
            best[number] = score, places
    if len(best) < 2:
        return None
    scores, places = zip(*best.values(), strict=True)
    points = similarity.inverse().of(np.mean(places, axis=0))
    is_inside = (points.mean(axis=0) > -0.5).all() and (points.mean(axis=0) < image.size).all()
    return Face(points, min(scores)) if is_inside else None


def _is_same(face, other):
    middles = face.points.mean(axis=0) - other.points.mean(axis=0)
    return np.linalg.norm(middles) < max(map(face_size, (face.points, other.points))) / 2


def _detect(views):
    """(number of the view, score, points [4, 2]) of all that may be faces in pictures of one size.

    The pictures are of mode RGB.
    """
    answer = _networks().detect_faces(
        [np.asarray(view) for view in views], output_type="numpy", fit_to_image=False
    )
    return [
        (int(row[0]), float(row[_SCORE]), np.stack([row[_X], row[_Y]], axis=1).astype(float))
        for row in answer
    ]


@functools.cache
def _networks():
    try:
        from mtcnn import MTCNN
        from mtcnn.stages import StageONet, StagePNet, StageRNet
    except ImportError as error:
        raise InputError(
            f"Faces are found by the package mtcnn, which cannot be imported ({error}); pip "
            "install 'tf_mmdvlae[align]' (in a checkout: pip install --editable '.[align]')."
        ) from error
    # By their names alone, files of these names in the working directory would be unpickled.
    weights = importlib.resources.files("mtcnn.assets.weights")
    stages = {"pnet.lz4": StagePNet, "rnet.lz4": StageRNet, "onet.lz4": StageONet}
    return MTCNN([stage(weights=str(weights / name)) for name, stage in stages.items()])
