"""The pictures that show what each latent layer does. Arrays and callables in, PNG files out.

`decode` is always a callable: a latent dict [n, d_l] -> images [n, H, W, C] in [0, 1], 1 or 3
channels. In the pictures dimensions count from 1, as layers do; in arguments `dim` counts from 0.
"""

import pathlib

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures.drawing import layer_title, mosaic, number, save_mosaic, zoom
from tf_mmdvlae.figures.losses import draw_losses
from tf_mmdvlae.figures.tiles import (
    HIGH,
    LOW,
    decode_in_batches,
    layer_tiles,
    manifold_tiles,
    traversal_tiles,
)
from tf_mmdvlae.model import latents

WIDEST = 1100
MOST_DIMENSIONS = 10


def draw_manifold(path, decode, base, layer, dims, fixed_at, steps=None):
    """Draws one layer on a grid over [-3, 3], every other dimension fixed.

    Args:
      path: the PNG file.
      decode, base, layer, dims, steps: see `manifold_tiles`.
      fixed_at: what `base` is, in words that go on from "fixed at".

    Returns:
      The path.

    Raises:
      InputError: as `manifold_tiles`, or if the file cannot be written.
    """
    tiles, values = manifold_tiles(decode, base, layer, dims, steps)
    sizes = latents.dimensions(base)
    size, two = sizes[layer - 1], len(dims) > 1
    if len(dims) == size:
        which = "both of its dimensions" if two else "its one dimension"
    else:
        which = (
            f"dimension{'s' if two else ''} {' and '.join(str(dim + 1) for dim in dims)} of {size}"
        )
        which += ", those that vary most between images," if two else ""
    labels = [number(value) for value in values]
    explanation = f"This layer alone changes: {which} from {labels[0]} to {labels[-1]}."
    if sum(sizes) > len(dims):
        explanation += f" All else is fixed at {fixed_at}."
    return save_mosaic(
        path,
        mosaic(tiles, gap=0 if two else 1),
        zoom(tiles.shape[2:]),
        f"{layer_title(layer, len(sizes))}: what it draws",
        explanation,
        labels[::-1] if two else (),
        labels,
        f"dimension {dims[1] + 1}" if two else "",
        f"dimension {dims[0] + 1}",
    )


