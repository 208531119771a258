"""An export as plain functions on NumPy arrays."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.files import read_json
from tf_mmdvlae.common.paths import expanded, require_plain
from tf_mmdvlae.data.decode import MAX_MEGAPIXELS, decode
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.functions import in_batches
from tf_mmdvlae.model.latents import Latents


def load(path: pathlib.Path | str) -> Served:
    """Loads an export.

    Args:
      path: a folder of versions, of which the newest is taken ("exports/mnist"), or one version
        ("exports/mnist/3").

    Raises:
      InputError: if there is no export of this package there.
    """
    path = newest_version(path)
    manifest = read_json(
        path / "assets.extra" / "manifest.json",
        "bin/train and bin/export write exports with one.",
        {"image_shape": [int], "latent_dims": [int], "attributes": [str], "crop": float},
    )
    require_plain(path)
    try:
        served = Served(tf.saved_model.load(str(path)), manifest, path)
        _require_match(served)
        return served
    except Exception as error:  # TensorFlow raises whatever its parsers ran into.
        reason = first_line(error)
        raise InputError(f"The SavedModel in {path} cannot be loaded: {reason}") from error


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

    Raises:
      InputError: if the folder is neither.
    """
    path = expanded(path)
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


class Served:
    """A loaded export: its signatures as functions on NumPy arrays of any number of rows.

    `encode` and `decode` fit into `figures` and `evaluation` in place of a live model's. All other
    functions return images, float32 [n, H, W, C] in [0, 1]. Where a function takes several arrays,
    one with a single row serves all rows of the others.

    Attributes:
      manifest: the contents of `assets.extra/manifest.json`.
      path: the version's folder.
      image_shape: height, width, channels.
      latent_dims: (d_1, ..., d_L), lowest layer first.
      attributes: the names that `edit` knows.
      max_megapixels: larger pictures are refused.
      signatures: name -> the SavedModel's own function on tensors, the `_bytes` twins among them.
    """

    def __init__(self, saved_model: Any, manifest: dict, path: pathlib.Path):
        # The signatures live only as long as the object that they were loaded with.
        self._saved_model = saved_model
        self.signatures = saved_model.signatures
        self.manifest = manifest
        self.path = path
        self.image_shape = tuple(manifest["image_shape"])
        self.latent_dims = tuple(manifest["latent_dims"])
        self.attributes = tuple(manifest["attributes"])
        # Exports of earlier versions have no limit of their own.
        self.max_megapixels = manifest.get("max_megapixels", MAX_MEGAPIXELS)

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        return f"<Served {self.path}: {height}x{width}x{channels}, layers {self.latent_dims}>"

    def read(self, *paths: pathlib.Path | str) -> np.ndarray:
        """Reads JPEG, PNG or WebP files as training did: upright, the centre, the model's size.

        Raises:
          InputError: if a file can't be read, or has more megapixels than the manifest allows; the
            message names it.
        """
        images = np.empty((len(paths), *self.image_shape), np.float32)
        for image, path in zip(images, paths, strict=True):
            try:
                pixels, _ = decode(
                    str(path),
                    self.image_shape,
                    self.manifest["crop"],
                    upright=True,
                    max_megapixels=self.max_megapixels,
                )
            except Exception as error:  # Pillow raises whatever its decoders ran into.
                raise InputError(f"{path} can't be read as a picture: {error}") from error
            image[:] = pixels / np.float32(255)
        return images

    def encode(self, images: np.ndarray) -> tuple[Latents, Latents]:
        """Images [n, H, W, C] in [0, 1] -> (means, deviations), latent dicts [n, d_l]."""
        outputs = self._call("encode", image=_floats(images))
        names = [f"z_{layer}" for layer in range(1, len(self.latent_dims) + 1)]
        means = {name: outputs[name] for name in names}
        return means, {name: outputs[name.replace("z_", "std_")] for name in names}

    def decode(self, codes: Latents) -> np.ndarray:
        """A latent dict [n, d_l] -> images [n, H, W, C] in [0, 1]."""
        return self._call("decode", **latents.check(codes))["image"]

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Encodes and decodes images [n, H, W, C] in [0, 1]."""
        return self._call("reconstruct", image=_floats(images))["reconstruction"]

    def sample(
        self, seeds: ArrayLike, temperature: ArrayLike = 1.0, fitted: bool = False
    ) -> np.ndarray:
        """Draws from the prior, or from the mixture fitted to the codes of training images.

        Args:
          seeds: whole numbers [n], one per image; an image depends on its own seed alone.
          temperature: one number or [n], >= 0: scales the prior's deviation, or the deviation from
            the mean of the mixture's component.
          fitted: True draws from the mixture: where training images lie.

        Raises:
          InputError: if `fitted` is True and the export has no mixture.
        """
        signature = "sample_fitted" if fitted else "sample"
        if signature not in self.signatures:
            raise InputError(
                f"{self.path} was exported without a fitted mixture. Draw from the prior, or "
                "export the run again by its bin/train command with --overwrite."
            )
        seeds = np.asarray(seeds)
        if seeds.dtype.kind not in "iu":
            raise InputError(f"Seeds are {seeds.dtype}; give whole numbers.")
        seeds = seeds.astype(np.int64).reshape(-1)
        return self._call(signature, seed=seeds, temperature=_numbers(temperature))["sample"]

    def arithmetic(
        self,
        a: np.ndarray,
        minus: np.ndarray,
        plus: np.ndarray,
        layer_weights: ArrayLike | None = None,
        detail: ArrayLike | None = None,
    ) -> np.ndarray:
        """Decodes a - minus + plus, computed in the codes.

        Args:
          a, minus, plus: images [n, H, W, C].
          layer_weights: one weight per layer, lowest first, or [n, L]; None is one for each.
          detail: one number or [n] in [0, 1]: how much of what `a`'s reconstruction lacks is added
            back to the result, as in `retouch`; None is the plain result.

        Raises:
          InputError: for a detail, if the export is older than `retouch`.
        """
        images = {"a": _floats(a), "minus": _floats(minus), "plus": _floats(plus)}
        weights = self._weights(layer_weights)
        if detail is None:
            return self._call("arithmetic", **images, layer_weights=weights)["result"]
        return self._retouched(
            "arithmetic_retouched", **images, layer_weights=weights, detail=_numbers(detail)
        )

    def edit(
        self,
        images: np.ndarray,
        attribute: str | Sequence[str],
        strength: ArrayLike = 1.0,
        layer_weights: ArrayLike | None = None,
    ) -> np.ndarray:
        """Adds a feature to images or takes it away; the result is as blurred as reconstructions.

        Args:
          images: [n, H, W, C].
          attribute: one of `attributes`, or n of them.
          strength: one number or [n]; 1 is from without to with, or one standard deviation.
          layer_weights: as in `arithmetic`.

        Raises:
          InputError: for an unknown attribute; the message lists the known ones.
        """
        inputs = self._editing(images, attribute, strength, layer_weights)
        return self._call("edit", **inputs)["edited"]

    def retouch(
        self,
        images: np.ndarray,
        attribute: str | Sequence[str],
        strength: ArrayLike = 1.0,
        layer_weights: ArrayLike | None = None,
        detail: ArrayLike = 1.0,
    ) -> np.ndarray:
        """Edits images and keeps what the model does not draw, such as glasses and background.

        Args:
          images, attribute, strength, layer_weights: as in `edit`.
          detail: one number or [n] in [0, 1]: how much of image - reconstruction is added back. 0
            gives what `edit` gives; 1 gives the image itself where the edit changes nothing.

        Raises:
          InputError: for an unknown attribute, or if the export is older than `retouch`.
        """
        inputs = self._editing(images, attribute, strength, layer_weights)
        return self._retouched("retouch", **inputs, detail=_numbers(detail))

    def interpolate(self, a: np.ndarray, b: np.ndarray, t: ArrayLike) -> np.ndarray:
        """Decodes codes on the way from a to b, linear in every layer.

        Args:
          a, b: images [n, H, W, C].
          t: one number or [n]; 0 gives a's reconstruction and 1 gives b's.
        """
        return self._call("interpolate", a=_floats(a), b=_floats(b), t=_numbers(t))["result"]

    def _editing(self, images, attribute, strength, layer_weights):
        if not self.attributes:
            raise InputError(
                f"{self.path} cannot edit: its data set has no attributes, labels or factors."
            )
        names = np.array(attribute, object).reshape(-1)
        known = ", ".join(self.attributes)
        if not all(isinstance(name, (str, bytes)) for name in names):
            raise InputError(f"Attributes are names; this export has {known}.")
        for name in names:
            if os.fsdecode(name) not in self.attributes:
                raise InputError(f"attribute {os.fsdecode(name)!r} is not known. Known: {known}.")
        return {
            "image": _floats(images),
            "attribute": names,
            "strength": _numbers(strength),
            "layer_weights": self._weights(layer_weights),
        }

    def _retouched(self, signature, **inputs):
        if signature not in self.signatures:
            raise InputError(
                f"{self.path} is older than the signature {signature}. Do without detail "
                "(--detail=0), or export the run again with bin/export."
            )
        return self._call(signature, **inputs)["retouched"]

    def _weights(self, layer_weights):
        weights = np.ones(len(self.latent_dims)) if layer_weights is None else layer_weights
        weights = np.atleast_2d(_float32(weights))
        if weights.ndim != 2 or weights.shape[1] != len(self.latent_dims):
            raise InputError(
                f"layer_weights has shape {list(weights.shape)}; it needs a weight for each of the "
                f"{len(self.latent_dims)} layers, lowest first."
            )
        return weights

    def _call(self, signature, **inputs):
        function = self.signatures[signature]
        specification = function.structured_input_signature[1]
        if set(inputs) != set(specification):
            raise InputError(
                f"{signature} takes {', '.join(specification)}, not {', '.join(inputs)}."
            )
        for name, values in inputs.items():
            shape = specification[name].shape
            if not shape.is_compatible_with(values.shape):
                raise InputError(
                    f"{name} has shape {list(values.shape)}; {signature} takes "
                    f"[{', '.join(['n', *map(str, shape[1:])])}]."
                )
        counts = {len(values) for values in inputs.values()} - {1}
        if len(counts) > 1:
            raise InputError(
                f"The inputs of {signature} have {' and '.join(map(str, sorted(counts)))} rows; "
                "they must have the same number, or one."
            )
        for count in counts:
            inputs = {
                name: np.repeat(values, count, axis=0) if len(values) == 1 else values
                for name, values in inputs.items()
            }
        try:
            outputs = in_batches(
                lambda rows: function(**{name: tf.constant(v) for name, v in rows.items()}), inputs
            )
        except tf.errors.InvalidArgumentError as error:
            raise InputError(_reason(error)) from error
        # Exports of earlier versions fail where a row is wrong.
        for row, reason in enumerate(outputs.pop("error", ())):
            if reason:
                where = f"Row {row}: " if counts else ""
                raise InputError(where + reason.decode())
        return outputs


def _floats(images):
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise InputError(f"Images are {images.dtype}; give float32 in [0, 1] (8-bit pixels / 255).")
    return _float32(images)


def _numbers(values):
    return _float32(values).reshape(-1)


def _float32(values):
    # What is too large becomes infinite, which the graph refuses in words of its own.
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _reason(error):
    """The message of the graph's own check, without TensorFlow's account of where it failed."""
    for line in str(error.message).splitlines():
        _, assertion, message = line.partition("assertion failed: [")
        if assertion:
            return message.strip().removesuffix("]").replace("] [.", ".").replace("] [", " ")
    return str(error.message).splitlines()[0]
