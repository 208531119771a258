"""The shape of a drawn digit: how thick, slanted, wide, high and inky its stroke is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tf_mmdvlae.common.errors import InputError

_NAMES = ("thickness", "slant", "width", "height", "area")
_SCALE = 4
"""Points along a pixel's side."""


def digit_shapes(images: np.ndarray) -> dict[str, np.ndarray]:
    """Thickness, slant, width, height and area of the bright stroke on dark in images [n, H, W, 1].

    After Morpho-MNIST (Castro, Tan, Kainz, Konukoglu and Glocker 2019, arXiv 1809.10780): each
    image is redrawn with four by four points per pixel (cubic splines), and its ink is where that
    is brighter than halfway between the image's darkest and brightest pixel. All five are measured
    on the ink:

    - thickness: twice the distance from the stroke's midline to its edge, averaged over the
      midline.
    - slant: -atan(c_xy / c_yy), where c is the covariance of the ink's x (to the right) and y
      (down): the shear that would make the ink upright. Zero is upright and positive leans to the
      right, as in "/".
    - width, height: of the smallest parallelogram around the ink whose base is level and whose
      sides have the slant; width is that of the box around the ink once it is sheared upright.
      Morpho-MNIST cuts off the outermost hundredth of the ink on either side; this does not.
    - area: of the ink.

    Morpho-MNIST's thickness also counts the midline's branches into corners, and rounds midline and
    edge to whole points; this one leaves the branches out and places midline and edge between
    points. Strokes of two to six pixels come out within a quarter of a pixel, and thinner ones,
    which no pixel shows in full, up to half a pixel too thick.

    Returns:
      {"thickness", "slant", "width", "height", "area"}, each float32 [n]: slant in degrees, area in
      square pixels, the others in pixels. All five are NaN for an image of one brightness.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or images.shape[-1] != 1 or 0 in images.shape[1:3]:
        raise InputError(
            f"The images have shape {list(images.shape)}; they must be [images, height, width, 1]."
        )
    if not np.isfinite(images).all():
        raise InputError("The images hold values that are not finite.")
    rows, columns = (_finer(size) for size in images.shape[1:3])
    shapes = np.full((len(images), len(_NAMES)), np.nan, np.float32)
    for index, image in enumerate(images[..., 0]):
        darkest, brightest = image.min(), image.max()
        if darkest < brightest:
            finer = rows @ (image - darkest) @ columns.T
            shapes[index] = _measure(finer > (brightest - darkest) / 2)
    return dict(zip(_NAMES, shapes.T.copy(), strict=True))


def _finer(size):
    """Cubic spline interpolation as a matrix [_SCALE * (size + 2), size]; dark beyond the ends."""
    pixels = np.pad(np.eye(size), ((1, 1), (0, 0)))
    matrix = ndimage.zoom(pixels, (_SCALE, 1), order=3, mode="grid-constant", grid_mode=True)
    return matrix.astype(np.float32)


def _measure(ink):
    """The five numbers of one image's ink, bool [points, points]."""
    y, x = np.nonzero(ink)
    ink = np.pad(ink[y.min() : y.max() + 1, x.min() : x.max() + 1], 1)
    y, x = y - y.mean(), x - x.mean()
    # The ink around the brightest pixel covers several rows of points: y varies.
    shear = x @ y / (y @ y)
    upright = x - shear * y
    return (
        _thickness(ink) / _SCALE,
        np.degrees(-np.arctan(shear)),
        (np.ptp(upright) + 1) / _SCALE,
        (np.ptp(y) + 1) / _SCALE,
        len(x) / _SCALE**2,
    )


def _thickness(ink):
    distance = ndimage.distance_transform_edt(ink)
    # Across a stroke the distance rises by one a point up to the midline and falls again. For a
    # point beside the midline, half the difference of its neighbours is therefore how far off the
    # midline is. The same along the stroke, and along a branch into a corner, is a slope: small in
    # a stroke, and beyond one half in the branch.
    opposite = (
        (distance[1:-1, 2:], distance[1:-1, :-2]),
        (distance[2:, 1:-1], distance[:-2, 1:-1]),
        (distance[2:, 2:], distance[:-2, :-2]),
        (distance[2:, :-2], distance[:-2, 2:]),
    )
    offset = np.max([np.abs(one - other) for one, other in opposite], axis=0) / 2
    distance = distance[1:-1, 1:-1]
    midline = (distance > 0) & (offset <= 0.5) | (distance == distance.max())
    # The edge lies half a point before the first point outside.
    return 2 * np.mean(distance[midline] + offset[midline] - 0.5)
