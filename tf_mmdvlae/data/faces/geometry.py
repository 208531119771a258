"""The measures of a face and the head in space that its features are drawn on."""

from __future__ import annotations

import math

import numpy as np

from tf_mmdvlae.data.faces.factors import FACTORS, Factor
from tf_mmdvlae.data.faces.painting import (
    PIXEL,
    VIEW,
    Plane,
    Window,
    cover,
    paint,
    sphere,
    spot,
)

HEAD = Window(-0.66, 0.66, -0.86, 0.82)
"""Where a head of any size and pose can reach."""
HEAD_HEIGHT = 0.70
"""Nominal half height of the head; heights on the face are given for it and stretch with it."""
EYE_HEIGHT = 0.006
"""Height of the middle of the eyes on the face."""
EYES = (0.0, 0.06 * VIEW)
"""Where the picture shows the midpoint of the eyes; the picture spans -`VIEW` to `VIEW`."""

Colour = tuple[float, float, float]
"""Red, green and blue as displays take them, 0 to 1."""

_SKIN_RAMP = (
    (0.98, 0.86, 0.77),
    (0.94, 0.76, 0.62),
    (0.80, 0.58, 0.42),
    (0.58, 0.38, 0.26),
    (0.39, 0.26, 0.19),
)
_LIGHT_RAMP = ((1.12, 0.96, 0.78), (1.02, 1.0, 0.96), (0.90, 0.99, 1.12))
_HAIR_COLOURS = {
    "black": (0.13, 0.11, 0.12),
    "brown": (0.38, 0.24, 0.15),
    "red": (0.66, 0.28, 0.12),
    "blond": (0.87, 0.70, 0.40),
    "gray": (0.68, 0.68, 0.70),
}
# Thickness of the hair on the head (none: bald), size of the curls, size of the bun; height of the
# hairline in front, where the line starts to fall on its way round (1 is the front, 0 the ears),
# how steeply, and down to where; how far down and how wide hair hangs behind (none: not at all).
# Heights are in half heads, lengths in half pictures.
_HAIR_STYLES = {
    "bald": (0.000, 0.000, 0.00, 0.00, 0.00, 0.0, 0.00, 0.00, 0.00),
    "short": (0.070, 0.000, 0.00, 0.55, 0.80, 0.9, -0.20, 0.00, 0.00),
    "fringe": (0.075, 0.000, 0.00, 0.32, 0.50, 4.0, -0.52, -0.50, 0.58),
    "long": (0.065, 0.000, 0.00, 0.60, 0.78, 2.0, -0.72, -1.10, 0.62),
    "curly": (0.130, 0.035, 0.00, 0.48, 0.72, 1.5, -0.50, -0.35, 0.60),
    "bun": (0.035, 0.000, 0.18, 0.58, 0.80, 0.9, -0.15, 0.00, 0.00),
}


