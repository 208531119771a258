"""An export as plain functions on NumPy arrays."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.decode import decode
from tf_mmdvlae.model import latents

_BATCH = 256


def load(path):
    """Loads an export.

    Args:
      path: a folder of versions, of which the newest is taken ("exports/mnist"), or one version
        ("exports/mnist/3").

    Returns:
      A `Served`.

    Raises:
      InputError: if there is no export of this package there.
    """
    path = newest_version(path)
    manifest_file = path / "assets.extra" / "manifest.json"
    try:
        manifest = json.loads(manifest_file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} has no readable assets.extra/manifest.json ({error}); it was not written by "
            "bin/train or bin/export."
        ) from error
    try:
        return Served(tf.saved_model.load(str(path)), manifest, path)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"The SavedModel in {path} cannot be loaded: {error}") from error


def newest_version(path):
    """The newest version in a folder of versions, or the folder itself if it is a version.

    Raises:
      InputError: if it is neither.
    """
    path = pathlib.Path(path).expanduser()
    if (path / "saved_model.pb").exists():
        return path
    versions = [int(child.name) for child in path.glob("*") if child.name.isdigit()]
    if not versions:
        what = "holds no version of an export" if path.is_dir() else "is not there"
        folder = path if path.is_dir() else path.parent
        near = sorted(str(found.parents[1]) for found in folder.glob("*/*/saved_model.pb"))
        hint = f"There is {', '.join(dict.fromkeys(near))}" if near else "bin/train writes one"
        raise InputError(f"{path} {what}. {hint}.")
    return path / str(max(versions))


class Served:
    """A loaded export: its signatures as functions on NumPy arrays of any number of rows.

    `encode` and `decode` are what `figures` and `evaluation` take, in the place of a live model's.

    Attributes:
      manifest: the contents of `assets.extra/manifest.json`.
      path: the version's folder.
      image_shape: height, width, channels.
      latent_dims: (d_1, ..., d_L), lowest layer first.
      attributes: the names that `edit` knows.
      signatures: name -> the SavedModel's own function on tensors, the `_bytes` twins among them.
    """

    def __init__(self, saved_model, manifest, path):
        # The signatures live as long as the object that they were loaded with.
        self._saved_model = saved_model
        self.signatures = saved_model.signatures
        self.manifest = manifest
        self.path = path
        self.image_shape = tuple(manifest["image_shape"])
        self.latent_dims = tuple(manifest["latent_dims"])
        self.attributes = tuple(manifest["attributes"])

    def __repr__(self):
        height, width, channels = self.image_shape
        return f"<Served {self.path}: {height}x{width}x{channels}, layers {self.latent_dims}>"

    def read(self, *paths):
        """Reads picture files as training did: upright, the centre, the model's size.

        Args:
          paths: JPEG or PNG files.

        Returns:
          Images [n, H, W, C] in [0, 1], for the other functions.

        Raises:
          InputError: if one can't be read; it is named.
        """
        images = np.empty((len(paths), *self.image_shape), np.float32)
        for image, path in zip(images, paths, strict=True):
            try:
                pixels, _ = decode(str(path), self.image_shape, self.manifest["crop"], upright=True)
            except Exception as error:  # Pillow raises whatever its decoders ran into.
                raise InputError(f"{path} can't be read as a picture: {error}") from error
            image[:] = pixels / np.float32(255)
        return images

    def encode(self, images):
        """Images [n, H, W, C] in [0, 1] -> (means, deviations), latent dicts [n, d_l]."""
        outputs = self._call("encode", image=_floats(images))
        names = [f"z_{layer}" for layer in range(1, len(self.latent_dims) + 1)]
        means = {name: outputs[name] for name in names}
        return means, {name: outputs[name.replace("z_", "std_")] for name in names}

    def decode(self, codes):
        """A latent dict [n, d_l] -> images [n, H, W, C] in [0, 1]."""
        return self._call("decode", **latents.check(codes))["image"]

    def reconstruct(self, images):
        """Images -> what comes back when they are encoded and decoded."""
        return self._call("reconstruct", image=_floats(images))["reconstruction"]

    def sample(self, seeds, temperature=1.0, fitted=False):
        """Draws from the prior, or from the mixture fitted to the codes of training images.

        Args:
          seeds: whole numbers [n], one an image; an image depends on its own seed alone.
          temperature: one number or [n], >= 0: scales the prior's deviation, or that from the
            mean of the component of the mixture.
          fitted: True draws from the mixture: where training images lie.

        Returns:
          Images [n, H, W, C].

        Raises:
          InputError: if the mixture is asked for and there is none.
        """
        signature = "sample_fitted" if fitted else "sample"
        if signature not in self.signatures:
            raise InputError(
                f"{self.path} was exported without a fitted mixture. Draw from the prior, or write "
                "it anew by the run's bin/train command with --overwrite."
            )
        seeds = np.asarray(seeds)
        if seeds.dtype.kind not in "iu":
            raise InputError(f"Seeds are {seeds.dtype}; give whole numbers.")
        seeds = seeds.astype(np.int64).reshape(-1)
        temperature = _each(temperature, len(seeds))
        return self._call(signature, seed=seeds, temperature=temperature)["sample"]

    def arithmetic(self, a, minus, plus, layer_weights=None):
        """a - minus + plus, in the codes.

        Args:
          a, minus, plus: images [n, H, W, C], or one image [1, H, W, C] for all rows.
          layer_weights: a weight a layer, lowest first, or [n, L]; None is one for each.

        Returns:
          Images [n, H, W, C].
        """
        a, minus, plus = _rows(map(_floats, (a, minus, plus)))
        weights = self._weights(layer_weights, len(a))
        return self._call("arithmetic", a=a, minus=minus, plus=plus, layer_weights=weights)[
            "result"
        ]

    def edit(self, images, attribute, strength=1.0, layer_weights=None):
        """Adds a feature to images or takes it away.

        Args:
          images: [n, H, W, C].
          attribute: one of `attributes`, or n of them.
          strength: one number or [n]; 1 is from without to with, or one standard deviation.
          layer_weights: as in `arithmetic`.

        Returns:
          Images [n, H, W, C].

        Raises:
          InputError: for an unknown attribute; the message lists the known ones.
        """
        if not self.attributes:
            raise InputError(
                f"{self.path} cannot edit: its data set has no attributes, labels or factors."
            )
        strength = np.asarray(strength, np.float32).reshape(-1)
        attribute = np.array(attribute, object).reshape(-1)
        if not all(isinstance(name, (str, bytes)) for name in attribute):
            raise InputError(f"Attributes are names; known are {', '.join(self.attributes)}.")
        images, strength, attribute = _rows((_floats(images), strength, attribute))
        return self._call(
            "edit",
            image=images,
            attribute=attribute,
            strength=strength,
            layer_weights=self._weights(layer_weights, len(images)),
        )["edited"]

    def interpolate(self, a, b, t):
        """Images on the way from a to b, linear in every layer.

        Args:
          a, b: images [n, H, W, C], or one image [1, H, W, C] for all rows.
          t: one number or [n]; 0 gives a's reconstruction and 1 gives b's.

        Returns:
          Images [n, H, W, C].
        """
        a, b, t = _rows((_floats(a), _floats(b), np.asarray(t, np.float32).reshape(-1)))
        return self._call("interpolate", a=a, b=b, t=t)["result"]

    def _weights(self, layer_weights, count):
        weights = np.ones(len(self.latent_dims)) if layer_weights is None else layer_weights
        weights = np.atleast_2d(np.asarray(weights, np.float32))
        if weights.ndim != 2 or weights.shape[1] != len(self.latent_dims):
            raise InputError(
                f"layer_weights has shape {list(weights.shape)}; it needs a weight for each of the "
                f"{len(self.latent_dims)} layers, lowest first."
            )
        return _each(weights, count)

    def _call(self, signature, **inputs):
        function = self.signatures[signature]
        specification = function.structured_input_signature[1]
        if set(inputs) != set(specification):
            raise InputError(
                f"{signature} takes {', '.join(specification)}, not {', '.join(inputs)}."
            )
        for name, values in inputs.items():
            if not specification[name].shape.is_compatible_with(values.shape):
                raise InputError(
                    f"{name} has shape {list(values.shape)}; {signature} takes "
                    f"{_shape(specification[name].shape)}."
                )
        counts = {name: len(values) for name, values in inputs.items()}
        if len(set(counts.values())) > 1:
            rows = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise InputError(f"Inputs have different numbers of rows: {rows}.")
        count = next(iter(counts.values()))
        parts = []
        try:
            for start in range(0, max(count, 1), _BATCH):
                rows = {n: tf.constant(v[start : start + _BATCH]) for n, v in inputs.items()}
                parts.append({n: v.numpy() for n, v in function(**rows).items()})
        except tf.errors.InvalidArgumentError as error:
            raise InputError(_reason(error)) from error
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _floats(images):
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise InputError(f"Images are {images.dtype}; give float32 in [0, 1] (8-bit pixels / 255).")
    return images.astype(np.float32, copy=False)


def _each(values, count):
    values = np.asarray(values, np.float32)
    if values.ndim == 0:
        values = values[None]
    return np.repeat(values, count, axis=0) if len(values) == 1 else values


def _rows(arrays):
    """Repeats what has a single row for all rows of the others."""
    arrays = list(arrays)
    counts = {len(array) for array in arrays} - {1}
    if len(counts) > 1:
        raise InputError(
            f"Inputs have {' and '.join(map(str, sorted(counts)))} rows; they must have the same "
            "number, or one."
        )
    count = counts.pop() if counts else 1
    return [np.repeat(array, count, axis=0) if len(array) == 1 else array for array in arrays]


def _shape(shape):
    return "[" + ", ".join(["n", *map(str, shape[1:])]) + "]"


def _reason(error):
    """What the graph's own check said, without TensorFlow's account of where it said it."""
    for line in str(error.message).splitlines():
        _, found, said = line.partition("assertion failed: [")
        if found:
            return said.strip().removesuffix("]").replace("] [.", ".").replace("] [", " ")
    return str(error.message).splitlines()[0]
