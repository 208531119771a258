"""The signatures of an export as functions on NumPy arrays, wherever the export runs."""

from __future__ import annotations

import abc
import os
import pathlib
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_json
from tf_mmdvlae.data.limits import MAX_MEGAPIXELS
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

FORMAT = 1
"""Counted up when a program that reads a manifest would have to change."""

Pictures = np.ndarray | bytes | Sequence[bytes]
"""Images, float32 [n, H, W, C] in [0, 1]; or the bytes of JPEG or PNG files, one or n."""


def read_manifest(path: pathlib.Path | str) -> dict[str, Any]:
    """Reads an export's `manifest.json`; an `InputError` says what it lacks or what is wrong."""
    manifest = read_json(
        path,
        "bin/train and bin/export write exports with one.",
        {"image_shape": [int], "latent_dims": [int], "attributes": [str], "crop": float},
    )
    height, width, channels = (*manifest["image_shape"], 0, 0, 0)[:3]
    for name, is_right in {
        "format": manifest.get("format", FORMAT) == FORMAT,
        "image_shape": len(manifest["image_shape"]) == 3
        and min(height, width) > 0
        and channels in (1, 3),
        "latent_dims": min(manifest["latent_dims"], default=0) > 0,
        "crop": 0 < manifest["crop"] <= 1,
    }.items():
        if not is_right:
            raise InputError(
                f"{path} has {name}={manifest[name]}, which this version of the package does not "
                "know. Export the model again, or install the version that wrote it."
            )
    return manifest


def require_sampler(name: str, signatures: Container[str], fitted: bool) -> None:
    """Raises an InputError if the export `name` has no signature that draws so."""
    if fitted and "sample_fitted" not in signatures:
        raise InputError(
            f"{name} was exported without a fitted mixture. Draw from the prior, or export the run "
            "again by its bin/train command with --overwrite."
        )


def require_attributes(
    name: str, signatures: Container[str], known: Sequence[str], attributes: Iterable[str]
) -> None:
    """Raises an InputError if the export `name` can't edit or does not know one of `attributes`.

    `known` are those that the manifest has; empty where there is no manifest.
    """
    if "edit" not in signatures:
        raise InputError(f"{name} cannot edit: its data set has no attributes, labels or factors.")
    for attribute in attributes:
        if known and attribute not in known:
            listed = ", ".join(known)
            raise InputError(f"attribute {attribute!r} is not known. Known: {listed}.")


