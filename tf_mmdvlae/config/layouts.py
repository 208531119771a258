"""Where faces lie in aligned pictures: the layouts that bin/align knows, and that of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tf_mmdvlae.common.shapes import misfit
from tf_mmdvlae.config import unversioned

SHAPE = {"height": int, "width": int, "points": [[float]]}
"""The fields of a layout in JSON, for `common.shapes.misfit`."""


class Layout(NamedTuple):
    """The size of aligned pictures in pixels, and where the four points of a face lie in them.

    Attributes:
      height, width: of the pictures.
      points: (x, y) of the left eye, the right eye, and the left and the right corner of the mouth,
        where left is the picture's left and (0, 0) the centre of its top left pixel.
    """

    height: int
    width: int
    points: tuple[tuple[float, float], ...]


LAYOUTS = {
    # The medians of what MTCNN finds in CelebA's aligned pictures.
    "celeb_a": Layout(218, 178, ((69.2, 111.6), (108.0, 111.6), (71.6, 152.2), (105.6, 152.2))),
}
CROPS = {"celeb_a": 148 / 178}
"""Side of the centre of a layout's pictures that a model is trained on, as `DataConfig.crop`."""


def from_json(value: Any) -> Layout | None:
    """The layout that a JSON value describes; None where it is no layout."""
    if misfit(value, SHAPE):
        return None
    points = tuple(tuple(point) for point in value["points"])
    if [len(point) for point in points] != [2] * 4 or min(value["height"], value["width"]) < 1:
        return None
    return Layout(value["height"], value["width"], points)


def layout_of(manifest: Mapping[str, Any]) -> Layout | None:
    """The layout of an export's training images; None where the manifest does not know it.

    A manifest of version 0.2 or older has no layout; the images of `celeb_a` have CelebA's.
    """
    if "layout" not in manifest:
        return LAYOUTS.get(unversioned(str(manifest.get("dataset"))))
    return from_json(manifest["layout"])
