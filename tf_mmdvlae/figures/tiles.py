"""What a decoder makes of chosen codes, as arrays of images in rows and columns.

`decode` is always a callable: a latent dict [n, d_l] -> images [n, H, W, C] in [0, 1].
"""

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures.drawing import zoom
from tf_mmdvlae.model import latents

LOW, HIGH = -3.0, 3.0


def decode_in_batches(decode, codes, batch_size=128):
    """Decodes any number of codes, a batch at a time.

    Args:
      decode: a latent dict [n, d_l] -> images [n, H, W, C] in [0, 1].
      codes: a latent dict of at least one row.
      batch_size: codes a call.

    Returns:
      float32 images [n, H, W, C], clipped to [0, 1].

    Raises:
      InputError: if what comes back is not one finite image a code.
    """
    codes = latents.check(codes)
    rows = latents.row_count(codes)
    images = np.concatenate(
        [
            np.asarray(decode(latents.take(codes, slice(start, start + batch_size))), np.float32)
            for start in range(0, rows, batch_size)
        ]
    )
    if images.ndim != 4 or len(images) != rows:
        raise InputError(f"{rows} codes were decoded to an array of shape {list(images.shape)}.")
    if not np.isfinite(images).all():
        raise InputError("The decoder's images hold values that are not finite.")
    return np.clip(images, 0.0, 1.0)


def manifold_tiles(decode, base, layer, dims, steps=None):
    """The images of a manifold: one or two dimensions of a layer over [-3, 3], the rest fixed.

    Args:
      decode: see the head of this file.
      base: a latent dict of one code [1, d_l], what the rest is fixed at.
      layer: 1 (lowest) to L.
      dims: one dimension of the layer or two, from 0.
      steps: images a side; None takes as many as fit.

    Returns:
      The images [rows, columns, H, W, C], and the values of the columns, left to right. The first
      dimension grows to the right. The second, if there is one, grows from the bottom row to the
      top row, through the same values.

    Raises:
      InputError: if there is no such layer or dimension, or `base` is not one code.
    """
    if steps is None:
        shape = decode_in_batches(decode, base).shape[1:]
        steps = 13 if max(shape[:2]) * zoom(shape) < 100 else 9
    images = decode_in_batches(decode, latents.grid(base, layer, dims, LOW, HIGH, steps))
    return images.reshape(-1, steps, *images.shape[1:]), np.linspace(LOW, HIGH, steps)


def traversal_tiles(decode, base, layer, dims, values):
    """The images of a traversal: a row a dimension, a column a value, and what it starts from.

    Args:
      decode: see the head of this file.
      base: a latent dict of one code [1, d_l].
      layer: 1 (lowest) to L.
      dims: dimensions of the layer, from 0.
      values: what each dimension is set to, in turn.

    Returns:
      Images [len(dims), 1 + len(values), H, W, C]; the first of each row is `base` decoded.

    Raises:
      InputError: if there is no such layer or dimension, or `base` is not one code.
    """
    rows = [latents.concatenate([base, latents.traverse(base, layer, dim, values)]) for dim in dims]
    return _start_and_changes(decode, base, rows)


def layer_tiles(decode, base, columns, seed=0):
    """The images of `draw_layers`: a row a layer, lowest first.

    Args:
      decode: see the head of this file.
      base: a latent dict of one code [1, d_l].
      columns: draws of each layer.
      seed: of the draws.

    Returns:
      Images [L, 1 + columns, H, W, C]; the first of each row is `base` decoded, the others have
      that row's layer drawn from the prior and every other layer as in `base`.

    Raises:
      InputError: if `base` is not one code.
    """
    draws = latents.sample_prior(latents.dimensions(base), columns, seed)
    rows = [
        latents.concatenate([base, latents.redraw(base, layer, draws[name])])
        for layer, name in enumerate(latents.layer_names(base), start=1)
    ]
    return _start_and_changes(decode, base, rows)


def _start_and_changes(decode, base, rows):
    if latents.row_count(base) != 1:
        raise InputError(f"One code is wanted to start from, not {latents.row_count(base)}.")
    images = decode_in_batches(decode, latents.concatenate(rows))
    return images.reshape(len(rows), -1, *images.shape[1:])
