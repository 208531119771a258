"""Draws faces as an exact function of named factors, with NumPy alone.

`render` is the known answer for work on disentanglement: what a face looks like with glasses, or
lit from the other side, is not a guess but a second call. The head is an ellipsoid: each pixel is
carried back to the point of the turned head that it shows, and the features are drawn there, so
that turning the head moves and foreshortens them together. The whole figure is placed so that the
midpoint of the eyes, as it is seen, lies at one place of the picture (`geometry.EYES`), as in the
aligned pictures of CelebA (Liu et al. 2015). Shapes are drawn in linear light on a grid of twice
the final resolution.

A picture does not depend on its batch, on threads, or on the vector width of the processor: pixels
go through arithmetic and square roots only, and the few sines are taken one number at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from tf_mmdvlae.data.faces import features
from tf_mmdvlae.data.faces.factors import check_factors
from tf_mmdvlae.data.faces.geometry import Face, Head
from tf_mmdvlae.data.faces.painting import MARGIN, PICTURE, PIXEL, WHOLE

IMAGE_SIZE = 64
"""Height and width of a face in pixels."""

# Few enough faces at once that the planes of a chunk stay in the processor's cache.
_CHUNK = 3


def render(factors: Mapping[str, ArrayLike]) -> np.ndarray:
    """Draws faces from a value, [n] or a scalar, for every name in `factors.FACTORS`.

    Categorical values are class numbers. Values are rounded to float32 first, so that factors
    stored as float32 give the same picture again; what `check_factors` refuses is an InputError.

    Returns:
      uint8 [n, 64, 64, 3], RGB, 0 to 255. Equal factors give equal bytes.
    """
    checked = check_factors(factors)
    count = len(checked["yaw"])
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    # Chunks of like faces can leave out whole layers, such as hair that nobody in them wears.
    order = np.lexsort((checked["beard"], checked["glasses"], checked["hair_style"]))
    for start in range(0, count, _CHUNK):
        rows = order[start : start + _CHUNK]
        images[rows] = _render_chunk({name: values[rows] for name, values in checked.items()})
    return images


def _render_chunk(factors: dict) -> np.ndarray:
    face = Face(factors)
    canvas = _background(face)
    hair = features.Hair(face) if face.hair_thickness.any() else None
    if face.hair_spread.any():
        features.draw_hanging_hair(canvas, face)
    if face.bun.any():
        features.draw_bun(canvas, face)
    if hair:
        hair.draw_far_side(canvas)
    features.draw_body(canvas, face)
    ears = [features.Ear(face, side) for side in (-1, 1)]
    for ear in ears:
        ear.draw(canvas, 1)
    head = Head(face)
    features.relieve(head, face)
    head.draw(canvas, face)
    for ear in ears:
        ear.draw(canvas, ear.turned_forward)
    if face.beard.any():
        features.draw_beard(canvas, face, head)
    features.draw_mouth(canvas, face, head)
    features.draw_nostrils(canvas, face, head)
    features.draw_eyes(canvas, face, head)
    if face.glasses.any():
        features.draw_glasses(canvas, face, head)
    if hair:
        hair.draw_near_side(canvas)
    return _develop(canvas, face)


def _background(face: Face) -> np.ndarray:
    # The light on the person leaves the wall as it is, so that the two are separate factors.
    colour = np.square((0.55 + 0.45 * _hue(face.background_hue)) * face.background_brightness)
    # The figure moves, the wall does not.
    x = WHOLE.x + PIXEL * face.columns
    y = WHOLE.y + PIXEL * face.rows
    return colour * (1 - 0.15 * (np.square(x) + np.square(y - 0.3)))


def _hue(degrees: np.ndarray) -> np.ndarray:
    """Pure colours [3, n, 1, 1] in [0, 1] for hues in degrees, 0 being red."""
    sixths = degrees * (1 / 60)
    channels = [np.abs(sixths - 3) - 1, 2 - np.abs(sixths - 2), 2 - np.abs(sixths - 4)]
    return np.clip(np.stack(channels), 0, 1)


def _develop(canvas: np.ndarray, face: Face) -> np.ndarray:
    """Cuts each face's picture from the grid, averages it down, and encodes to display bytes.

    Highlights are compressed.
    """
    tops = (MARGIN + face.rows).astype(int).ravel()
    lefts = (MARGIN - face.columns).astype(int).ravel()
    light = np.empty((3, len(tops), IMAGE_SIZE, IMAGE_SIZE), np.float32)
    for number, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        grid = canvas[:, number, top : top + PICTURE, left : left + PICTURE]
        halves = grid[:, ::2] + grid[:, 1::2]
        light[:, number] = halves[..., ::2] + halves[..., 1::2]
    light = np.maximum(light * 0.25, 0)
    light /= 1 + 0.3 * light
    display = np.sqrt(np.minimum(light, 1)) * 255 + 0.5
    return np.moveaxis(display.astype(np.uint8), 0, -1)
