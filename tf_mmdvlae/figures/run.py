"""The pictures that show what each latent layer does. Arrays and callables in, PNG files out.

Arguments and errors that many functions here share:

* `path` is a PNG file, which a `draw_...` function writes and returns;
* `decode` is a callable, a latent dict [n, d_l] -> images [n, H, W, C] in [0, 1], 1 or 3 channels;
* `base` is one code, a latent dict [1, d_l];
* `layer` is 1 (lowest) to L, and `dims` are dimensions of that layer, from 0 (in the pictures they
  count from 1, as layers do);
* the functions for tiles return images [rows, columns, H, W, C];
* an InputError says that a layer or dimension does not exist, that `base` is not one code, that
  there are no images or they do not fit each other, that the decoder's images are not one finite
  image per code, or that a file cannot be written.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures.drawing import layer_title, number, save_mosaic, zoom
from tf_mmdvlae.figures.losses import draw_losses
from tf_mmdvlae.figures.moving import save_moving_mosaic
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.functions import in_batches
from tf_mmdvlae.model.latents import Latents

Decode = Callable[[Latents], np.ndarray]

LOW, HIGH = -3.0, 3.0
# Dots.
_WIDEST = 1100
_MOST_DIMENSIONS = 10
_ROWS_OF_SAMPLES = 8
_ROWS_OF_ORIGINALS = 3
_MOST_MOVING, _FRAMES, _FRAMES_A_SECOND = 6, 21, 15
_START = "one test image's code, decoded,"


# ---- images in rows and columns -----------------------------------------------------------------


def decode_images(decode: Decode, codes: Latents) -> np.ndarray:
    """Decodes codes, at least one, a few at a time: float32 images [n, H, W, C] in [0, 1]."""
    codes = latents.check(codes)
    rows = latents.row_count(codes)
    images = np.asarray(in_batches(decode, codes), np.float32)
    if images.ndim != 4 or len(images) != rows:
        raise InputError(f"{rows} codes were decoded to an array of shape {list(images.shape)}.")
    if not np.isfinite(images).all():
        raise InputError("The decoder's images hold values that are not finite.")
    return np.clip(images, 0.0, 1.0)


def manifold_tiles(
    decode: Decode, base: Latents, layer: int, dims: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The images of a manifold: one or two dimensions of a layer over [-3, 3], the rest fixed.

    The tiles have as many columns as fit a page; with them come the values of the columns, left to
    right. The first dimension grows to the right. The second, if there is one, grows from the
    bottom row to the top row, through the same values.
    """
    shape = decode_images(decode, base).shape[1:]
    steps = 13 if max(shape[:2]) * zoom(shape) < 100 else 9
    images = decode_images(decode, latents.grid(base, layer, dims, LOW, HIGH, steps))
    return images.reshape(-1, steps, *shape), np.linspace(LOW, HIGH, steps)


def traversal_tiles(
    decode: Decode, base: Latents, layer: int, dims: Sequence[int], values: np.ndarray
) -> np.ndarray:
    """The images of a traversal: one row per dimension, `base` and then one column per value."""
    rows = [latents.traverse(base, layer, dim, values) for dim in dims]
    return _start_and_changes(decode, base, rows)


def layer_tiles(decode: Decode, base: Latents, columns: int, seed: int = 0) -> np.ndarray:
    """The images of `draw_layers`: one row per layer, lowest first.

    A row is `base` decoded and then `columns` images that have that row's layer drawn from the
    prior and every other layer as in `base`.
    """
    draws = latents.sample_prior(latents.dimensions(base), columns, seed).values()
    rows = [latents.redraw(base, layer, codes) for layer, codes in enumerate(draws, start=1)]
    return _start_and_changes(decode, base, rows)


def _start_and_changes(decode, base, rows):
    if latents.row_count(base) != 1:
        raise InputError(f"One code is needed to start from, not {latents.row_count(base)}.")
    codes = latents.concatenate([part for changes in rows for part in (base, changes)])
    images = decode_images(decode, codes)
    return images.reshape(len(rows), -1, *images.shape[1:])


def _columns_that_fit(image_shape):
    return max(2, int(_WIDEST / (zoom(image_shape) * image_shape[1])))


# ---- pictures -----------------------------------------------------------------------------------


