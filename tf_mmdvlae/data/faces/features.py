"""The parts of a face, each drawn on a canvas of linear light from the measures of the face."""

from __future__ import annotations

import numpy as np

from tf_mmdvlae.data.faces.geometry import EYE_HEIGHT, Face, Head, solid, squarer, turn_back
from tf_mmdvlae.data.faces.painting import Window, cover, paint, soft_cover, sphere, spot, wave

_BACK_HAIR = Window(-0.82, 0.82, -1.0, 0.38)
_BODY = Window(-1.02, 1.02, -np.inf, -0.45)
_HAIR = Window(-0.84, 0.84, -0.85, 1.06)
_EARS = {-1: Window(-0.75, -0.25, -0.3, 0.25), 1: Window(0.25, 0.75, -0.3, 0.25)}
_NOSE = Window(-0.56, 0.56, -0.75, 0.38)
_EYES = Window(-0.63, 0.63, -0.45, 0.55)
_MOUTH = Window(-0.5, 0.5, -0.82, 0.05)
_BEARD = Window(-0.66, 0.66, -0.86, 0.42)

_BRIDGE = 0.03
_WHITE = (1.0, 1.0, 1.0)


def relieve(head: Head, face: Face) -> None:
    """Gives the face its relief: nose, sockets of the eyes, hollow below the lip."""
    u, v, front = head.through(_NOSE, "u", "v", "front")
    toward_light, shadow = head.through(_NOSE, "toward_light", "shadow")
    size, tip_u, tip_v, length = _nose_tip(face)
    along = np.clip((_BRIDGE - v) / length, 0, 1)
    half_width = (0.034 + 0.052 * along * along) * size
    across = (u - along * tip_u) / half_width
    slope = np.maximum(1 - np.square(across * (1 / 1.7)), 0) * front
    slope *= np.clip((v - tip_v + 0.02) * 25, 0, 1) * np.clip((_BRIDGE + 0.06 - v) * 10, 0, 1)
    slope *= 0.35 + 0.65 * along
    toward_light += slope * (across * face.light[0] + 0.10)
    # Light from ahead alone would leave the sides of the nose as bright as its back.
    shadow *= 1 - 0.45 * slope * np.square(across)
    below_nose = spot(u - tip_u + 0.05 * face.light[0], v - tip_v + 0.03, 0.13 * size, 0.07 * size)
    shadow *= 1 - 0.60 * front * below_nose
    shadow *= 1 - 0.20 * front * spot(u, v + 0.50, 0.12, 0.04)
    u, v, front, shadow = head.through(_EYES, "u", "v", "front", "shadow")
    shadow *= 1 - 0.16 * front * spot(np.abs(u) - face.eye_x, v - 0.03, 0.19, 0.14)


def _nose_tip(face):
    """Size, tip (u, v) and length of the nose."""
    size = face.nose_size
    length = 0.18 + 0.06 * size
    # The tip stands out of the face, so turning the head moves it further than the skin.
    tip_u = 0.11 * size * face.sin_yaw
    tip_v = _BRIDGE - length + 0.06 * size * face.sin_pitch
    return size, tip_u, tip_v, length


def draw_nostrils(canvas: np.ndarray, face: Face, head: Head) -> None:
    u, v, inside, shade = head.through(_NOSE, "u", "v", "inside", "shade")
    size, tip_u, tip_v, _ = _nose_tip(face)
    view = _NOSE.view(canvas)
    nostrils = spot(np.abs(u - tip_u) - 0.040 * size, v - tip_v + 0.004, 0.034 * size, 0.027 * size)
    paint(view, nostrils * inside * 0.9, face.skin * 0.25, shade)
    gleam = spot(u - tip_u - 0.012 * face.light[0], v - tip_v - 0.045, 0.04 * size, 0.05 * size)
    paint(view, gleam * inside * 0.25, face.lit(_WHITE), shade)