class Face:
    """The factors of a chunk as planes [n, 1, 1] of lengths, directions and lit colours."""

    face_width: np.ndarray
    face_height: np.ndarray
    eye_distance: np.ndarray
    nose_size: np.ndarray
    mouth_width: np.ndarray
    smile: np.ndarray
    beard: np.ndarray
    glasses: np.ndarray
    light_level: np.ndarray
    background_hue: np.ndarray
    background_brightness: np.ndarray

    def __init__(self, factors: dict[str, np.ndarray]) -> None:
        for name, values in factors.items():
            setattr(self, name, _plane(values))
        self.sin_yaw, self.cos_yaw = _sine_cosine(factors["yaw"])
        self.sin_pitch, self.cos_pitch = _sine_cosine(factors["pitch"])
        sine, cosine = _sine_cosine(factors["light_direction"])
        self.light = (0.92 * sine, np.float32(0.39), 0.92 * cosine)
        self.tint = _light_tint(factors["light_temperature"])
        self.skin = _ramp(_SKIN_RAMP, factors["skin_tone"]) * self.tint
        hair_colours = {name: _linear(colour) for name, colour in _HAIR_COLOURS.items()}
        self.hair = _table(hair_colours, FACTORS["hair_color"], factors["hair_color"]) * self.tint
        style = _table(_HAIR_STYLES, FACTORS["hair_style"], factors["hair_style"])
        self.hair_thickness, self.curls, self.bun = style[:3]
        self.hair_front, self.hair_turn, self.hair_fall, self.hair_nape = style[3:7]
        self.hair_bottom, self.hair_spread = style[7:]
        self.head_width = 0.53 * self.face_width
        self.head_height = HEAD_HEIGHT * self.face_height
        self.eye_x = 0.215 * self.eye_distance
        x, y = self._see_eyes()
        self._shift_x, self.columns = _split((EYES[0] - x) / PIXEL)
        self._shift_y, self.rows = _split((EYES[1] - y) / PIXEL)

    def at(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Where the figure is in a window: x [n, 1, width] and y [n, height, 1] of its pixels.

        The middle of the head is the origin. It lies within half a pixel of the middle of the grid:
        whole pixels, `columns` and `rows`, count when the picture is cut from the grid.
        """
        return window.x - self._shift_x, window.y - self._shift_y

    def _see_eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """The midpoint of the two eyes as they are seen, from the middle of the head."""
        eye_x, width, height, sin_yaw, sin_pitch, cos_pitch = (
            plane.astype(np.float64)
            for plane in (
                *(self.eye_x, self.head_width, self.head_height),
                *(self.sin_yaw, self.sin_pitch, self.cos_pitch),
            )
        )
        # The inverse of `turn_back`. What lies as far to the left as to the right cancels.
        across, up = eye_x / width, EYE_HEIGHT / HEAD_HEIGHT
        ahead = np.sqrt(1 - across * across - up * up)
        x = (ahead * cos_pitch - up * sin_pitch) * sin_yaw
        bent = y = up * cos_pitch + ahead * sin_pitch
        for _ in range(12):  # The inverse of `squarer`: each round gains more than a digit.
            y = bent / _square(y)
        return x * width * _chin(bent), y * height

    def lit(self, colour: Colour) -> np.ndarray:
        """A display colour under the chunk's light, [3, n, 1, 1] in linear light."""
        return solid(colour) * self.tint

    def toward_light(self, x: Plane, y: Plane, z: Plane) -> np.ndarray:
        """The cosine between a surface's normal and the light."""
        return x * self.light[0] + y * self.light[1] + z * self.light[2]

    def shade(self, toward_light: np.ndarray, ambient: float = 0.22) -> np.ndarray:
        """Lambert's shade, wrapped a little round the edge as from a wide lamp."""
        direct = np.maximum(toward_light + 0.25, 0) * 0.9
        return (direct + ambient) * self.light_level


class Head:
    """The point of the head that each pixel of `HEAD` shows, as planes [n, height, width].

    Attributes:
      u: sideways position in the head's own frame, in half pictures.
      v: height in the head's own frame, likewise; it stretches with the head.
      ahead: 1 at the tip of the face, 0 at the ears, negative behind.
      front: opacity of what is painted on the face: 1, fading to 0 at the ears.
      distance: signed distance to the outline.
      inside: cover of the head, times `front`.
      toward_light: cosine to the light; features may add relief before `draw`.
      shadow: factor of the shade; features may lower it before `draw`.
      shade: light on the skin, set by `draw`.
    """

    def __init__(self, face: Face) -> None:
        x, y = face.at(HEAD)
        y = squarer(y, face.head_height)
        width = face.head_width * _chin(y / face.head_height)
        x, y, z, radius = sphere(x, y, width, face.head_height)
        self.distance = (radius - 1) * (0.5 * (face.head_width + face.head_height))
        u, v, self.ahead = turn_back(face, x, y, z)
        self.u = u * face.head_width
        self.v = v * HEAD_HEIGHT
        self.front = np.clip(self.ahead * 4, 0, 1)
        self.inside = cover(self.distance) * self.front
        self.toward_light = face.toward_light(x, y, z)
        self.shadow = np.ones_like(self.u)
        self.shade: np.ndarray | None = None

    def draw(self, canvas: np.ndarray, face: Face) -> None:
        """Lays the skin over the canvas."""
        self.shade = face.shade(self.toward_light) * self.shadow
        view = HEAD.view(canvas)
        paint(view, cover(self.distance), face.skin, self.shade)
        cheeks = spot(np.abs(self.u) - 0.27, self.v + 0.20, 0.15, 0.12) * self.front
        paint(view, cheeks * 0.5, face.skin * solid((1.0, 0.85, 0.84)), self.shade)

    def through(self, window: Window, *names: str) -> list[np.ndarray]:
        """The named planes where a window shows them."""
        return [window.view(getattr(self, name), within=HEAD) for name in names]


def squarer(y: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Bends heights so that an ellipse gets the fuller jaw and skull of a head."""
    return y * _square(y / height)


def _square(y: Plane) -> Plane:
    return 0.86 + 0.14 * np.square(y)


def _chin(y: Plane) -> Plane:
    """How much narrower the head is below its middle, at bent heights in half heads."""
    return 1 - 0.09 * np.clip(-y, 0, 1)


def _split(steps):
    """Steps in pixels as the length of a rest of a pixel, and as whole pixels."""
    whole = np.rint(steps)
    return np.float32((steps - whole) * PIXEL), np.float32(whole)


def turn_back(face: Face, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rotates a point of the sphere from the viewer's frame into the head's."""
    ahead = x * face.sin_yaw + z * face.cos_yaw
    return (
        x * face.cos_yaw - z * face.sin_yaw,
        y * face.cos_pitch - ahead * face.sin_pitch,
        y * face.sin_pitch + ahead * face.cos_pitch,
    )


def _plane(values) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def _sine_cosine(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # NumPy's own sine may round the same number differently in a vector and alone.
    radians = [math.radians(float(angle)) for angle in degrees]
    return _plane([math.sin(angle) for angle in radians]), _plane([math.cos(a) for a in radians])


def _linear(colour):
    """A display colour in linear light: a gamma of two, which the renderer's last step undoes."""
    return [part * part for part in colour]


def solid(colour: Colour) -> np.ndarray:
    """A display colour as [3, 1, 1, 1] in linear light."""
    return np.array(_linear(colour), np.float32)[:, None, None, None]


def _table(rows: dict, factor: Factor, classes: np.ndarray) -> np.ndarray:
    """Looks up the row of each class and returns the columns as [columns, n, 1, 1]."""
    table = np.array([rows[name] for name in factor.classes], np.float32)
    return table[classes].T[:, :, None, None]


def _ramp(colours, position: np.ndarray) -> np.ndarray:
    """Interpolates display colours at positions [n] in [0, 1], as linear light [3, n, 1, 1]."""
    table = np.array([_linear(colour) for colour in colours], np.float32)
    scaled = position * (len(colours) - 1)
    lower = np.minimum(scaled.astype(np.int64), len(colours) - 2)
    part = (scaled - lower.astype(np.float32))[:, None]
    mixed = table[lower] * (1 - part) + table[lower + 1] * part
    return mixed.T[:, :, None, None]


def _light_tint(kelvin: np.ndarray) -> np.ndarray:
    factor = FACTORS["light_temperature"]
    part = (kelvin - factor.low) / (factor.high - factor.low)
    return _ramp(_LIGHT_RAMP, np.clip(part, 0, 1))
