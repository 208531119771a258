"""Whether arithmetic on codes gives the right image, where the right image can be drawn.

In a triple, `minus` is `plus` with one factor f set to a's value, so that a - minus + plus must be
`a` with f set to plus's value: the truth, which the renderer draws. It is the analogy of Reed et
al. 2015 ("Deep Visual Analogy-Making", NIPS) with a named factor between its two images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import estimate, ratio, unknown
from tf_mmdvlae.model.latents import Latents, arithmetic, row_count, take

APART = 0.25
"""Two independent draws have less than this share between them in 44% of all cases."""
CHANGED_LEVELS = 4
CHANGED_SHARE = 0.001


def known_arithmetic(
    encode: Callable[[np.ndarray], tuple[Latents, Latents]],
    decode: Callable[[Latents], np.ndarray],
    render: Callable[[dict[str, np.ndarray]], np.ndarray],
    factors: Mapping[str, Any],
    read: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None,
    triples: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """How near arithmetic comes to the truth: for each factor, by set of layers.

    Each factor f has triples of its own. Faces are drawn from the factors' distributions,
    independently, except that a's and plus's values of f are of different classes, or so far apart
    that at least a quarter of f's distribution lies between them. The result is decode(E(a) + w_l
    (E(plus) - E(minus))) with weights of one in the layers of the set and zero elsewhere, where E
    gives posterior means.

    An error is the mean of |result - truth| over the channels of the pixels that change from `a`
    to the truth (by more than 4 of 255 levels in a channel, as less is rounding), averaged over
    triples. Left out are triples where less than 0.1% of the pixels change so, or do from `minus`
    to `plus`: f cannot be seen, like a mouth behind a beard.

    Two bounds go with it: the floor is the error of the truth's reconstruction, the ceiling that
    of a's, which is what arithmetic that moves nothing gives. gap = (error - floor) / (ceiling -
    floor) is 0 at the one and 1 at the other, above 1 where arithmetic does harm, and an
    `estimates.ratio`. Where the ceiling is not above the floor by more than two standard errors,
    the model does not draw the factor, and the gap is NaN.

    `read` reads the factors off an image, and changes are counted from a's reconstruction r:

    * moved: 1 is all the way and 0 nothing. For a continuous f, with v = plus's value - a's,
      sum v (read(result) - read(r)) / sum v^2, the slope of the change on the right one, and an
      `estimates.ratio`. For a categorical f, the share of results that are read as plus's class.
    * others_moved: the mean of |read(result) - read(r)| over the other continuous factors, each in
      standard deviations of its distribution.
    * others_kept: the share of the other categorical factors that are read as in r.

    The reconstruction of the truth gives the same three numbers: what the model and the reader
    would show of a perfect answer.

    Args:
      render: factor name -> values [n] -> uint8 images [n, H, W, C].
      factors: factor name -> its range and distribution, such as `data.faces.factors.FACTORS`.
      read: images -> factor name -> values [n] in the factor's unit, or class probabilities [n, k];
        None leaves out what needs it.
      triples: for each factor, at least 1.

    Returns:
      {"factors": name -> {"floor", "ceiling", "layers": {"z_1", ..., "z_L", "z_1-2", ...: lowest
      layers together, "all"} -> {"error", "gap", "moved", "others_moved", "others_kept"}, "truth":
      {"moved", "others_moved", "others_kept"}}, "overall": the same, averaged over factors}.
      Each is an estimate over triples, with a "note" where some were left out; "overall" also has
      "factors", the number of factors with a value, and its notes name the others. Overall layers
      also have "gap_of_means", the gap between the means of error, floor and ceiling over factors,
      in which a factor counts the more the more it changes the image; its standard error takes the
      three as independent, which makes it too large. Without `read` there is no "truth" and only
      "error" and "gap".

    Raises:
      InputError: for no triples or factors, or a factor that does not vary or is not read.
    """
    if triples < 1 or not factors:
        raise InputError(f"There must be triples and factors, not {triples} and {len(factors)}.")
    generator = np.random.default_rng(seed)
    results: dict[str, Any] = {}
    for name in factors:
        faces = _draw_faces(factors, name, triples, generator)
        images, codes = _images_and_codes(encode, render, faces)
        answers = {"a": codes["a"], "truth": codes["truth"]}
        for layers, weights in _layer_sets(len(codes["a"])).items():
            answers[layers] = arithmetic(codes["a"], codes["minus"], codes["plus"], weights)
        outputs = {of: _decoded(decode, answer, images["a"]) for of, answer in answers.items()}
        changed, seen, note = _changes(images)
        results[name] = _errors(images["truth"][seen], outputs, changed[seen], seen, note)
        if read is not None:
            start, goal = (faces[role][name][seen] for role in ("a", "plus"))
            before = _readings(read, outputs.pop("a"), factors, seen)
            results[name]["truth"] = {}
            places = {"truth": results[name]["truth"], **results[name]["layers"]}
            for of, output in outputs.items():
                after = _readings(read, output, factors, seen)
                places[of] |= _moves(factors, name, start, goal, before, after, note)
        if progress:
            progress(len(results), len(factors))
    overall = _average(results)
    bounds = overall["floor"], overall["ceiling"]
    for measures in overall["layers"].values():
        measures["gap_of_means"] = _gap_of_means(measures["error"], *bounds)
    return {"factors": results, "overall": overall}


def _draw_faces(factors, name, count, generator):
    """{"a", "minus", "plus", "truth"} -> factor name -> values [count]."""
    a = {other: _sample(factor, count, generator) for other, factor in factors.items()}
    plus = {other: _sample(factor, count, generator) for other, factor in factors.items()}
    factor = factors[name]
    if not factor.high > factor.low:
        raise InputError(f"{name} has one value only, and cannot be changed: leave it out.")
    if factor.kind == "categorical":
        steps = generator.integers(1, len(factor.classes), count)
        plus[name] = (a[name] + steps) % len(factor.classes)
    else:
        # Opening a gap between two uniform draws from a shorter range makes the pair uniform among
        # all pairs of shares that lie so far apart.
        positions = generator.uniform(0, 1 - APART, (2, count))
        positions += APART * (positions >= positions[::-1])
        a[name], plus[name] = map(factor.quantile, positions)
    minus, truth = {**plus, name: a[name]}, {**a, name: plus[name]}
    return {"a": a, "minus": minus, "plus": plus, "truth": truth}


def _sample(factor, count, generator):
    if factor.kind == "categorical":
        return generator.integers(0, len(factor.classes), count)
    return factor.quantile(generator.uniform(0, 1, count))


def _images_and_codes(encode, render, faces):
    """Images in [0, 1] and codes of each of a triple's faces, by its role."""
    together = {
        name: np.concatenate([face[name] for face in faces.values()]) for name in faces["a"]
    }
    images = np.asarray(render(together))
    rows = len(next(iter(together.values())))
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != rows:
        raise InputError(
            f"The renderer gave {images.dtype} {list(images.shape)} for {rows} faces; it must give "
            f"uint8 [{rows}, height, width, channels]."
        )
    images = images.astype(np.float32) / 255
    means, _ = encode(images)
    if row_count(means) != rows:
        raise InputError(f"{rows} images were encoded as {row_count(means)} codes.")
    size = rows // len(faces)
    parts = {role: slice(at * size, (at + 1) * size) for at, role in enumerate(faces)}
    codes = {role: take(means, part) for role, part in parts.items()}
    return {role: images[part] for role, part in parts.items()}, codes


