"""A face's four points -> the similarity that takes a photograph to a layout, and the picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_mmdvlae.config.layouts import Layout

# Pixels around the picture for the filters.
_MARGIN = 4


class Similarity(NamedTuple):
    """Takes the point (x, y) to `turn * (x + iy) + shift`, as a complex number."""

    turn: complex
    shift: complex

    def of(self, points: np.ndarray) -> np.ndarray:
        """Takes points [..., 2] to points."""
        places = self.turn * _complex(points) + self.shift
        return np.stack([places.real, places.imag], axis=-1)

    def inverse(self) -> Similarity:
        """The similarity that takes points back."""
        return Similarity(1 / self.turn, -self.shift / self.turn)


def fit(points: np.ndarray, layout: Layout) -> Similarity:
    """The similarity without reflection that takes the points of a photograph to a layout's.

    The sum of the squared distances is the least (Umeyama 1991, doi 10.1109/34.88573). In the
    plane, with complex numbers, that is a regression line: `turn` is the covariance of both sets
    divided by the variance of `points`.

    Args:
      points: [4, 2], in the order of `Layout.points`.

    Raises:
      ValueError: if the points lie in one place or mirror the layout's.
    """
    source, target = _complex(points), _complex(layout.points)
    source_mean, target_mean = source.mean(), target.mean()
    source, target = source - source_mean, target - target_mean
    variance = (abs(source) ** 2).sum()
    if not variance > 0 or not np.isfinite(variance):
        raise ValueError("its points lie in one place")
    turn = (source.conj() * target).sum() / variance
    # A face in profile is nearly a line, to which a reflection fits as well.
    if abs((source * target).sum()) / variance > 1.5 * abs(turn):
        raise ValueError("its points are mirrored; left is the picture's left")
    return Similarity(turn, target_mean - turn * source_mean)


def face_size(points: np.ndarray) -> float:
    """The distance between eyes and mouth, which a turned head changes least."""
    return float(np.linalg.norm(points[:2].mean(axis=0) - points[2:].mean(axis=0)))


def aligned(image: Image.Image, similarity: Similarity, layout: Layout) -> Image.Image:
    """Resamples a photograph to a layout.

    A photograph that is larger than the layout wants it is first reduced (Lanczos), so that every
    pixel counts; then it is turned (bicubic). What lies beside it is its reflection.

    Args:
      image: a photograph of mode L or RGB.
      similarity: takes the photograph's points to the layout's.

    Raises:
      ValueError: if no pixel of the photograph would be seen.
    """
    corners = [(x, y) for x in (0, layout.width - 1) for y in (0, layout.height - 1)]
    back = similarity.inverse()
    scale = max(1.0, abs(back.turn))
    # The part of the photograph that is seen, in its own pixels.
    around = back.of(np.array(corners))
    low = np.floor(around.min(axis=0) - _MARGIN * scale).astype(int).clip(0)
    high = np.ceil(around.max(axis=0) + 1 + _MARGIN * scale).astype(int).clip(None, image.size)
    if not (low < high).all():
        raise ValueError("its points lie outside the picture")
    part = reduced = image.crop((*low, *high))
    if scale > 1:
        size = tuple(max(1, round(edge / scale)) for edge in part.size)
        reduced = part.resize(size, Image.Resampling.LANCZOS)
    factors = np.array(reduced.size) / part.size
    # Pixel centres lie at whole numbers.
    around = (around - low + 0.5) * factors - 0.5
    start = np.floor(around.min(axis=0)).astype(int) - _MARGIN
    stop = np.ceil(around.max(axis=0)).astype(int) + 1 + _MARGIN
    rows, columns = (
        _reflected(np.arange(start[axis], stop[axis]), reduced.size[axis]) for axis in (1, 0)
    )
    pixels = Image.fromarray(np.asarray(reduced)[rows][:, columns])

    def place(x, y):
        return (back.of(np.array([x, y])) - low + 0.5) * factors - 0.5 - start

    return transformed(pixels, place, (layout.width, layout.height))


def transformed(
    image: Image.Image, place: Callable[[float, float], np.ndarray], size: tuple[int, int]
) -> Image.Image:
    """The picture of `size` (width, height) whose pixel (x, y) comes from `place(x, y)` (bicubic).

    `place` is a linear function; whole numbers are the centres of pixels. Black surrounds `image`.
    """
    # Pillow counts from the corner of the first pixel.
    origin = place(-0.5, -0.5)
    across, down = place(0.5, -0.5) - origin, place(-0.5, 0.5) - origin
    origin = origin + 0.5
    rows = np.stack([across, down, origin], axis=1)
    return image.transform(
        size, Image.Transform.AFFINE, rows.ravel().tolist(), Image.Resampling.BICUBIC
    )


def _reflected(places, size):
    """Places within `size` pixels, of which those outside are reflected at the edges."""
    folded = places % (2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


def _complex(points):
    points = np.asarray(points, float)
    return points[..., 0] + 1j * points[..., 1]