class Functions(abc.ABC):
    """The functions of an export, on NumPy arrays of any number of rows.

    `encode` and `decode` fit into `figures` and `evaluation` in place of a live model's. All other
    functions return images, float32 [n, H, W, C] in [0, 1]. Where a function takes several arrays,
    one with a single row serves all rows of the others.

    Where a function takes images, it also takes JPEG or PNG files: the bytes of one, or a list of
    those of n. The export reads them as training did, but without the turn that EXIF asks for, and
    the images that the function returns are PNG files, an array of n bytes objects.

    Every function raises an `InputError` that says what is wrong with an input, and in which row.

    Attributes:
      name: what messages call the export.
      manifest: the contents of `assets.extra/manifest.json`; {} where they are not known.
      image_shape: height, width, channels.
      latent_dims: (d_1, ..., d_L), lowest layer first.
      attributes: the names that `edit` knows; empty where they are not known.
      max_megapixels: larger pictures are refused.
    """

    def __init__(
        self,
        name: str,
        signatures: Mapping[str, Any],
        image_shape: Sequence[int],
        latent_dims: Sequence[int],
        manifest: dict[str, Any],
    ) -> None:
        self.name = name
        self.signatures = signatures
        self.image_shape = tuple(image_shape)
        self.latent_dims = tuple(latent_dims)
        self.manifest = manifest
        self.attributes: tuple[str, ...] = tuple(manifest.get("attributes", ()))
        # Exports of earlier versions have no limit of their own.
        self.max_megapixels: float = manifest.get("max_megapixels", MAX_MEGAPIXELS)

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        kind = type(self).__name__
        return f"<{kind} {self.name}: {height}x{width}x{channels}, layers {self.latent_dims}>"

    def read(self, *paths: pathlib.Path | str) -> np.ndarray:
        """Reads JPEG, PNG or WebP files as training did: upright, the centre, the model's size.

        Raises:
          InputError: if a file can't be read, or has more megapixels than the manifest allows; the
            message names it.
        """
        from tf_mmdvlae.data.decode import decode

        if not self.manifest:
            raise InputError(
                f"{self.name} does not say how pictures are cut; give its manifest, or give the "
                "contents of the files in place of images."
            )
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

    def encode(self, images: Pictures) -> tuple[Latents, Latents]:
        """Images [n, H, W, C] in [0, 1] -> (means, deviations), latent dicts [n, d_l]."""
        outputs = self._call("encode", {"image": images})
        names = [f"z_{layer}" for layer in range(1, len(self.latent_dims) + 1)]
        means = {name: outputs[name] for name in names}
        return means, {name: outputs[name.replace("z_", "std_")] for name in names}

    def decode(self, codes: Latents) -> np.ndarray:
        """A latent dict [n, d_l] -> images [n, H, W, C] in [0, 1]."""
        return self._call("decode", {}, **latents.check(codes))["image"]

    def reconstruct(self, images: Pictures) -> np.ndarray:
        """Encodes and decodes images [n, H, W, C] in [0, 1]."""
        return self._call("reconstruct", {"image": images})["reconstruction"]

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
        require_sampler(self.name, self.signatures, fitted)
        seeds = np.asarray(seeds)
        if seeds.dtype.kind not in "iu":
            raise InputError(f"Seeds are {seeds.dtype}; give whole numbers.")
        seeds = seeds.astype(np.int64).reshape(-1)
        return self._call(signature, {}, seed=seeds, temperature=_numbers(temperature))["sample"]

    def arithmetic(
        self,
        a: Pictures,
        minus: Pictures,
        plus: Pictures,
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
        images = {"a": a, "minus": minus, "plus": plus}
        weights = self._weights(layer_weights)
        if detail is None:
            return self._call("arithmetic", images, layer_weights=weights)["result"]
        return self._retouched(
            "arithmetic_retouched", images, layer_weights=weights, detail=_numbers(detail)
        )

    def edit(
        self,
        images: Pictures,
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
        inputs = self._editing(attribute, strength, layer_weights)
        return self._call("edit", {"image": images}, **inputs)["edited"]

    def retouch(
        self,
        images: Pictures,
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
        inputs = self._editing(attribute, strength, layer_weights)
        return self._retouched("retouch", {"image": images}, **inputs, detail=_numbers(detail))

    def interpolate(self, a: Pictures, b: Pictures, t: ArrayLike) -> np.ndarray:
        """Decodes codes on the way from a to b, linear in every layer.

        Args:
          a, b: images [n, H, W, C].
          t: one number or [n]; 0 gives a's reconstruction and 1 gives b's.
        """
        return self._call("interpolate", {"a": a, "b": b}, t=_numbers(t))["result"]

    def walk(
        self,
        images: np.ndarray,
        positions: ArrayLike,
        layer_weights: ArrayLike | None = None,
        straight: bool = False,
        detail: float = 0.0,
    ) -> np.ndarray:
        """Decodes codes on the way through all images, from one to the next, for `positions` [m].

        Args:
          images: [n, H, W, C], n >= 2.
          positions: numbers in [0, n - 1]: 0 is the first image, 1 the second, 0.5 lies between
            them.
          layer_weights: one weight per layer, lowest first; a zero leaves that layer as the first
            image has it. None is one for each.
          straight: whether the codes lie on straight lines, as those of `interpolate`; otherwise
            they lie on arcs, which keep the length of codes (`tf_mmdvlae.model.latents.spherical`).
          detail: a number in [0, 1]: how much of what the reconstructions lack of the two images
            is added back, in the shares of the way. With 1 and all layers, the walk shows the
            images themselves.

        Returns:
          Images [m, H, W, C].

        Raises:
          InputError: for fewer than two images, and for positions and details outside these ranges.
        """
        if not 0 <= detail <= 1:
            raise InputError(f"detail is {detail:g}; it must be from 0 to 1.")
        means, _ = self.encode(images)
        ends = means
        if layer_weights is not None:
            first = latents.take(means, [0])
            ends = latents.arithmetic(first, first, means, layer_weights)
        drawn = self.decode(latents.walk(ends, positions, straight))
        if not detail:
            return drawn
        lost = (_floats(images) - self.decode(means)).reshape(len(images), -1)
        between = latents.walk({"z_1": lost}, positions, straight=True)["z_1"]
        return np.clip(drawn + np.float32(detail) * between.reshape(drawn.shape), 0, 1)

    def _editing(self, attribute, strength, layer_weights):
        names = np.array(attribute, object).reshape(-1)
        if not all(isinstance(name, (str, bytes)) for name in names):
            known = ", ".join(self.attributes) or "them"
            raise InputError(f"Attributes are names; this export has {known}.")
        require_attributes(self.name, self.signatures, self.attributes, map(os.fsdecode, names))
        return {
            "attribute": names,
            "strength": _numbers(strength),
            "layer_weights": self._weights(layer_weights),
        }

    def _retouched(self, signature, images, **inputs):
        if signature not in self.signatures:
            raise InputError(
                f"{self.name} is older than the signature {signature}. Do without detail "
                "(--detail=0), or export the run again with bin/export."
            )
        return self._call(signature, images, **inputs)["retouched"]

    def _weights(self, layer_weights):
        weights = np.ones(len(self.latent_dims)) if layer_weights is None else layer_weights
        weights = np.atleast_2d(_float32(weights))
        if weights.ndim != 2 or weights.shape[1] != len(self.latent_dims):
            raise InputError(
                f"layer_weights has shape {list(weights.shape)}; it needs a weight for each of the "
                f"{len(self.latent_dims)} layers, lowest first."
            )
        return weights

    def _call(self, signature, pictures, **inputs):
        """The outputs of a signature for pictures, by input, and other inputs, arrays [n, ...].

        For pictures that are bytes, it is those of the signature's twin, without "_bytes".
        """
        contents = {f"{name}_bytes": _contents(value) for name, value in pictures.items()}
        kinds = {value is None for value in contents.values()}
        if len(kinds) > 1:
            raise InputError(f"{', '.join(pictures)} must all be images or all be bytes of files.")
        if False in kinds:
            signature, inputs = f"{signature}_bytes", contents | inputs
        else:
            inputs = {name: _floats(value) for name, value in pictures.items()} | inputs
        _check_shapes(signature, inputs, self._shapes(signature))
        count = max(map(len, inputs.values()))
        inputs = {
            name: np.repeat(values, count, axis=0) if len(values) < count else values
            for name, values in inputs.items()
        }
        outputs = self._run(signature, inputs)
        # Exports of earlier versions fail where a row is wrong.
        for row, reason in enumerate(outputs.pop("error", ())):
            if reason:
                where = f"Row {row}: " if count > 1 else ""
                raise InputError(where + reason.decode())
        return {name.removesuffix("_bytes"): value for name, value in outputs.items()}

    @abc.abstractmethod
    def _shapes(self, signature: str) -> Mapping[str, Sequence[int | None]]:
        """The shape of each input, whose first edge, the rows, is None."""

    @abc.abstractmethod
    def _run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for inputs of n rows; strings, in and out, are in arrays of objects."""


def refusal(message: str) -> InputError:
    """The error for a request that the graph refused: its own words, not where it failed."""
    for line in message.splitlines():
        _, assertion, reason = line.partition("assertion failed: [")
        if assertion:
            return InputError(
                reason.strip().removesuffix("]").replace("] [.", ".").replace("] [", " ")
            )
    return InputError((message.strip() or "The request was refused.").splitlines()[0])


def _check_shapes(signature, inputs, shapes):
    if set(inputs) != set(shapes):
        raise InputError(f"{signature} takes {', '.join(sorted(shapes))}, not {', '.join(inputs)}.")
    for name, values in inputs.items():
        _, *edges = shapes[name]
        if values.ndim != 1 + len(edges) or list(values.shape[1:]) != edges:
            raise InputError(
                f"{name} has shape {list(values.shape)}; {signature} takes "
                f"[{', '.join(['n', *map(str, edges)])}]."
            )
    counts = {len(values) for values in inputs.values()} - {1}
    if 0 in counts:
        raise InputError(f"{', '.join(inputs)}: there is no row; give at least one.")
    if len(counts) > 1:
        raise InputError(
            f"The inputs of {signature} have {' and '.join(map(str, sorted(counts)))} rows; "
            "they must have the same number, or one."
        )


def _contents(pictures):
    """The bytes of pictures, an array of objects [n]; None for images."""
    pictures = [pictures] if isinstance(pictures, bytes) else pictures
    if isinstance(pictures, np.ndarray) and pictures.dtype == object:
        pictures = list(pictures)
    if isinstance(pictures, list | tuple) and all(isinstance(each, bytes) for each in pictures):
        return np.array(pictures, object)
    return None


def _floats(images):
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise InputError(
            f"Images are {images.dtype}; give float32 in [0, 1] (8-bit pixels / 255), or the "
            "bytes of JPEG or PNG files."
        )
    return _float32(images)


def _numbers(values):
    return _float32(values).reshape(-1)


def _float32(values):
    # What is too large becomes infinite, which the graph refuses in words of its own.
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)