def _layer_sets(count):
    """Name -> weights, lowest layer first: each layer alone, the lowest ones together, and all."""
    numbers = np.arange(1, count + 1)
    sets = {f"z_{layer}": numbers == layer for layer in numbers}
    sets |= {f"z_1-{top}": numbers <= top for top in numbers[1:-1]}
    return sets | {"all": np.ones(count)}


def _decoded(decode, codes, images):
    output = np.asarray(decode(codes), np.float32)
    if output.shape != images.shape:
        raise InputError(
            f"Codes of images of shape {list(images.shape)} were decoded to shape "
            f"{list(output.shape)}; it must be the same."
        )
    return output


def _changes(images):
    """Pixels that change from `a` to the truth [n, H, W]; triples whose change is seen; a note."""
    # Half a level on: the images are whole levels divided by 255, and not exactly.
    changed, learned = (
        np.abs(images[after] - images[before]).max(axis=3) > (CHANGED_LEVELS + 0.5) / 255
        for before, after in (("a", "truth"), ("minus", "plus"))
    )
    shares = np.minimum(changed.mean(axis=(1, 2)), learned.mean(axis=(1, 2)))
    seen = np.flatnonzero(shares >= CHANGED_SHARE)
    lost = len(shares) - len(seen)
    note = f"{lost} of {len(shares)} triples change hardly a pixel and are left out"
    return changed, seen, note if lost else ""


