"""Painting shapes on a grid: windows of the grid, soft edges, and opaque layers of colour.

A shape is a signed distance, negative inside, in the figure's unit of length: a nominal head is 1.4
units high. Everything here is +, -, *, /, square root and comparison, which IEEE 754 rounds alike
on every processor.
"""

from __future__ import annotations

import numpy as np

PICTURE = 128
"""Pixels of the grid along each side of the picture."""
MARGIN = 20
"""Pixels of the grid beyond each side of the picture: as far as a figure has to move."""
VIEW = 0.9375
"""Half the width of the picture in the figure's unit of length."""
PIXEL = 2 * VIEW / PICTURE
"""Width of a pixel likewise: 15/1024, whose multiples float32 holds exactly."""

Plane = np.ndarray | float
"""Values per pixel, [n, height, width] or what broadcasts to it."""

# How many pixels the centre of each pixel lies from the middle of the grid.
_STEPS = np.arange(PICTURE + 2 * MARGIN, dtype=np.float32) - np.float32(PICTURE / 2 + MARGIN - 0.5)
_AXIS = _STEPS * np.float32(PIXEL)


class Window:
    """A rectangle of the grid, so that a small shape is not computed on every pixel.

    Attributes:
      x: pixel centres [1, 1, width], growing to the right.
      y: pixel centres [1, height, 1], growing upward.
    """

    def __init__(self, left: float, right: float, bottom: float, top: float) -> None:
        self._columns = slice(*(int(edge) for edge in np.searchsorted(_AXIS, (left, right))))
        self._rows = slice(*(int(edge) for edge in np.searchsorted(_AXIS, (-top, -bottom))))
        self.x = _AXIS[None, None, self._columns]
        self.y = -_AXIS[None, self._rows, None]

    def view(self, planes: np.ndarray, within: Window | None = None) -> np.ndarray:
        """The part of planes [..., height, width] that this window covers, as a NumPy view.

        The planes are those of the window `within`, or without it of the whole grid.
        """
        top, left = (within._rows.start, within._columns.start) if within else (0, 0)
        rows = slice(self._rows.start - top, self._rows.stop - top)
        columns = slice(self._columns.start - left, self._columns.stop - left)
        return planes[..., rows, columns]


WHOLE = Window(-np.inf, np.inf, -np.inf, np.inf)
"""The whole grid."""


def cover(distance: np.ndarray, width: float = PIXEL) -> np.ndarray:
    """How much of a pixel a shape covers, in [0, 1], for an edge `width` across."""
    covered = distance * (-1 / width)
    covered += 0.5
    return np.clip(covered, 0, 1, out=covered)


def soft_cover(distance: np.ndarray, width: float) -> np.ndarray:
    """A smooth step from 1 inside a shape to 0 outside, `width` across."""
    covered = cover(distance, width)
    return covered * covered * (3 - 2 * covered)


def spot(x: Plane, y: Plane, radius_x: Plane, radius_y: Plane) -> np.ndarray:
    """A soft spot: 1 at the origin, 0 on and outside the ellipse with these radii."""
    height = np.maximum(1 - (np.square(x * (1 / radius_x)) + np.square(y * (1 / radius_y))), 0)
    return height * height


def wave(position: np.ndarray) -> np.ndarray:
    """A triangle wave in [-1, 1] with period 1, highest at whole numbers."""
    return 1 - 4 * np.abs(position - np.rint(position))


def sphere(
    x: np.ndarray, y: np.ndarray, radius_x: Plane, radius_y: Plane
) -> tuple[np.ndarray, ...]:
    """The point of the unit sphere that is seen at (x, y), and its distance to the axis.

    The sphere is stretched to the radii and seen from far in front. Outside of it, z is 0.
    """
    x = x * (1 / radius_x)
    y = y * (1 / radius_y)
    square = x * x + y * y
    return x, y, np.sqrt(np.maximum(1 - square, 0)), np.sqrt(square)


def paint(canvas: np.ndarray, covered: np.ndarray, colour: np.ndarray, shade: Plane = 1) -> None:
    """Lays a colour over a canvas of linear light [3, n, height, width], in place.

    `covered`, the opacity in [0, 1], and `shade`, a factor of the colour, are [n, height, width];
    `colour` is linear light [3, n, 1, 1].
    """
    for channel, plane in zip(colour, canvas, strict=True):
        layer = channel * shade - plane
        layer *= covered
        plane += layer