def draw_samples(path, decode, latent_dims, seed=0, rows=8):
    """Draws images decoded from the prior, as many columns as fit.

    Args:
      path: the PNG file.
      decode: see the head of this file.
      latent_dims: (d_1, ..., d_L), lowest layer first.
      seed: of the draws.
      rows: rows of images.

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    one = decode_in_batches(decode, latents.zeros(latent_dims))
    columns = _columns_that_fit(one.shape[1:])
    codes = latents.sample_prior(latent_dims, rows * columns, seed)
    images = decode_in_batches(decode, codes)
    return save_mosaic(
        path,
        mosaic(images.reshape(rows, columns, *images.shape[1:]), gap=1),
        zoom(images.shape[1:]),
        "Samples",
        "Images that never were: each is decoded from one draw of all layers from the prior, "
        "the standard normal distribution.",
    )


def draw_reconstructions(path, images, reconstructions, pairs=3):
    """Draws images with their reconstructions below them.

    Args:
      path: the PNG file.
      images: [n, H, W, C] in [0, 1], n >= 1; as many from the start as fit are drawn.
      reconstructions: the same shape.
      pairs: rows of originals at most, each with a row of reconstructions below it.

    Returns:
      The path.

    Raises:
      InputError: if there are no images, shapes differ, or the file cannot be written.
    """
    images = np.asarray(images, np.float32)
    reconstructions = np.asarray(reconstructions, np.float32)
    if images.ndim != 4 or not len(images) or images.shape != reconstructions.shape:
        raise InputError(
            f"Images of shape {list(images.shape)} and reconstructions of shape "
            f"{list(reconstructions.shape)} cannot be drawn together."
        )
    columns = min(_columns_that_fit(images.shape[1:]), len(images))
    pairs = min(pairs, len(images) // columns)
    both = np.stack([images, reconstructions])[:, : pairs * columns]
    tiles = both.reshape(2, pairs, columns, *images.shape[1:]).swapaxes(0, 1)
    return save_mosaic(
        path,
        mosaic(
            np.clip(tiles.reshape(2 * pairs, columns, *images.shape[1:]), 0, 1),
            gap=1,
            rows_apart=range(1, 2 * pairs, 2),
        ),
        zoom(images.shape[1:]),
        "Reconstructions",
        "Images that the model was not trained on, and below each what comes back "
        "when it is encoded and decoded.",
        ["original", "reconstruction"] * pairs,
    )


def draw_traversal(path, decode, base, layer, dims, starts_from):
    """Draws one layer's dimensions, each alone, from -3 to 3.

    Args:
      path: the PNG file.
      decode, base, layer, dims: see `traversal_tiles`.
      starts_from: what `base` is, in words.

    Returns:
      The path.

    Raises:
      InputError: as `traversal_tiles`, or if the file cannot be written.
    """
    values = np.linspace(LOW, HIGH, 7)
    tiles = traversal_tiles(decode, base, layer, dims, values)
    sizes = latents.dimensions(base)
    explanation = (
        f"A row shows {starts_from} and then the same code with one of this layer's dimensions "
        "set to each value, all else kept."
    )
    if len(dims) < sizes[layer - 1]:
        explanation += f" {len(dims)} of its {sizes[layer - 1]} dimensions are shown."
    if len(dims) > 1:
        explanation += " What varies most between images comes first."
    return save_mosaic(
        path,
        mosaic(tiles, gap=1, columns_apart=(0,)),
        zoom(tiles.shape[2:]),
        f"{layer_title(layer, len(sizes))}: one dimension at a time",
        explanation,
        [f"dimension {dim + 1}" for dim in dims],
        ["start", *map(number, values)],
        column_axis="value of the row's dimension",
    )


def draw_layers(path, decode, base, starts_from, seed=0):
    """Draws what each layer alone changes: one layer redrawn a row, the others kept.

    Args:
      path: the PNG file.
      decode, base, seed: see `layer_tiles`.
      starts_from: what `base` is, in words.

    Returns:
      The path.

    Raises:
      InputError: as `layer_tiles`, or if the file cannot be written.
    """
    shape = decode_in_batches(decode, base).shape[1:]
    tiles = layer_tiles(decode, base, _columns_that_fit(shape) - 1, seed)
    layers = len(tiles)
    return save_mosaic(
        path,
        mosaic(tiles, gap=1, columns_apart=(0,)),
        zoom(shape),
        "What each layer changes",
        f"A row shows {starts_from} and then the same code with that one layer drawn anew from "
        "the prior" + (", all other layers kept." if layers > 1 else "."),
        [layer_title(layer, layers) for layer in range(1, layers + 1)],
        ["start", *[""] * (tiles.shape[1] - 1)],
    )


def draw_all(folder, encode, decode, images, history=None, fade_in=None, seed=0, batch_size=128):
    """Draws every picture of a model.

    Args:
      folder: where the files go; made where it is missing.
      encode: images [n, H, W, C] in [0, 1] -> (posterior means, deviations), latent dicts [n, d_l].
      decode: see the head of this file.
      images: test images [n, H, W, C] in [0, 1], n >= 1. The first ones are reconstructed; the
        very first is what traversals, redrawn layers and the manifolds below the highest layer
        start from; all of them decide which dimensions are the most active, for which a thousand
        are plenty.
      history, fade_in: see `draw_losses`; without a history there is no losses.png.
      seed: of the draws from the prior.
      batch_size: images a call of `encode` and codes a call of `decode`.

    Returns:
      The paths: manifold_layer_<l>.png and traversal_layer_<l>.png for each layer, samples.png,
      reconstructions.png, layers.png and losses.png.

    Raises:
      InputError: if there are no images, or a file cannot be written.
    """
    folder = pathlib.Path(folder)
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or not len(images):
        raise InputError(f"Images of shape {list(images.shape)} cannot be drawn.")

    def decode_some(codes):
        return decode_in_batches(decode, codes, batch_size)

    means = latents.concatenate(
        [
            encode(images[start : start + batch_size])[0]
            for start in range(0, len(images), batch_size)
        ]
    )
    sizes = latents.dimensions(means)
    start, starts_from = latents.take(means, [0]), "one test image's code, decoded,"
    paths = []
    for layer in range(1, len(sizes) + 1):
        active = latents.most_active(means, layer)
        # The highest layer decides what is drawn: at zero it draws something between all of it,
        # often nothing that can be recognised, and what a lower layer does to that cannot be seen.
        at_zero = layer == len(sizes)
        paths.append(
            draw_manifold(
                folder / f"manifold_layer_{layer}.png",
                decode_some,
                latents.zeros(sizes) if at_zero else start,
                layer,
                sorted(active[:2]),
                "zero, the middle of the prior" if at_zero else "the code of one test image",
            )
        )
        paths.append(
            draw_traversal(
                folder / f"traversal_layer_{layer}.png",
                decode_some,
                start,
                layer,
                active[:MOST_DIMENSIONS],
                starts_from,
            )
        )
    first = images[: 3 * _columns_that_fit(images.shape[1:])]
    rebuilt = decode_some(latents.take(means, slice(len(first))))
    paths.append(draw_samples(folder / "samples.png", decode_some, sizes, seed))
    paths.append(draw_reconstructions(folder / "reconstructions.png", first, rebuilt))
    paths.append(draw_layers(folder / "layers.png", decode_some, start, starts_from, seed))
    if history is not None:
        paths.append(draw_losses(folder / "losses.png", history, fade_in))
    return paths


def _columns_that_fit(image_shape):
    return max(2, int(WIDEST / (zoom(image_shape) * image_shape[1])))