def _errors(truth, outputs, changed, seen, note):
    """Floor, ceiling, and the error and the gap of each set of layers."""
    channels, pixels = truth.shape[3], changed.sum(axis=(1, 2))
    errors = {}
    for of, output in outputs.items():
        misses = np.abs(output[seen] - truth)
        sums = np.einsum("nhwc,nhw->n", misses, changed, dtype=np.float64)
        errors[of] = sums / (channels * pixels)
    floor, ceiling = errors.pop("truth"), errors.pop("a")
    layers = {
        name: {"error": _mean(error, note), "gap": _gap(error, floor, ceiling, note)}
        for name, error in errors.items()
    }
    return {"floor": _mean(floor, note), "ceiling": _mean(ceiling, note), "layers": layers}


def _gap(errors, floor, ceiling, note):
    room = _mean(ceiling - floor)
    # Written so that the missing standard error of a single triple hides nothing.
    if not room["value"] > 0 or room["value"] <= 2 * room["standard_error"]:
        reason = "the reconstruction of the truth is not clearly nearer to it than that of a"
        return unknown(len(errors), reason if len(errors) else note)
    return ratio(errors - floor, ceiling - floor, note, "triple")


def _readings(read, images, factors, seen):
    """Factor name -> value, or most probable class, of the triples whose change is seen."""
    predictions, readings = read(images), {}
    for name, factor in factors.items():
        if name not in predictions:
            raise InputError(f"The reader does not read {name}; it reads {', '.join(predictions)}.")
        values = np.asarray(predictions[name], np.float64)
        categorical = factor.kind == "categorical"
        shape = (len(images), len(factor.classes)) if categorical else (len(images),)
        if values.shape != shape:
            raise InputError(
                f"The reader gave {name} as {list(values.shape)}; it must be {list(shape)}."
            )
        readings[name] = (values.argmax(axis=1) if categorical else values)[seen]
    return readings


def _moves(factors, name, start, goal, before, after, note):
    """How far the named factor moved and the others stayed, from one reading to another."""
    if factors[name].kind == "categorical":
        moved = _mean(after[name] == goal, note)
    else:
        target = goal.astype(np.float64) - start
        moved = ratio(target * (after[name] - before[name]), target**2, note, "triple")
    shifts, stays = [], []
    for other, factor in factors.items():
        if other != name and factor.kind == "categorical":
            stays.append(after[other] == before[other])
        elif other != name:
            shifts.append(np.abs(after[other] - before[other]) / factor.spread)
    return {
        "moved": moved,
        "others_moved": _mean_over_others(shifts, "continuous", note),
        "others_kept": _mean_over_others(stays, "categorical", note),
    }


def _mean_over_others(values, kind, note):
    if not values:
        return unknown(0, f"there is no other {kind} factor")
    return _mean(np.mean(values, axis=0), note)


def _mean(values, note=""):
    return ratio(np.asarray(values, np.float64), np.ones(len(values)), note, "triple")


def _gap_of_means(error, floor, ceiling):
    room = ceiling["value"] - floor["value"]
    if not room > 0:
        return unknown(error["count"], "the ceiling is not above the floor")
    gap = (error["value"] - floor["value"]) / room
    slopes = np.array([1, 1 - gap, gap])
    parts = slopes * [part["standard_error"] for part in (error, floor, ceiling)]
    return estimate(gap, np.sqrt(np.sum(np.square(parts))) / room, error["count"])


def _average(results):
    """The mean over factors of what has the same place in each factor's result."""
    first = next(iter(results.values()))
    if "value" not in first:
        return {key: _average({f: result[key] for f, result in results.items()}) for key in first}
    known = [result for result in results.values() if np.isfinite(result["value"])]
    missing = [name for name, result in results.items() if not np.isfinite(result["value"])]
    note = f"not known for {', '.join(missing)}" if missing else ""
    count = sum(result["count"] for result in known)
    if not known:
        return unknown(count, note, factors=0)
    # Each factor has triples of its own: the errors are independent.
    error = np.sqrt(sum(result["standard_error"] ** 2 for result in known)) / len(known)
    value = np.mean([result["value"] for result in known])
    return estimate(value, error, count, note, factors=len(known))
