"""What adding an attribute along its direction does to pictures, judged by a classifier.

For images whose truth with the attribute nobody can draw. That the edit is judged by a classifier
trained on images, both for what was wanted and for what was to stay, is He et al. 2019 ("AttGAN",
arXiv:1711.10678); here over a range of strengths, since more of the one costs the other.
"""

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents

IMAGES_A_SIDE = 64
"""At most so many images without an attribute and so many with it are edited."""

MEASURES = ("flipped", "others_moved", "face_kept")


def attribute_edits(
    images,
    encode,
    decode,
    directions,
    judge,
    attributes=None,
    strengths=(-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2),
    progress=None,
):
    """How often edits flip their attribute, and what else they change: curves over strength.

    The edited picture is decode(E(x) + strength * direction), where E gives posterior means, and
    is compared with the reconstruction decode(E(x)). Positive strengths add the attribute to
    images whose reconstruction is judged to be without it (p < 1/2), negative ones take it from the
    others; of each side, the first 64 images are taken.

    * flipped: the share of edited pictures that are judged to be on the other side of 1/2.
    * others_moved: the mean of |p(edited) - p(reconstruction)| over the other attributes of the
      judge. Some of it can be right, where attributes go together.
    * face_kept: the mean cosine between the judge's features of the edited picture and of the
      reconstruction; 1 is the same face.

    At strength 0, on the images of both sides, they are 0, 0 and 1 by construction.

    Args:
      images: [n, H, W, C], float32 in [0, 1], which the judge was not trained on.
      encode: images -> (means, deviations), latent dicts [n, d_l].
      decode: a latent dict -> images.
      directions: a `directions.Directions`, steps from without to with each attribute.
      judge: has `predict(images)` -> {attribute: probability [n]} and `features(images)` -> [n, k];
        labels of classes, whose probabilities are [n, k], are left aside.
      attributes: those to edit; None is all that have a direction and a judge.
      strengths: of the edits, in the order of the curves.
      progress: None, or called with (attributes done, attributes in all) after each.

    Returns:
      {"attributes": name -> curve, "overall": curve}. A curve is a list with, for each strength,
      {"strength", "flipped", "others_moved", "face_kept"}; each of the last three is {"value",
      "standard_error", "count"} over images, and in "overall" over the attributes that have a
      value; the standard error is deviation / sqrt(count) in both. What no image gives is NaN, with
      a "note".

    Raises:
      InputError: for no images, no or unknown attributes, strengths that are not finite, or a judge
        or model that gives other shapes than said here.
    """
    images, strengths = np.asarray(images, np.float32), np.asarray(strengths, np.float64)
    if images.ndim != 4 or not len(images):
        raise InputError(
            f"Images [n, height, width, channels] are needed, not {list(images.shape)}."
        )
    if strengths.ndim != 1 or not strengths.size or not np.isfinite(strengths).all():
        raise InputError(f"The strengths must be a list of finite numbers, not {strengths}.")
    means, _ = encode(images)
    before = _judged(judge, decode(means), len(images))
    attributes = _attributes(attributes, directions.names, before[0])

    def edited(name, rows, amounts):
        codes = latents.edit(latents.take(means, rows), directions.of(name), amounts)
        return _judged(judge, decode(codes), len(rows))

    curves = {}
    for name in attributes:
        points = {}
        for side, rows, amounts in _sides(before[0][name], strengths):
            if not len(rows):
                points |= dict.fromkeys(amounts, _nothing(f"no picture is judged {side} {name}"))
                continue
            # All strengths in one call: callables work in batches.
            repeated = np.tile(rows, len(amounts))
            unedited = _at(before, repeated)
            after = edited(name, repeated, np.repeat(amounts, len(rows))) if side else unedited
            points |= _points(name, amounts, unedited, after)
        curves[name] = [{"strength": at, **points[at]} for at in strengths.tolist()]
        if progress is not None:
            progress(len(curves), len(attributes))
    return {"attributes": curves, "overall": _overall(curves)}


