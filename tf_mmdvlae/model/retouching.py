"""Edits that keep the photograph: what the model does not draw is added back to them."""

from __future__ import annotations

from typing import Any

from keras import ops


def retouched(image: Any, reconstruction: Any, edited: Any, detail: Any) -> Any:
    """Computes edited + detail (image - reconstruction), clipped to [0, 1].

    A reconstruction loses what the code has no room for, and so does an edit: glasses, strands of
    hair, the background. With detail 1 the picture is the image plus what the edit changes, edited
    - reconstruction; with detail 0 it is the edit.

    Args:
      image, reconstruction, edited: [n, H, W, C] in [0, 1].
      detail: [n] in [0, 1].

    Returns:
      A tensor [n, H, W, C].
    """
    shares = ops.reshape(ops.cast(detail, "float32"), (-1, 1, 1, 1))
    return ops.clip(edited + shares * (image - reconstruction), 0.0, 1.0)