def draw_eyes(canvas: np.ndarray, face: Face, head: Head) -> None:
    u, v, inside, shade = head.through(_EYES, "u", "v", "inside", "shade")
    view = _EYES.view(canvas)
    sideways = u - np.copysign(face.eye_x, u)
    lid = 0.084 * (1 - np.square(sideways * (1 / 0.13)))
    opening = cover(np.maximum(v - lid, -0.72 * lid - v)) * inside
    paint(view, opening, face.lit((0.95, 0.94, 0.92)), shade)
    from_pupil = np.sqrt(np.square(sideways) + np.square(v - EYE_HEIGHT))
    paint(view, opening * cover(from_pupil - 0.062), face.lit((0.36, 0.27, 0.17)), shade)
    paint(view, opening * cover(from_pupil - 0.032), face.lit((0.05, 0.04, 0.04)), shade)
    gleam = spot(sideways - 0.02 * face.light[0], v - 0.03, 0.026, 0.026)
    paint(view, opening * gleam, face.lit(_WHITE), face.light_level * 1.2)
    lash = np.maximum(np.abs(v - lid - 0.006) - 0.014, np.abs(sideways) - 0.13)
    paint(view, cover(lash) * inside * 0.85, face.skin * 0.06, shade)
    outward = (np.abs(u) - face.eye_x) * (1 / 0.15)
    arch = 1 - outward * outward
    height = np.abs(v - 0.165 - 0.035 * arch + 0.012 * outward)
    brow = np.maximum(height - 0.030 * (1 - 0.25 * outward), -0.07 * arch)
    paint(view, cover(brow, 0.03) * inside * 0.95, face.hair * 0.5, shade)


def draw_mouth(canvas: np.ndarray, face: Face, head: Head) -> None:
    u, v, inside, shade = head.through(_MOUTH, "u", "v", "inside", "shade")
    view = _MOUTH.view(canvas)
    half_width = 0.20 * face.mouth_width
    corner = np.minimum(np.square(u / half_width), 1.2)
    taper = np.maximum(1 - corner, 0)
    # Height above the line between the lips, whose corners a smile lifts and a frown drops.
    height = v + 0.405 - 0.12 * face.smile * (corner - 0.3)
    beyond = np.abs(u) - half_width
    gape = 0.16 * np.maximum(face.smile - 0.1, 0) * taper
    above = height - 0.15 * gape
    below = -gape - height
    lips = np.maximum(np.maximum(above - 0.042 * taper, below - 0.056 * taper), beyond)
    paint(view, cover(lips) * inside, face.skin * solid((0.84, 0.50, 0.51)), shade)
    gap = np.maximum(np.maximum(above, below) - (0.004 + 0.006 * taper), beyond)
    gap = cover(gap) * inside
    paint(view, gap, face.skin * 0.05 + face.lit((0.16, 0.05, 0.05)), shade)
    teeth = np.maximum(np.maximum(above, -0.62 * gape - height), np.abs(u) - 0.9 * half_width)
    teeth = cover(teeth) * gap * np.clip(face.smile * 3 - 0.6, 0, 1)
    paint(view, teeth, face.lit((0.95, 0.93, 0.88)), shade)


def draw_beard(canvas: np.ndarray, face: Face, head: Head) -> None:
    u, v, front, shade = head.through(_BEARD, "u", "v", "front", "shade")
    ahead, outline = head.through(_BEARD, "ahead", "distance")
    view = _BEARD.view(canvas)
    ends = 1 - np.square(u * (1 / 0.22))
    mustache = np.maximum(np.abs(v + 0.318 + 0.6 * u * u) - 0.046, -0.10 * ends)
    worn = np.clip(face.beard, 0, 1)
    paint(view, cover(mustache, 0.03) * front * worn, face.hair * 0.75, shade)
    side = np.maximum(np.abs(u) - 0.17, 0)
    thickness = 0.05 * np.clip((-0.15 - v) * 4, 0, 1)
    jaw = np.maximum(v + 0.34 - 0.5 * side - 2.2 * side * side, outline - thickness)
    jaw = np.maximum(jaw, 0.4 * (0.12 - ahead))
    worn = np.clip(face.beard - 1, 0, 1)
    strands = shade * (0.85 + 0.15 * wave(np.abs(u) * 13 + v * 3))
    paint(view, soft_cover(jaw, 0.06) * worn, face.hair * 0.75, strands)


