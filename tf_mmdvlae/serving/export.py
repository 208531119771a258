"""The SavedModel: the trained encoder and decoder for programs that do not have this package."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.files import (
    hidden_folder,
    place_folder,
    read_json,
    require_folder,
    write_json,
)
from tf_mmdvlae.common.paths import require_plain
from tf_mmdvlae.config import unversioned
from tf_mmdvlae.data.decode import MAX_MEGAPIXELS
from tf_mmdvlae.serving.image_bytes import to_bytes
from tf_mmdvlae.serving.loaded import version_numbers
from tf_mmdvlae.serving.manifest import describe, folder_digest
from tf_mmdvlae.serving.model_card import model_card
from tf_mmdvlae.serving.signatures import save, signatures
from tf_mmdvlae.serving.warmup import example_requests, write_warmup

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.model.directions import Directions
    from tf_mmdvlae.model.mmdvlae import MMDVLAE
    from tf_mmdvlae.model.samplers import Samplers


DIRECTIONS_FILE, SAMPLERS_FILE, EXAMPLES_FILE = "directions.npz", "samplers.npz", "examples.png"
"""What explains the codes, in `assets.extra/`, for programs that show an export."""


def check_place(
    export_dir: pathlib.Path | str, image_shape: tuple[int, ...], data: DataConfig | None = None
) -> None:
    """Refuses a folder that can't be written or read back, or is of another model; leaves nothing.

    `require_same_model` says what another model is. The refusal is an `InputError`.
    """
    require_plain(require_folder(export_dir))
    require_same_model(export_dir, image_shape, data)


def require_same_model(
    export_dir: pathlib.Path | str, image_shape: tuple[int, ...], data: DataConfig | None = None
) -> None:
    """Refuses a folder of versions of another model.

    Another model is a newest version of another data set or of images of another shape.
    A server would replace that model by this one. What an older manifest does not say, and versions
    of a data set, are not compared. The refusal is an `InputError`.
    """
    newest = max(version_numbers(pathlib.Path(export_dir)), default=None)
    if newest is None:
        return
    path = pathlib.Path(export_dir) / str(newest)
    there: dict[str, Any] = {}
    # A version that can't be read is nobody's model.
    with contextlib.suppress(InputError):
        there = read_json(path / "assets.extra" / "manifest.json")
    what, shape = None, list(image_shape)
    if there.get("image_shape", shape) != shape:
        what = f"images of shape {there['image_shape']}, not {shape}"
    elif data and there.get("dataset"):
        if unversioned(data.dataset) != unversioned(str(there["dataset"])):
            what = f"{there['dataset']}, not {data.dataset}"
        elif there.get("folder") not in (None, folder_digest(data)):
            what = f"another folder of pictures than {data.image_dir}"
    if what:
        raise InputError(f"{path} is a model of {what}; give another --export_dir.")


def export(
    model: MMDVLAE,
    export_dir: pathlib.Path | str,
    data: DataConfig | None = None,
    directions: Directions | None = None,
    metrics: dict | None = None,
    extras: Callable[[pathlib.Path], None] | None = None,
    samplers: Samplers | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    examples: np.ndarray | None = None,
) -> pathlib.Path:
    """Writes `model` as a SavedModel in the next free version of `export_dir`; returns its path.

    The SavedModel loads without this package, and TensorFlow Serving serves it as it is. It has the
    signatures of `tf_mmdvlae.serving.signatures`; `encode` is also `serving_default`. Its folder
    `assets.extra/` holds `manifest.json` (a description for programs), `README.md` (the same for
    people, a model card), `tf_serving_warmup_requests` (one request per signature, which
    TensorFlow Serving runs before the first user's), and what was given of `directions.npz`,
    `samplers.npz` (as `Directions` and `Samplers` save themselves) and `examples.png`.

    A server that watches `export_dir` never sees half a version: all files are written to a hidden
    folder, which is renamed when it is whole.

    Args:
      model: a trained model.
      export_dir: the folder of versions, such as "exports/mnist".
      data: the settings of its training data, whose crop is applied to images given as bytes.
      directions: the directions of the signature `edit`; None leaves that signature out.
      metrics: the contents of `metrics.json`, for the manifest and the card.
      extras: a function that is called with the finished SavedModel's path before the renaming, to
        write more into it.
      samplers: the samplers of the signature `sample_fitted`; None leaves that signature out.
      max_megapixels: larger pictures given as bytes are refused.
      examples: pictures [n, H, W, C] in [0, 1] that anyone may see; `examples.png` has them side by
        side.

    Raises:
      InputError: if the folder cannot be written or is another model's (see `check_place`), or the
        disk is full; no version is added.
    """
    export_dir = pathlib.Path(export_dir)
    check_place(export_dir, model.config.image_shape, data)
    mixture = samplers.joint if samplers else None
    crop = data.crop if data else 1.0
    table = signatures(model, directions, crop, mixture=mixture, max_megapixels=max_megapixels)
    failure = f"Could not export to {export_dir}"
    advice = "No version was added; make room or choose another --export_dir."
    try:
        with explained(failure, advice), hidden_folder(export_dir / "incomplete") as hidden:
            save(table, model, hidden)
            manifest = describe(
                model, list(table), data, directions, metrics, mixture, max_megapixels
            )
            folder = hidden / "assets.extra"
            folder.mkdir()
            write_json(folder / "manifest.json", manifest)
            (folder / "README.md").write_text(model_card(manifest))
            write_warmup(folder / "tf_serving_warmup_requests", example_requests(table, directions))
            if directions is not None:
                directions.save(folder / DIRECTIONS_FILE)
            if samplers is not None:
                samplers.save(folder / SAMPLERS_FILE)
            if examples is not None:
                row = tf.concat(list(examples), axis=1)[None]
                (folder / EXAMPLES_FILE).write_bytes(to_bytes(row).numpy()[0])
            if extras is not None:
                extras(hidden)
            while True:
                version = export_dir / str(max(version_numbers(export_dir), default=0) + 1)
                # Another export may take the same number in the meantime.
                if place_folder(hidden, version):
                    return version
    except tf.errors.OpError as error:
        raise InputError(f"{failure}: {error}. {advice}") from error