def draw_manifold(
    path: pathlib.Path | str,
    decode: Decode,
    base: Latents,
    layer: int,
    dims: Sequence[int],
    fixed_at: str,
) -> pathlib.Path:
    """Draws one layer on a grid over [-3, 3], every other dimension fixed; see `manifold_tiles`.

    `fixed_at` says what `base` is, in words that go on from "fixed at".
    """
    tiles, values = manifold_tiles(decode, base, layer, dims)
    sizes = latents.dimensions(base)
    size, two = sizes[layer - 1], len(dims) > 1
    if len(dims) == size:
        which = "both of its dimensions" if two else "its one dimension"
    elif two:
        first, second = (dim + 1 for dim in dims)
        which = f"dimensions {first} and {second} of {size}, those that vary most between images,"
    else:
        which = f"dimension {dims[0] + 1} of {size}"
    labels = [number(value) for value in values]
    explanation = f"This layer alone changes: {which} from {labels[0]} to {labels[-1]}."
    if sum(sizes) > len(dims):
        explanation += f" All else is fixed at {fixed_at}."
    return save_mosaic(
        path,
        tiles,
        f"{layer_title(layer, len(sizes))}: what it draws",
        explanation,
        gap=0 if two else 1,
        row_labels=labels[::-1] if two else (),
        column_labels=labels,
        row_axis=f"dimension {dims[1] + 1}" if two else "",
        column_axis=f"dimension {dims[0] + 1}",
    )


def draw_traversal(
    path: pathlib.Path | str, decode: Decode, base: Latents, layer: int, dims: Sequence[int]
) -> pathlib.Path:
    """Draws one layer's dimensions, each alone, from -3 to 3, around a test image's code `base`."""
    values = np.linspace(LOW, HIGH, 7)
    tiles = traversal_tiles(decode, base, layer, dims, values)
    sizes = latents.dimensions(base)
    explanation = (
        f"Each row shows {_START} and then the same code with one of this layer's dimensions "
        "set to each value. The rest of the code stays."
    )
    if len(dims) < sizes[layer - 1]:
        explanation += f" {len(dims)} of its {sizes[layer - 1]} dimensions are shown."
    if len(dims) > 1:
        explanation += " The dimension that varies most between images comes first."
    return save_mosaic(
        path,
        tiles,
        f"{layer_title(layer, len(sizes))}: one dimension at a time",
        explanation,
        columns_apart=(0,),
        row_labels=[f"dimension {dim + 1}" for dim in dims],
        column_labels=["start", *map(number, values)],
        column_axis="value of the row's dimension",
    )


def draw_dimensions(
    path: pathlib.Path | str, decode: Decode, means: Latents, base: Latents
) -> pathlib.Path:
    """Draws a GIF or MP4 in which every layer's dimensions move, each in its own picture.

    A row shows up to six dimensions of a layer around a test image's code `base`, the most active
    ones in the codes `means` of many images (see `most_active`).
    """
    start = decode_images(decode, base)
    sizes = latents.dimensions(base)
    columns = min(_MOST_MOVING, max(sizes))
    # The turns are slow.
    values = HIGH * np.sin(np.linspace(-np.pi / 2, np.pi / 2, _FRAMES))
    frames = np.ones((_FRAMES, len(sizes), columns, *start.shape[1:]), np.float32)
    for row, layer in enumerate(range(1, len(sizes) + 1)):
        for column, dim in enumerate(latents.most_active(means, layer)[:columns]):
            codes = latents.traverse(base, layer, dim, values)
            frames[:, row, column] = decode_images(decode, codes)
    return save_moving_mosaic(
        path,
        frames,
        "What each dimension changes",
        f"Each picture is {_START} with one dimension of its row's layer going from {number(LOW)} "
        f"to {number(HIGH)} and back. The dimension that varies most between images comes first.",
        _FRAMES_A_SECOND,
        row_labels=[layer_title(layer, len(sizes)) for layer in range(1, len(sizes) + 1)],
    )


def draw_layers(
    path: pathlib.Path | str, decode: Decode, base: Latents, seed: int = 0
) -> pathlib.Path:
    """Draws what each layer alone changes in a test image's code `base`; see `layer_tiles`."""
    shape = decode_images(decode, base).shape[1:]
    tiles = layer_tiles(decode, base, _columns_that_fit(shape) - 1, seed)
    layers = len(tiles)
    return save_mosaic(
        path,
        tiles,
        "What each layer changes",
        f"Each row shows {_START} and then the same code with that one layer drawn anew from "
        "the prior" + (", all other layers kept." if layers > 1 else "."),
        columns_apart=(0,),
        row_labels=[layer_title(layer, layers) for layer in range(1, layers + 1)],
        column_labels=["start", *[""] * (tiles.shape[1] - 1)],
    )


