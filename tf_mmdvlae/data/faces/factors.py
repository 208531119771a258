"""The factors that a synthetic face is drawn from: their table, their check, their sampling.

The functions return the factors of n faces in the order of `FACTORS`, as arrays [n]: float32 in
[low, high] for continuous factors, int64 class numbers for categorical ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from tf_mmdvlae.common.errors import InputError


@dataclass(frozen=True)
class Factor:
    """One cause of variation of a synthetic face.

    Attributes:
      name: its key in a dict of factors.
      kind: "continuous" or "categorical".
      low, high: the lowest and the highest value in `unit`, or the first and the last class number.
      classes: names of the classes in the order of their numbers; () for a continuous factor.
      unit: the unit of a continuous factor; "class" for a categorical one.
      meaning: what the picture shows as the factor grows, in one line.
      deviation: None where the values are uniform. Else they are normal around the middle of the
        range, with this standard deviation before the ends of the range cut them off.
    """

    name: str
    kind: str
    low: float
    high: float
    classes: tuple[str, ...]
    unit: str
    meaning: str
    deviation: float | None = None

    def quantile(self, shares: np.ndarray) -> np.ndarray:
        """The float32 values below which these shares, in [0, 1], of a continuous factor's lie."""
        low, high = np.float32(self.low), np.float32(self.high)
        if self.deviation is None:
            values = self.low + (self.high - self.low) * shares
        else:
            middle = (self.low + self.high) / 2
            below = ndtr((self.low - middle) / self.deviation)
            values = middle + self.deviation * ndtri(below + (1 - 2 * below) * shares)
        # Rounding may step over a bound that float32 cannot hold.
        return values.astype(np.float32).clip(low, high)

    @property
    def spread(self) -> float:
        """The standard deviation of a continuous factor's values."""
        if self.deviation is None:
            return (self.high - self.low) / math.sqrt(12)
        end = (self.high - self.low) / 2 / self.deviation
        density = math.exp(-end * end / 2) / math.sqrt(2 * math.pi)
        return self.deviation * math.sqrt(1 - 2 * end * density / math.erf(end / math.sqrt(2)))


def _continuous(
    name: str, low: float, high: float, unit: str, meaning: str, deviation: float | None = None
) -> Factor:
    return Factor(name, "continuous", low, high, (), unit, meaning, deviation)


def _categorical(name: str, classes: tuple[str, ...], meaning: str) -> Factor:
    return Factor(name, "categorical", 0, len(classes) - 1, classes, "class", meaning)


_HAIR_COLOURS = ("black", "brown", "red", "blond", "gray")
_HAIR_STYLES = ("bald", "short", "fringe", "long", "curly", "bun")

FACTORS: dict[str, Factor] = {
    factor.name: factor
    for factor in (
        _continuous("light_direction", -70.0, 70.0, "degrees", "light from the left to the right"),
        _continuous("light_level", 0.4, 1.2, "x nominal", "dim to bright light on the person"),
        _continuous("light_temperature", 3000.0, 9000.0, "kelvin", "candle orange to sky blue"),
        _continuous("background_hue", 0.0, 300.0, "degrees", "wall red, green, blue to magenta"),
        _continuous("background_brightness", 0.15, 0.9, "of white", "dark wall to bright wall"),
        _continuous("skin_tone", 0.0, 1.0, "of the ramp", "pale skin to dark skin"),
        _categorical("hair_color", _HAIR_COLOURS, "colour of hair, brows and beard"),
        _categorical("hair_style", _HAIR_STYLES, "cut of the hair"),
        _continuous("face_width", 0.85, 1.15, "x nominal", "narrow head to wide head"),
        _continuous("face_height", 0.88, 1.12, "x nominal", "short head to tall head"),
        _continuous("eye_distance", 0.8, 1.2, "x nominal", "eyes close to eyes far apart"),
        _continuous("nose_size", 0.7, 1.4, "x nominal", "small nose to large nose"),
        _continuous("mouth_width", 0.75, 1.3, "x nominal", "narrow mouth to wide mouth"),
        _continuous("smile", -1.0, 1.0, "of full", "frown to a smile that shows the teeth"),
        # Most of CelebA's aligned faces look ahead, too.
        _continuous("yaw", -30.0, 30.0, "degrees", "head turned to the left to the right", 12.0),
        _continuous("pitch", -15.0, 15.0, "degrees", "head bowed to head raised", 6.0),
        _categorical("glasses", ("none", "worn"), "glasses"),
        _categorical("beard", ("none", "mustache", "full"), "hair on the lower face"),
    )
}
"""Every factor by name, in a fixed order. Left and right are those of the picture."""


def check_factors(factors: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Checks a value, [n] or a scalar, for every name in `FACTORS` and gives all one length.

    Scalars alone give n = 1. A name that is missing or unknown, a shape that does not fit, and a
    value that is not a number of the factor's range are an InputError.
    """
    wrong = {
        "unknown": ", ".join(str(name) for name in factors if name not in FACTORS),
        "missing": ", ".join(name for name in FACTORS if name not in factors),
    }
    parts = "; ".join(f"{key}: {names}" for key, names in wrong.items() if names)
    if parts:
        raise InputError(f"face factors {parts}.\nKnown factors: {', '.join(FACTORS)}")
    checked = {name: _check_values(factor, factors[name]) for name, factor in FACTORS.items()}
    lengths = {len(values) for values in checked.values()} - {1}
    if len(lengths) > 1:
        raise InputError(f"face factors have different lengths: {sorted(lengths)}")
    count = lengths.pop() if lengths else 1
    return {name: np.broadcast_to(values, count).copy() for name, values in checked.items()}


def sample_factors(n: int, seed: int) -> dict[str, np.ndarray]:
    """Draws factors independently of one another, as each is distributed; classes are uniform.

    The same n and seed give the same factors. A negative n is an InputError.
    """
    if n < 0:
        raise InputError(f"The number of faces must be 0 or more, got {n}.")
    generator = np.random.default_rng(seed)
    factors = {}
    for name, factor in FACTORS.items():
        if factor.kind == "categorical":
            factors[name] = generator.integers(0, len(factor.classes), size=n, dtype=np.int64)
        else:
            factors[name] = factor.quantile(generator.uniform(size=n))
    return factors


def _check_values(factor: Factor, values: ArrayLike) -> np.ndarray:
    try:
        numbers = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{factor.name} must be numbers, {_describe(factor)}") from None
    if numbers.ndim > 1:
        raise InputError(f"{factor.name} must be a scalar or an array [n], got {numbers.shape}")
    numbers = np.atleast_1d(numbers)
    # Written so that NaN, which compares false with everything, is refused too.
    wrong = ~((numbers >= np.float32(factor.low)) & (numbers <= np.float32(factor.high)))
    if factor.kind == "categorical":
        wrong |= numbers != np.rint(numbers)
    if wrong.any():
        raise InputError(f"{factor.name} = {numbers[wrong][0]:g}: must be {_describe(factor)}")
    return numbers.astype(np.int64) if factor.kind == "categorical" else numbers


def _describe(factor: Factor) -> str:
    if factor.kind == "categorical":
        return ", ".join(f"{number} ({name})" for number, name in enumerate(factor.classes))
    return f"in [{factor.low:g}, {factor.high:g}] {factor.unit}"
