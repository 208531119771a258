"""Pictures of what an export was asked for: arithmetic, edits, draws. Arrays in, PNG files out."""

import math

import numpy as np

from tf_mmdvlae.figures.drawing import MINUS, listing, number, save_mosaic


def draw_arithmetic(path, a, minus, plus, result, layers=None):
    """Draws rows of a - minus + plus = result.

    Args:
      path: the PNG file.
      a, minus, plus, result: images [n, H, W, C] in [0, 1], n >= 1.
      layers: numbers of the layers that took part, or None for all.

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    tiles = np.stack([a, minus, plus, result], axis=1)
    explanation = "The codes of three images, subtracted and added, and what that decodes to."
    if layers is not None:
        explanation += f" Only layer{'s' * (len(layers) > 1)} {listing(layers)} took part; the "
        explanation += "other layers are those of the first image."
    return save_mosaic(
        path,
        tiles,
        "Arithmetic",
        explanation,
        gap=2,
        columns_apart=(2,),
        column_labels=["a", f"{MINUS} minus", "+ plus", "= result"],
    )


def draw_edits(path, images, edited, attribute, strengths, layers=None):
    """Draws images and what an attribute of several strengths makes of them, a row an image.

    Args:
      path: the PNG file.
      images: [n, H, W, C] in [0, 1], n >= 1.
      edited: [n, len(strengths), H, W, C].
      attribute: its name.
      strengths: one a column.
      layers: numbers of the layers that took part, or None for all.

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    tiles = np.concatenate([np.asarray(images)[:, None], edited], axis=1)
    explanation = (
        "The first column is the image as it was given; the others add the attribute's direction "
        "to its code, times the number below. At 0 it is the reconstruction."
    )
    if layers is not None:
        explanation += f" Only layer{'s' * (len(layers) > 1)} {listing(layers)} took part."
    return save_mosaic(
        path,
        tiles,
        f"Edit: {attribute}",
        explanation,
        gap=2,
        columns_apart=(0,),
        column_labels=["given", *map(number, strengths)],
        column_axis="strength",
    )


def draw_draws(path, images, first_seed, temperature):
    """Draws images in a grid that is about square.

    Args:
      path: the PNG file.
      images: [n, H, W, C] in [0, 1], n >= 1.
      first_seed: seed of the first one; each further one's is one more.
      temperature: what scaled the prior's deviation.

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    tiles = np.ones((rows * columns, *images.shape[1:]), np.float32)
    tiles[: len(images)] = images
    return save_mosaic(
        path,
        tiles.reshape(rows, columns, *images.shape[1:]),
        "Samples",
        f"Each is decoded from a draw of its own of all layers. Seeds {first_seed} to "
        f"{first_seed + len(images) - 1}, row by row; temperature {number(temperature)}.",
    )