def draw_samples(
    path: pathlib.Path | str, decode: Decode, latent_dims: Sequence[int], seed: int = 0
) -> pathlib.Path:
    """Draws images decoded from the prior, for layers of `latent_dims`, lowest first."""
    shape = decode_images(decode, latents.zeros(latent_dims)).shape[1:]
    columns = _columns_that_fit(shape)
    codes = latents.sample_prior(latent_dims, _ROWS_OF_SAMPLES * columns, seed)
    return save_mosaic(
        path,
        decode_images(decode, codes).reshape(_ROWS_OF_SAMPLES, columns, *shape),
        "Samples",
        "Images that never were: each is decoded from one draw of all layers from the prior, "
        "the standard normal distribution.",
    )


def draw_reconstructions(
    path: pathlib.Path | str, images: np.ndarray, reconstructions: np.ndarray
) -> pathlib.Path:
    """Draws images [n, H, W, C] in [0, 1], n >= 1, with reconstructions of that shape below them.

    As many images from the start are drawn as fill up to three rows.
    """
    images = np.asarray(images, np.float32)
    reconstructions = np.asarray(reconstructions, np.float32)
    if images.ndim != 4 or not len(images) or images.shape != reconstructions.shape:
        raise InputError(
            f"Images of shape {list(images.shape)} and reconstructions of shape "
            f"{list(reconstructions.shape)} cannot be drawn together."
        )
    shape = images.shape[1:]
    columns = min(_columns_that_fit(shape), len(images))
    pairs = min(_ROWS_OF_ORIGINALS, len(images) // columns)
    both = np.stack([images, reconstructions])[:, : pairs * columns]
    tiles = both.reshape(2, pairs, columns, *shape).swapaxes(0, 1)
    return save_mosaic(
        path,
        tiles.reshape(2 * pairs, columns, *shape),
        "Reconstructions",
        "Images that the model was not trained on, and below each image its reconstruction: "
        "the image encoded and decoded.",
        rows_apart=range(1, 2 * pairs, 2),
        row_labels=["original", "reconstruction"] * pairs,
    )


def draw_all(
    folder: pathlib.Path | str,
    encode: Callable[[np.ndarray], tuple[Latents, Latents]],
    decode: Decode,
    images: np.ndarray,
    history: Mapping[str, Any] | None = None,
    fade_in: Sequence[tuple[int, int]] | None = None,
    seed: int = 0,
) -> list[pathlib.Path]:
    """Draws every picture of a model.

    Args:
      folder: where the files go; made where it is missing.
      encode: images [n, H, W, C] in [0, 1] -> (posterior means, deviations), latent dicts [n, d_l].
      images: test images [n, H, W, C] in [0, 1], n >= 1. The first ones are reconstructed; the
        very first is what traversals, redrawn layers and the manifolds below the highest layer
        start from; all of them decide which dimensions are the most active, for which a thousand
        are plenty.
      history, fade_in: see `draw_losses`; without a history there is no losses.png.
      seed: of the draws from the prior.

    Returns:
      The paths: manifold_layer_<l>.png and traversal_layer_<l>.png for each layer, samples.png,
      reconstructions.png, layers.png and losses.png.

    Raises:
      InputError: if there are no images, as at the head of this file, and as `draw_losses`.
    """
    folder = pathlib.Path(folder)
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or not len(images):
        raise InputError(f"Images of shape {list(images.shape)} cannot be drawn.")
    means, _ = in_batches(encode, images)
    sizes = latents.dimensions(means)
    start = latents.take(means, [0])
    paths = []
    for layer in range(1, len(sizes) + 1):
        active = latents.most_active(means, layer)
        manifold = folder / f"manifold_layer_{layer}.png"
        traversal = folder / f"traversal_layer_{layer}.png"
        base, fixed_at = start, "the code of one test image"
        if layer == len(sizes):
            # The highest layer decides what is drawn, so its own manifold may start from zero. A
            # lower layer's may not: there the highest layer draws a mean of everything, on which
            # the effect of a lower layer cannot be seen.
            base, fixed_at = latents.zeros(sizes), "zero, the middle of the prior"
        paths += [
            draw_manifold(manifold, decode, base, layer, sorted(active[:2]), fixed_at),
            draw_traversal(traversal, decode, start, layer, active[:_MOST_DIMENSIONS]),
        ]
    first = images[: _ROWS_OF_ORIGINALS * _columns_that_fit(images.shape[1:])]
    rebuilt = decode_images(decode, latents.take(means, slice(len(first))))
    paths += [
        draw_samples(folder / "samples.png", decode, sizes, seed),
        draw_reconstructions(folder / "reconstructions.png", first, rebuilt),
        draw_layers(folder / "layers.png", decode, start, seed),
    ]
    if history:
        paths.append(draw_losses(folder / "losses.png", history, fade_in))
    return paths
