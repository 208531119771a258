"""Pictures of a model's answers: arithmetic, edits, samples.

Each function writes a PNG file and returns its path. Images are [n, H, W, C] in [0, 1], n >= 1.
`layers` are the numbers of those that took part, None for all; `detail` is how much of image -
reconstruction was added back. A file that cannot be written is an `InputError`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from tf_mmdvlae.figures.drawing import MINUS, in_a_square, listing, number, save_mosaic


def draw_arithmetic(
    path: pathlib.Path | str,
    a: np.ndarray,
    minus: np.ndarray,
    plus: np.ndarray,
    result: np.ndarray,
    layers: Sequence[int] | None = None,
    detail: float = 0.0,
) -> pathlib.Path:
    """Draws rows of a - minus + plus = result."""
    explanation = "The codes of three images are subtracted and added; the result is decoded."
    if detail:
        explanation += f" What a's reconstruction lacks is added back{_share(detail)}."
    if layers is not None:
        explanation += f" Only layer{'s' * (len(layers) > 1)} {listing(layers)} took part; the "
        explanation += "other layers are those of the first image."
    return save_mosaic(
        path,
        np.stack([a, minus, plus, result], axis=1),
        "Arithmetic",
        explanation,
        gap=2,
        columns_apart=(2,),
        column_labels=["a", f"{MINUS} minus", "+ plus", "= result"],
    )


def draw_edits(
    path: pathlib.Path | str,
    images: np.ndarray,
    edited: np.ndarray,
    attribute: str,
    strengths: Sequence[float],
    layers: Sequence[int] | None = None,
    detail: float = 0.0,
) -> pathlib.Path:
    """Draws images beside their edits [n, len(strengths), H, W, C] by an attribute."""
    explanation = (
        "The first column is the given image; the others add the attribute's direction to its "
        "code, times the number below. "
    )
    if detail:
        explanation += f"What the reconstruction lacks of the image is added back{_share(detail)}."
    else:
        explanation += "Strength 0 is the reconstruction."
    if layers is not None:
        explanation += f" Only layer{'s' * (len(layers) > 1)} {listing(layers)} took part."
    return save_mosaic(
        path,
        np.concatenate([np.asarray(images)[:, None], edited], axis=1),
        f"Edit: {attribute}",
        explanation,
        gap=2,
        columns_apart=(0,),
        column_labels=["given", *map(number, strengths)],
        column_axis="strength",
    )


def _share(detail):
    return "" if detail == 1 else f", times {number(detail)}"


def draw_walk(
    path: pathlib.Path | str,
    frames: np.ndarray,
    steps: int,
    layers: Sequence[int] | None = None,
    detail: float = 0.0,
) -> pathlib.Path:
    """Draws a walk through pictures [legs * steps + 1, H, W, C]: a row per leg, its ends in it."""
    explanation = "Each row goes from one picture to the next through the codes between them."
    if detail:
        explanation += f" What the reconstructions lack is added back{_share(detail)}."
    if layers is not None:
        explanation += f" Only layer{'s' * (len(layers) > 1)} {listing(layers)} took part."
    rows = np.arange(0, len(frames) - 1, steps)[:, None] + np.arange(steps + 1)
    shares = [number(round(step / steps, 3)) for step in range(steps + 1)]
    return save_mosaic(
        path,
        frames[rows],
        "Walk",
        explanation,
        gap=2,
        column_labels=shares,
        column_axis="share of the way",
    )


def draw_draws(
    path: pathlib.Path | str, images: np.ndarray, first_seed: int, temperature: float
) -> pathlib.Path:
    """Draws samples in a grid that is about square.

    The caption gives the seeds, `first_seed` and those that follow it, and the temperature.
    """
    return save_mosaic(
        path,
        in_a_square(images),
        "Samples",
        f"Each image is decoded from its own draw of all layers. Seeds {first_seed} to "
        f"{first_seed + len(images) - 1}, row by row; temperature {number(temperature)}.",
    )
