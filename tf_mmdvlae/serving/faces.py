"""Photographs in which a face lies anywhere, read as the aligned pictures that a model learned."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import Layout, layout_of
from tf_mmdvlae.data.decode import decode_whole, fitted
from tf_mmdvlae.data.detector import find_faces
from tf_mmdvlae.data.similarity import Similarity, aligned, fit
from tf_mmdvlae.serving.loaded import Served


def require_layout(path: pathlib.Path | str, manifest: Mapping[str, Any]) -> Layout:
    """Where the faces of an export's training images lie; an InputError if it does not say."""
    layout = layout_of(manifest)
    if layout is None:
        raise InputError(
            f"{path} does not say where the faces of its training images lie, so others can't be "
            "laid alike; exports of celeb_a and of folders of bin/align do."
        )
    return layout


def read_face(served: Served, path: pathlib.Path | str) -> tuple[np.ndarray, Similarity]:
    """Finds the largest face of a photograph and reads it as bin/align and `Served.read` do.

    Returns:
      The image, float32 [H, W, C] in [0, 1], and what takes the photograph's points to the layout.

    Raises:
      InputError: if the file can't be read or shows no face, the export does not know its layout,
        or [align] is not installed.
    """
    layout = require_layout(served.path, served.manifest)
    try:
        photograph = decode_whole(str(path), 3, served.max_megapixels)
    except Exception as error:  # Pillow raises whatever its decoders ran into.
        raise InputError(f"{path} can't be read as a picture: {error}") from error
    faces = find_faces(photograph)
    if not faces:
        raise InputError(f"{path} shows no face that --align finds.")
    similarity = fit(faces[0].points, layout)
    picture = aligned(photograph, similarity, layout)
    pixels = fitted(picture, served.image_shape, served.manifest["crop"])
    return pixels / np.float32(255), similarity