def draw_glasses(canvas: np.ndarray, face: Face, head: Head) -> None:
    u, v, inside, shade = head.through(_EYES, "u", "v", "inside", "shade")
    view = _EYES.view(canvas)
    worn = face.glasses * inside
    side = np.abs(u) - face.eye_x
    square = np.square(side * (1 / 0.17)) + np.square((v + 0.008) * (1 / 0.155))
    lens = (np.sqrt(square * np.sqrt(square + 0.05)) - 1) * 0.155
    bridge = np.maximum(np.abs(v - 0.02 + u * u) - 0.017, 0.155 + side)
    temple = np.maximum(np.maximum(np.abs(v - 0.03) - 0.017, 0.155 - side), -lens)
    frame = np.minimum(np.minimum(np.abs(lens) - 0.02, bridge), temple)
    paint(view, cover(lens) * worn * 0.12, face.lit((0.85, 0.95, 1.0)), shade)
    shade = 0.4 * face.light_level + 0.6 * shade
    paint(view, cover(frame) * worn, face.lit((0.10, 0.09, 0.10)), shade)


class Ear:
    """An ear on one side of the head: behind its outline, until turning brings it forward."""

    def __init__(self, face: Face, side: int) -> None:
        self.window = _EARS[side]
        forward = -side * face.sin_yaw
        self.turned_forward = np.clip(forward * 6, 0, 1)
        out = side * face.head_width * (1.01 * face.cos_yaw - 0.12 * np.abs(face.sin_yaw))
        x, y = face.at(self.window)
        y = y + face.head_height * 0.06 * (face.cos_pitch + face.sin_pitch)
        x = x - out - side * 0.12 * y
        width = 0.062 + 0.03 * np.maximum(forward, 0)
        x, y, z, radius = sphere(x, y, width, 0.135 * face.face_height)
        self.cover = cover((radius - 1) * 0.075)
        shade = face.shade(face.toward_light(side * 0.55 + x * 0.4, y * 0.3, 0.6 + 0.2 * z))
        self.shade = shade * (0.72 + 0.28 * z - 0.45 * spot(x + side * 0.1, y, 0.6, 0.65))
        self.colour = face.skin * solid((1.0, 0.93, 0.92))

    def draw(self, canvas: np.ndarray, opacity: float | np.ndarray) -> None:
        paint(self.window.view(canvas), self.cover * opacity, self.colour, self.shade)


def draw_body(canvas: np.ndarray, face: Face) -> None:
    x, y = face.at(_BODY)
    view = _BODY.view(canvas)
    neck = 0.25 + 0.24 * np.maximum(-0.72 - y, 0)
    bend = x / neck
    shade = face.shade(face.toward_light(bend, -0.1, np.sqrt(np.maximum(1 - bend * bend, 0))))
    chin_x = (x + 0.18 * face.light[0]) / face.head_width
    chin_y = (y + 0.16) / face.head_height
    below_chin = (np.sqrt(np.square(chin_x) + np.square(chin_y)) - 1) * 0.5
    shade = shade * (1 - 0.55 * soft_cover(below_chin, 0.14))
    paint(view, cover(np.abs(x) - neck), face.skin, shade)
    shirt_x, shirt_y, z, radius = sphere(x, y + 1.20, 1.0, 0.42)
    collar = (np.sqrt(np.square(x * (1 / 0.31)) + np.square((y + 0.78) * (1 / 0.16))) - 1) * 0.22
    shade = face.shade(face.toward_light(shirt_x * 0.8, shirt_y * 0.8, 0.4 + 0.6 * z))
    shade = shade * (1 - 0.35 * soft_cover(collar - 0.02, 0.06))
    covered = cover(np.maximum((radius - 1) * 0.45, -collar))
    paint(view, covered, face.lit((0.30, 0.37, 0.47)), shade)


