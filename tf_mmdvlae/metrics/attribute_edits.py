"""What adding an attribute along its direction does to images, judged by a classifier.

For images of which nobody can draw the true answer. As in He et al. 2019 ("AttGAN",
arXiv:1711.10678) the classifier judges what should change and what should stay, but here over a
range of strengths, since more of the one costs the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import mean, unknown
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.latents import Latents, edit, take

IMAGES_A_SIDE = 64
MEASURES = {
    "flipped": "",
    "others_moved": "the judge knows no other attribute",
    "face_kept": "where all features are zero, there is no cosine",
}
"""Name -> why an image has no value of it; "" where each has one."""


def attribute_edits(
    images: np.ndarray,
    encode: Callable[[np.ndarray], tuple[Latents, Latents]],
    decode: Callable[[Latents], np.ndarray],
    directions: Directions,
    judge: Any,
    attributes: Iterable[str] | None = None,
    strengths: Sequence[float] = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2),
    progress: Callable[[int, int], None] | None = None,
    retouch: bool = False,
) -> dict[str, Any]:
    """How often edits flip their attribute, and what else they change: curves over strength.

    The edited image is decode(E(x) + strength * direction), where E gives posterior means, and is
    compared with the reconstruction decode(E(x)). Positive strengths add the attribute to images
    whose reconstruction is judged to be without it (p < 1/2), negative ones remove it from the
    others; of each side, the first 64 images are taken.

    * flipped: the share of edited images that are judged to be on the other side of 1/2.
    * others_moved: the mean of |p(edited) - p(reconstruction)| over the other attributes of the
      judge. Some of it can be right, where attributes go together.
    * face_kept: the mean cosine between the judge's features of the edited image and of the
      reconstruction; 1 is the same face.

    At strength 0, on the images of both sides, they are 0, 0 and 1 by construction.

    Args:
      images: [n, H, W, C], float32 in [0, 1], which the judge was not trained on.
      directions: steps from without to with each attribute.
      judge: has `predict(images)` -> {attribute: probability [n]} and `features(images)` -> [n, k];
        labels of classes, whose probabilities are [n, k], are ignored.
      attributes: those to edit; None is all that have a direction and a judge.
      retouch: True judges retouches, x + decode(E(x) + strength * direction) - decode(E(x)), and
        compares them with the images x themselves, in place of edits and reconstructions.

    Returns:
      {"attributes": name -> curve, "overall": curve}. A curve is a list with, for each strength,
      {"strength", "flipped", "others_moved", "face_kept"}; the last three are estimates over
      images, and in "overall" over the attributes that have a value.

    Raises:
      InputError: for no or unknown attributes.
    """
    images, amounts = np.asarray(images, np.float32), np.asarray(strengths, np.float64)
    if images.ndim != 4 or not len(images):
        raise InputError(f"Images [n, H, W, C] are needed, not {list(images.shape)}.")
    if amounts.ndim != 1 or not amounts.size or not np.isfinite(amounts).all():
        raise InputError(f"The strengths must be a list of finite numbers, not {amounts}.")
    means, _ = encode(images)
    reconstructions = decode(means)
    before = _judged(judge, images if retouch else reconstructions, len(images))
    names = _attribute_names(attributes, directions.names, before[0])

    curves: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        points: dict[float, dict[str, Any]] = {}
        for side, rows, strengths in _sides(before[0][name], amounts):
            if not len(rows):
                nothing = unknown(0, f"no picture is judged {side} {name}")
                points |= dict.fromkeys(strengths, dict.fromkeys(MEASURES, nothing))
                continue
            # All strengths in one call: encoders and decoders work in batches.
            repeated = np.tile(rows, len(strengths))
            probabilities = {other: p[repeated] for other, p in before[0].items()}
            unedited = edited = probabilities, before[1][repeated]
            if side:
                codes, direction = take(means, repeated), directions.of(name)
                pictures = decode(edit(codes, direction, np.repeat(strengths, len(rows))))
                if retouch:
                    lost = images - reconstructions
                    pictures = np.clip(pictures + lost[repeated], 0, 1)
                edited = _judged(judge, pictures, len(repeated))
            points |= _points(name, strengths, unedited, edited)
        curves[name] = [{"strength": at, **points[at]} for at in amounts.tolist()]
        if progress:
            progress(len(curves), len(names))
    return {"attributes": curves, "overall": _overall(curves)}


def _attribute_names(wanted, directed, judged):
    shared = [name for name in directed if name in judged]
    names = shared if wanted is None else list(wanted)
    if unshared := [name for name in names if name not in shared]:
        raise InputError(
            f"These have no direction or no judge: {', '.join(unshared)}. "
            f"Known: {', '.join(shared) or 'none'}."
        )
    if not names:
        raise InputError(
            f"There is no attribute to edit. With a direction: {', '.join(directed) or 'none'}; "
            f"with a judge: {', '.join(judged) or 'none'}."
        )
    return names


def _judged(judge, images, count):
    """({attribute: probability [n]}, features [n, k] of length one, or NaN where all are zero)."""
    predictions = {name: np.asarray(p, np.float64) for name, p in judge.predict(images).items()}
    probabilities = {name: values for name, values in predictions.items() if values.ndim == 1}
    features = np.asarray(judge.features(images), np.float64)
    counts = {name: len(values) for name, values in probabilities.items()}
    if features.ndim != 2 or {len(features), *counts.values()} != {count}:
        raise InputError(
            f"Of {count} pictures the judge gave features {list(features.shape)} and as many "
            f"probabilities: {counts}. Each needs a row."
        )
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return probabilities, features / np.where(lengths > 0, lengths, np.nan)


def _sides(probabilities, amounts):
    """(side, rows of the images to edit, strengths) of those without and with; "" is not edited."""
    without = np.flatnonzero(probabilities < 0.5)[:IMAGES_A_SIDE]
    having = np.flatnonzero(probabilities >= 0.5)[:IMAGES_A_SIDE]
    sides = (
        ("without", without, amounts[amounts > 0]),
        ("with", having, amounts[amounts < 0]),
        ("", np.concatenate([without, having]), amounts[amounts == 0]),
    )
    return [(side, rows, strengths.tolist()) for side, rows, strengths in sides if strengths.size]


def _points(name, strengths, before, after):
    """{strength: measures}, of judgements whose rows are all images with each strength in turn."""
    (old, old_features), (new, new_features) = before, after
    flips = (new[name] >= 0.5) != (old[name] >= 0.5)
    others = [np.abs(new[other] - old[other]) for other in old if other != name]
    moves = np.mean(others, axis=0) if others else np.full(len(flips), np.nan)
    cosines = np.sum(old_features * new_features, axis=1)
    points = {strength: {} for strength in strengths}
    for (measure, reason), values in zip(MEASURES.items(), (flips, moves, cosines), strict=True):
        for strength, part in zip(strengths, np.split(values, len(strengths)), strict=True):
            points[strength][measure] = mean(part, missing=reason)
    return points


def _overall(curves):
    """The mean over attributes of each measure at each strength."""
    curve = []
    for points in zip(*curves.values(), strict=True):
        curve.append({"strength": points[0]["strength"]})
        for measure in MEASURES:
            values = [point[measure]["value"] for point in points]
            curve[-1][measure] = mean(values, missing="these attributes have no value")
    return curve
