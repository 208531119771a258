"""Pure functions on latent dicts: naming, drawing, traversal, arithmetic, interpolation.

A latent dict is ``{"z_1": [n, d_1], ..., "z_L": [n, d_L]}``, float32, lowest layer first; each
row is one code, and all layers have n rows. Under the prior every number is a draw from N(0, 1),
so a decoder has seen values in [-3, 3]. Arguments named `layer` count from 1 (lowest) to L
(highest) and arguments named `dim` from 0, as indices of a layer's columns. `latent_dims` are
(d_1, ..., d_L), lowest layer first. A seed is a whole number >= 0; the same seed gives the same
draws.

Every function raises an InputError for latent dicts that do not have this form, and for layers or
dimensions that do not exist. Where several latent dicts meet, their layers must be the same; one
with a single row serves all rows of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError

# "z_1" ... "z_L" -> codes [n, d_l].
Latents = dict[str, np.ndarray]


def layer_names(latents: Iterable[str]) -> list[str]:
    """The layers ["z_1", ..., "z_L"] of a latent dict or of its keys, "z_10" after "z_9"."""
    names = list(latents)
    expected = [f"z_{number}" for number in range(1, len(names) + 1)]
    if not names or set(names) != set(expected):
        raise InputError(
            f"The latent layers are named {', '.join(map(str, names)) or 'nothing'}; "
            "they must be z_1 (lowest) to z_L (highest), none left out."
        )
    return expected


def check(latents: dict[str, Any]) -> Latents:
    """Makes a latent dict from a dict of arrays or tensors; a float32 array is not copied."""
    arrays = {name: np.asarray(latents[name], np.float32) for name in layer_names(latents)}
    for name, codes in arrays.items():
        if codes.ndim != 2:
            shape = list(codes.shape)
            raise InputError(f"{name} has shape {shape}; it must be [rows, dimensions].")
    if len({len(codes) for codes in arrays.values()}) > 1:
        rows = ", ".join(f"{name} {len(codes)}" for name, codes in arrays.items())
        raise InputError(f"The latent layers have different numbers of rows: {rows}.")
    return arrays


def row_count(latents: Latents) -> int:
    """The number n of codes in a latent dict."""
    return len(check(latents)["z_1"])


def dimensions(latents: Latents) -> tuple[int, ...]:
    """The dimensions (d_1, ..., d_L) of the layers, lowest first."""
    return tuple(codes.shape[1] for codes in check(latents).values())


def zeros(latent_dims: Sequence[int], n: int = 1) -> Latents:
    """The centre of the prior, n times: a latent dict of zeros [n, d_l]."""
    return {f"z_{i}": np.zeros((n, d), np.float32) for i, d in enumerate(latent_dims, start=1)}


def sample_prior(latent_dims: Sequence[int], n: int, seed: int) -> Latents:
    """n draws from the prior N(0, I) of every layer."""
    generator = np.random.default_rng(seed)
    return {
        f"z_{i}": generator.standard_normal((n, d), np.float32)
        for i, d in enumerate(latent_dims, start=1)
    }


def posterior_samples(means: Latents, deviations: Latents, seed: int = 0) -> Latents:
    """Draws a code for every row, z = mean + deviation * e with e ~ N(0, I), and shuffles the rows.

    Means and deviations have the same shapes [n, d_l]; all layers are shuffled alike.
    """
    means, deviations = check(means), check(deviations)
    if [codes.shape for codes in means.values()] != [part.shape for part in deviations.values()]:
        raise InputError("Means and deviations must have the same layers and shapes.")
    generator = np.random.default_rng(seed)
    order = generator.permutation(row_count(means))
    return {
        name: (mean + deviations[name] * generator.standard_normal(mean.shape, np.float32))[order]
        for name, mean in means.items()
    }


def take(latents: Latents, rows: slice | Sequence[int] | np.ndarray) -> Latents:
    """Some rows of every layer: a slice, indices, or a mask."""
    return {name: codes[rows] for name, codes in check(latents).items()}


def concatenate(parts: Iterable[Latents]) -> Latents:
    """The rows of several latent dicts, one after the other."""
    checked = _of_same_layers(*parts)
    return {name: np.concatenate([part[name] for part in checked]) for name in checked[0]}


def join(latents: Latents) -> np.ndarray:
    """All layers side by side, lowest first: one array [n, d_1 + ... + d_L]."""
    return np.concatenate(list(check(latents).values()), axis=1)


def split(joined: np.ndarray, latent_dims: Sequence[int]) -> Latents:
    """The inverse of `join`: layers of `latent_dims`, lowest first, from one array."""
    parts = np.split(joined, np.cumsum(latent_dims)[:-1], axis=1)
    return {f"z_{layer}": part for layer, part in enumerate(parts, start=1)}


def most_active(means: Latents, layer: int) -> list[int]:
    """All d_l dimensions of a layer, the most active first; those that tie stay in their order.

    Activity is the variance of the posterior means over many images: large for a dimension that
    says something about its image and zero for one that the encoder ignores.
    """
    codes = check(means)[_layer_name(means, layer)]
    # A float32 sum over many rows would make ties of different variances.
    return np.argsort(-np.var(codes, axis=0, dtype=np.float64), kind="stable").tolist()


def traverse(base: Latents, layer: int, dim: int, values: Any) -> Latents:
    """Sets one dimension to each of m `values`, usually in [-3, 3], and keeps everything else.

    The result is a latent dict [n * m, d_l]: all m values of the first code, then of the second ...
    """
    base = check(base)
    name = _layer_name(base, layer)
    _check_dim(base, name, dim)
    values = np.asarray(values, np.float32).reshape(-1)
    result = {key: np.repeat(codes, len(values), axis=0) for key, codes in base.items()}
    result[name][:, dim] = np.tile(values, row_count(base))
    return result


def grid(
    base: Latents,
    layer: int,
    dims: Sequence[int],
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 13,
) -> Latents:
    """The codes of a manifold: one or two dimensions of a layer over a grid, the rest fixed.

    The codes are in the order in which a page is read, and the page is laid out like a plot: the
    first of `dims` grows from left to right and the second from bottom to top, so that the first
    code has the lowest value of the first dimension and the highest of the second.

    Args:
      base: one code [1, d_l], which gives the fixed dimensions.
      dims: one dimension, or two different ones.
      low, high: the ends of the grid, both included.
      steps: points per side, at least 2, so that there are [steps, d_l] codes for one dimension
        and [steps * steps, d_l] for two.
    """
    base = check(base)
    name = _layer_name(base, layer)
    for dim in dims:
        _check_dim(base, name, dim)
    if len(dims) not in (1, 2) or len(set(dims)) != len(dims):
        raise InputError(f"A grid takes one dimension or two different ones, not {list(dims)}.")
    if row_count(base) != 1:
        raise InputError(f"A grid is laid around one code, not {row_count(base)}.")
    if steps < 2:
        raise InputError(f"A grid needs at least 2 steps per side, not {steps}.")
    values = np.linspace(low, high, steps, dtype=np.float32)
    if len(dims) == 1:
        return traverse(base, layer, dims[0], values)
    return traverse(traverse(base, layer, dims[1], values[::-1]), layer, dims[0], values)


def redraw(base: Latents, layer: int, draws: np.ndarray) -> Latents:
    """Replaces one layer by each of m `draws` [m, d] of it and keeps the others.

    The result is a latent dict [n * m, d_l]: the first code with all m draws, then the second ...
    """
    base = check(base)
    name = _layer_name(base, layer)
    draws = np.asarray(draws, np.float32)
    shape, size = list(draws.shape), base[name].shape[1]
    if len(shape) != 2 or shape[1] != size:
        raise InputError(f"The draws have shape {shape}; {name} needs [rows, {size}].")
    result = {key: np.repeat(codes, len(draws), axis=0) for key, codes in base.items()}
    result[name] = np.tile(draws, (row_count(base), 1))
    return result


def displaced(
    codes: dict[str, Any], differences: dict[str, Any], layer_weights: Iterable[Any]
) -> dict[str, Any]:
    """codes_l + w_l * differences_l in each layer l, the formula of `arithmetic` and `edit`.

    It uses plain operators, so that it serves NumPy arrays and tensors; it checks no shapes. Each
    w_l is a number or [n, 1], lowest layer first.
    """
    return {
        name: codes[name] + weight * differences[name]
        for name, weight in zip(layer_names(codes), layer_weights, strict=True)
    }


def arithmetic(a: Latents, minus: Latents, plus: Latents, layer_weights: Any = None) -> Latents:
    """Moves codes along a difference: a + w_l * (plus - minus) in each layer l.

    With all weights one this is the a - b + c of Xu 2018 ("a man with glasses - a man + a woman").

    `layer_weights` has a weight w_l for each layer, lowest first, or one such list per row [n, L];
    None is 1 for each. A weight of zero leaves that layer of `a` alone.
    """
    a, minus, plus = _of_same_layers(a, minus, plus)
    weights = _weight_columns(layer_weights, a, minus, plus)
    return displaced(a, {name: plus[name] - minus[name] for name in a}, weights)


def edit(
    codes: Latents, direction: Latents, strength: Any = 1.0, layer_weights: Any = None
) -> Latents:
    """Adds a feature to codes, or takes it away: codes + strength * w_l * direction in each layer.

    `direction` is one row of `Directions` [1, d_l], or one per code [n, d_l]; `strength` is one
    number, or n of them: 1 goes from "without" to "with" the feature, or up by one standard
    deviation of a factor, and negative ones go the other way. `layer_weights`: see `arithmetic`.
    """
    codes, direction = _of_same_layers(codes, direction)
    strength = np.asarray(strength, np.float32).reshape(-1, 1)
    weights = _weight_columns(layer_weights, codes, direction, {"strength": strength})
    return displaced(codes, direction, [strength * weight for weight in weights])


def interpolate(a: Latents, b: Latents, t: Any) -> Latents:
    """Codes on the straight line from a to b: (1 - t) * a + t * b in each layer.

    t is one number, or one per row [n]; values outside [0, 1] go on beyond the ends.
    """
    a, b = _of_same_layers(a, b)
    t = np.asarray(t, np.float32).reshape(-1, 1)
    _same_rows(a, b, {"t": t})
    return {name: (1 - t) * a[name] + t * b[name] for name in a}


def spherical(a: Latents, b: Latents, t: Any) -> Latents:
    """Codes on the arc from a to b: in each layer the direction turns evenly, and the length goes
    evenly from |a_l| to |b_l|.

    A straight line is shorter than the draws of N(0, I) that it joins: halfway between two of d
    dimensions, the mean square of a number is 1/2 in place of 1, and the decoder has hardly seen
    such codes where d is large. The arc keeps the length (White 2016, "Sampling Generative
    Networks", arXiv 1609.04468; the formula is that of Shoemake 1985). Where a layer of a and b
    points the same way, or opposite ways, or is zero, its line is straight.

    t is one number, or one per row [n], in [0, 1].
    """
    a, b = _of_same_layers(a, b)
    t = np.asarray(t, np.float64).reshape(-1, 1)
    _same_rows(a, b, {"t": t})
    return {name: _arc(a[name], b[name], t).astype(np.float32) for name in a}


def _arc(a, b, t):
    first, last = (np.linalg.norm(codes, axis=1, keepdims=True) for codes in (a, b))
    lengths = np.float64(first) * last
    cosine = np.sum(np.float64(a) * b, axis=1, keepdims=True) / np.where(lengths > 0, lengths, 1)
    angle = np.arccos(np.clip(cosine, -1, 1))
    turns = (np.sin(angle) > 1e-4) & (lengths > 0)
    sine = np.where(turns, np.sin(angle), 1)
    length = (1 - t) * first + t * last
    of_a = np.sin((1 - t) * angle) / sine * length / np.where(first > 0, first, 1)
    of_b = np.sin(t * angle) / sine * length / np.where(last > 0, last, 1)
    return np.where(turns, of_a, 1 - t) * a + np.where(turns, of_b, t) * b


def walk(codes: Latents, positions: Any, straight: bool = False) -> Latents:
    """Codes on the way through all rows of a latent dict, from one to the next.

    Args:
      codes: n >= 2 codes.
      positions: m numbers in [0, n - 1]: 0 is the first code, 1 the second, 0.5 lies between them.
      straight: whether the legs are straight (`interpolate`), not arcs (`spherical`).

    Returns:
      A latent dict [m, d_l].
    """
    codes, rows = check(codes), row_count(codes)
    if rows < 2:
        raise InputError(f"A walk needs at least two codes, not {rows}.")
    positions = np.asarray(positions, np.float64).reshape(-1)
    if not np.all((positions >= 0) & (positions <= rows - 1)):
        raise InputError(f"A walk through {rows} codes has positions from 0 to {rows - 1}.")
    legs = np.minimum(positions.astype(int), rows - 2)
    between = interpolate if straight else spherical
    return between(take(codes, legs), take(codes, legs + 1), positions - legs)


def _weight_columns(layer_weights, *parts):
    layers = len(parts[0])
    weights = np.ones(layers) if layer_weights is None else layer_weights
    weights = np.atleast_2d(np.asarray(weights, np.float32))
    if weights.ndim != 2 or weights.shape[1] != layers:
        raise InputError(
            f"The layer weights have shape {list(weights.shape)}; {layers} latent layers need "
            f"[{layers}] or [rows, {layers}]."
        )
    _same_rows(*parts, {"layer_weights": weights})
    return [weights[:, [layer]] for layer in range(layers)]


def _layer_name(latents, layer):
    names = layer_names(latents)
    if layer not in range(1, len(names) + 1):
        raise InputError(f"There is no layer {layer}; layers go from 1 (lowest) to {len(names)}.")
    return names[layer - 1]


def _check_dim(latents, name, dim):
    if dim not in range(latents[name].shape[1]):
        last = latents[name].shape[1] - 1
        raise InputError(f"{name} has no dimension {dim}; its dimensions go from 0 to {last}.")


def _of_same_layers(*parts):
    """The latent dicts, each checked, if their layers are the same."""
    parts = [check(part) for part in parts]
    shapes = sorted({dimensions(part) for part in parts})
    if len(shapes) > 1:
        sizes = " and ".join(map(str, shapes))
        raise InputError(f"The codes have different layers: {sizes} dimensions, lowest first.")
    return parts


def _same_rows(*parts):
    counts = {len(next(iter(part.values()))) for part in parts}
    if len(counts - {1}) > 1:
        rows = " and ".join(map(str, sorted(counts)))
        raise InputError(f"The codes have {rows} rows; they must have the same number, or one.")