def _attributes(wanted, directed, judged):
    shared = [name for name in directed if name in judged]
    names = shared if wanted is None else list(wanted)
    if unknown := [name for name in names if name not in shared]:
        raise InputError(
            f"These have no direction or no judge: {', '.join(unknown)}. "
            f"Known: {', '.join(shared) or 'none'}."
        )
    if not names:
        raise InputError(
            f"There is no attribute to edit. With a direction: {', '.join(directed) or 'none'}; "
            f"with a judge: {', '.join(judged) or 'none'}."
        )
    return names


def _judged(judge, pictures, count):
    """({attribute: probability [n]}, features [n, k] of length one, or NaN where all are zero)."""
    predicted = {name: np.asarray(p, np.float64) for name, p in judge.predict(pictures).items()}
    probabilities = {name: values for name, values in predicted.items() if values.ndim == 1}
    features = np.asarray(judge.features(pictures), np.float64)
    counts = {name: len(values) for name, values in probabilities.items()}
    if features.ndim != 2 or {len(features), *counts.values()} != {count}:
        raise InputError(
            f"Of {count} pictures the judge gave features {list(features.shape)} and as many "
            f"probabilities: {counts}. Each needs a row."
        )
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return probabilities, features / np.where(lengths > 0, lengths, np.nan)


def _sides(probabilities, strengths):
    """(side, rows of the images to edit, strengths) of those without and with; "" is not edited."""
    without = np.flatnonzero(probabilities < 0.5)[:IMAGES_A_SIDE]
    having = np.flatnonzero(probabilities >= 0.5)[:IMAGES_A_SIDE]
    sides = (
        ("without", without, strengths[strengths > 0]),
        ("with", having, strengths[strengths < 0]),
        ("", np.concatenate([without, having]), strengths[strengths == 0]),
    )
    return [(side, rows, amounts.tolist()) for side, rows, amounts in sides if amounts.size]


def _at(judged, rows):
    probabilities, features = judged
    return {name: values[rows] for name, values in probabilities.items()}, features[rows]


def _points(name, amounts, before, after):
    """{strength: measures}, of judgements whose rows are all images with each strength in turn."""
    (old, old_features), (new, new_features) = before, after
    flipped = (new[name] >= 0.5) != (old[name] >= 0.5)
    others = [np.abs(new[other] - old[other]) for other in old if other != name]
    moved = np.mean(others, axis=0) if others else np.full(len(flipped), np.nan)
    cosine = np.sum(old_features * new_features, axis=1)
    columns = [np.split(values, len(amounts)) for values in (flipped, moved, cosine)]
    return {
        amount: {
            "flipped": _mean(flips),
            "others_moved": _mean(moves, "the judge knows no other attribute"),
            "face_kept": _mean(cosines, "where all features are zero there is no cosine"),
        }
        for amount, flips, moves, cosines in zip(amounts, *columns, strict=True)
    }


def _nothing(note):
    return {key: {**_mean([]), "note": note} for key in MEASURES}


def _overall(curves):
    return [
        {
            "strength": points[0]["strength"],
            **{
                key: _mean([point[key]["value"] for point in points], "attributes without a value")
                for key in MEASURES
            },
        }
        for points in zip(*curves.values(), strict=True)
    ]


def _mean(values, missing=None):
    """Of the values that are not NaN; a note says why the others are missing."""
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    count = len(known)
    result = {"value": float("nan"), "standard_error": float("nan"), "count": count}
    notes = [f"{len(values) - count} left out: {missing}"] if count < len(values) else []
    if count:
        result["value"] = float(known.mean())
    if count > 1:
        result["standard_error"] = float(np.std(known, ddof=1) / np.sqrt(count))
    elif count:
        notes.append("one case only: no standard error")
    return result | ({"note": "; ".join(notes)} if notes else {})