def draw_hanging_hair(canvas: np.ndarray, face: Face) -> None:
    x, y = face.at(_BACK_HAIR)
    curls = _curls(face, x, y)
    x = x + 0.10 * face.sin_yaw
    rounding = 0.22
    across = np.abs(x) - face.hair_spread * face.face_width - curls + rounding
    middle = 0.5 * (0.35 + face.hair_bottom)
    along = np.abs(y - middle) - 0.5 * (0.35 - face.hair_bottom) + rounding
    corner = np.sqrt(np.square(np.maximum(across, 0)) + np.square(np.maximum(along, 0)))
    covered = cover(corner - rounding) * (face.hair_spread > 0)
    shade = face.shade(face.toward_light(x * (1 / 0.7), 0, 0.35), ambient=0.15)
    shade = shade * (0.85 + 0.12 * wave(x * 9))
    paint(_BACK_HAIR.view(canvas), covered, face.hair * 0.7, shade)


def draw_bun(canvas: np.ndarray, face: Face) -> None:
    x, y = face.at(_HAIR)
    x = x + 0.45 * face.head_width * face.sin_yaw
    rise = face.head_height * (1.03 * face.cos_pitch + 0.35 * face.sin_pitch)
    # A style without a bun still needs a radius to divide by.
    radius = np.maximum(face.bun, 0.01)
    x, y, z, from_middle = sphere(x, y - rise, radius, radius * 0.85)
    covered = cover((from_middle - 1) * radius) * (face.bun > 0)
    shade = face.shade(face.toward_light(x, y, z)) * (0.9 + 0.15 * wave(x * 1.5))
    paint(_HAIR.view(canvas), covered, face.hair, shade)


class Hair:
    """The shell of hair around the head: what shows of its far side and of its near side."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._width = face.head_width + face.hair_thickness
        self._height = face.head_height + face.hair_thickness
        x, y = face.at(_HAIR)
        self._curls = _curls(face, x, y)
        y = squarer(y - 0.015, self._height)
        x = x + 0.07 * face.sin_yaw
        self._x, self._y, self._z, radius = sphere(x, y, self._width, self._height)
        outline = (radius - 1) * (0.5 * (self._width + self._height)) - self._curls
        # Bald faces share the arithmetic and none of the paint.
        self._cover = cover(outline) * (face.hair_thickness > 0)

    def draw_far_side(self, canvas: np.ndarray) -> None:
        shade = self._face.shade(self._face.toward_light(self._x, self._y, 0), ambient=0.15)
        self._draw(canvas, -self._z, shade, 0.65)

    def draw_near_side(self, canvas: np.ndarray) -> None:
        toward_light = self._face.toward_light(self._x, self._y, self._z)
        shine = np.square(np.square(np.maximum(toward_light, 0)))
        self._draw(canvas, self._z, self._face.shade(toward_light), 0.75 + 0.5 * shine)

    def _draw(self, canvas, z, shade, brightness):
        face = self._face
        x, y, ahead = turn_back(face, self._x, self._y, z)
        strands = wave(x * 4.5)
        line = face.hair_front - face.hair_fall * np.maximum(face.hair_turn - ahead, 0)
        line = (np.maximum(line, face.hair_nape) - y) * self._height
        covered = self._cover * cover(line + self._curls + 0.008 * strands)
        shade = shade * (brightness + 0.10 * strands + 3 * self._curls)
        paint(_HAIR.view(canvas), covered, face.hair, shade)


def _curls(face: Face, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return face.curls * (wave(x * 5) * wave(y * 5))
