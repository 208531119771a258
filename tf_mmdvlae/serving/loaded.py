"""An export loaded into this process, as plain functions on NumPy arrays."""

from __future__ import annotations

import logging
import pathlib
import re
from typing import Any

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.hub import local_copy
from tf_mmdvlae.common.paths import expanded, require_plain
from tf_mmdvlae.model.functions import in_batches
from tf_mmdvlae.serving.functions import Functions, read_manifest, refusal

MANIFEST = "assets.extra/manifest.json"
"""The file of a version that says what it is."""

_FILES = ("saved_model.pb", "fingerprint.pb", "variables/*", "assets/*", "assets.extra/*")


def load(path: pathlib.Path | str) -> Served:
    """Loads an export.

    Args:
      path: a folder of versions, of which the newest is taken ("exports/mnist"), one version
        ("exports/mnist/3"), or a name on the Hugging Face Hub ("hf://user/name" or
        "hf://user/name@revision"; needs the extra `hub`). What is fetched from there stays in the
        cache of huggingface_hub, so that the name also works offline afterwards.

    Raises:
      InputError: if there is no export of this package there, or it can't be fetched.
    """
    path = newest_version(path)
    manifest = manifest_of(path)
    # Here, because all else in this file takes a moment.
    import tensorflow as tf

    logger = logging.getLogger("absl")
    level = logger.level
    # TensorFlow logs a traceback for a damaged fingerprint, which nothing needs.
    logger.setLevel(logging.CRITICAL)
    try:
        served = Served(tf.saved_model.load(str(path)), manifest, path)
        _require_match(served)
        return served
    except Exception as error:  # TensorFlow raises whatever its parsers ran into.
        reason = first_line(error)
        raise InputError(f"The SavedModel in {path} cannot be loaded: {reason}") from error
    finally:
        logger.setLevel(level)


def manifest_of(path: pathlib.Path | str) -> dict[str, Any]:
    """The manifest of an export, a moment's work; `path` and InputError are those of `load`."""
    path = newest_version(path)
    manifest = read_manifest(path / MANIFEST)
    require_plain(path)
    return manifest


def _require_match(served):
    """Raises a ValueError if the manifest is of another model than the signatures."""
    image = served.signatures["encode"].structured_input_signature[1]["image"].shape[1:]
    codes = served.signatures["decode"].structured_input_signature[1]
    dims = tuple(codes[f"z_{layer}"].shape[1] for layer in range(1, len(codes) + 1))
    if (tuple(image), dims) != (served.image_shape, served.latent_dims):
        raise ValueError(f"the manifest is of another model than this one of {tuple(image)} images")


def version_numbers(folder: pathlib.Path) -> list[int]:
    """The numbers of the versions in a folder of versions."""
    return [int(path.name) for path in folder.glob("*") if re.fullmatch(r"[0-9]+", path.name)]


def newest_version(path: pathlib.Path | str) -> pathlib.Path:
    """Finds the newest version in a folder of versions; a version itself is returned as it is.

    A name on the Hub is that of one version, which is fetched where the cache lacks it.

    Raises:
      InputError: if the folder is neither, or the version can't be fetched.
    """
    path = expanded(local_copy(path, MANIFEST, _FILES, "export of this package"))
    if (path / "saved_model.pb").exists():
        return path
    versions = version_numbers(path)
    if not versions:
        problem = "holds no version of an export" if path.is_dir() else "is not there"
        folder = path if path.is_dir() else path.parent
        near = sorted(str(file.parents[1]) for file in folder.glob("*/*/saved_model.pb"))
        hint = f"There is {', '.join(dict.fromkeys(near))}" if near else "bin/train writes one"
        raise InputError(f"{path} {problem}. {hint}.")
    return path / str(max(versions))


class Served(Functions):
    """The functions of an export that is loaded into this process.

    Attributes:
      path: the version's folder.
      signatures: name -> the SavedModel's own function on tensors, the `_bytes` twins among them.
    """

    def __init__(self, saved_model: Any, manifest: dict, path: pathlib.Path):
        # The signatures live only as long as the object that they were loaded with.
        self._saved_model = saved_model
        self.path = path
        shapes = manifest["image_shape"], manifest["latent_dims"]
        super().__init__(str(path), saved_model.signatures, *shapes, manifest)

    def _shapes(self, signature):
        specification = self.signatures[signature].structured_input_signature[1]
        return {name: tuple(spec.shape) for name, spec in specification.items()}

    def _run(self, signature, inputs):
        import tensorflow as tf

        def run(rows):
            tensors = {name: tf.constant(values) for name, values in rows.items()}
            return self.signatures[signature](**tensors)

        try:
            return in_batches(run, inputs)
        except tf.errors.InvalidArgumentError as error:
            raise refusal(str(error.message)) from error
