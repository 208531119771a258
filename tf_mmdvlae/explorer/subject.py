"""What the page explores: an export as codes and pictures, with all layers side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import layout_of
from tf_mmdvlae.data import detector
from tf_mmdvlae.data.decode import decode, decode_whole
from tf_mmdvlae.explorer.fitted import find_vectors
from tf_mmdvlae.model import latents
from tf_mmdvlae.serving.export import EXAMPLES_FILE
from tf_mmdvlae.serving.loaded import Served

# So far a dimension is moved to either side, and of so many pictures, to see what it changes.
_STEP, _PICTURES = 2.0, 2


class Subject:
    """An export as the page sees it.

    Codes are float32 [n, D], all layers side by side, lowest first, where D is the sum of the
    layers' dimensions. Pictures are uint8 [n, height, width, channels].

    Attributes:
      served: the export.
      dimensions: D.
      about: what the page knows about the export, a dict that JSON can hold; see `_about`.
    """

    def __init__(self, served: Served):
        self.served = served
        self.dimensions = sum(served.latent_dims)
        self.about = self._about()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The pictures of codes; an InputError for codes that are not finite."""
        images = self.served.decode(latents.split(codes, self.served.latent_dims))
        return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)

    def encode(self, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        """A JPEG, PNG or WebP file -> its codes [1, D], and its centre at the model's size.

        Raises:
          InputError: if the bytes can't be read as a picture.
        """
        served = self.served
        try:
            picture, _ = decode(
                content,
                served.image_shape,
                served.manifest["crop"],
                upright=True,
                max_megapixels=served.max_megapixels,
            )
        except Exception as error:  # Pillow raises whatever its decoders ran into.
            raise InputError(f"This file can't be read as a picture: {error}") from error
        picture = picture[None]
        return self._codes(picture), picture

    def _codes(self, pictures):
        return latents.join(self.served.encode(pictures / np.float32(255))[0])

    def find(self, content: bytes) -> np.ndarray | None:
        """A JPEG, PNG or WebP file -> the points [4, 2] of its largest face, None without a face.

        They are the `Layout.points` of the picture at its own size, turned as EXIF says.

        Raises:
          InputError: if the bytes can't be read as a picture, or [align] is not installed.
        """
        try:
            picture = decode_whole(content, 3, self.served.max_megapixels)
        except Exception as error:  # Pillow raises whatever its decoders ran into.
            raise InputError(f"This file can't be read as a picture: {error}") from error
        faces = detector.find_faces(picture)
        return faces[0].points if faces else None

    def draw(self, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Random pictures and their codes, one per seed: where training pictures lie, if known."""
        served = self.served
        images = served.sample(seeds, fitted="sample_fitted" in served.signatures)
        codes = latents.join(served.encode(images)[0])
        return codes, self.decode(codes)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes of the export's example pictures, and these; of none where it has none.

        Raises:
          InputError: for a file that can't be read or is of pictures of another shape.
        """
        height, width, channels = self.served.image_shape
        path = self.served.path / "assets.extra" / EXAMPLES_FILE
        if not path.exists():
            pictures = np.empty((0, height, width, channels), np.uint8)
            return np.empty((0, self.dimensions), np.float32), pictures
        try:
            row = np.asarray(decode_whole(str(path), channels))
            pictures = row.reshape(height, -1, width, channels).swapaxes(0, 1)
        except Exception as error:  # Pillow raises whatever its decoders ran into.
            raise InputError(f"{path} can't be read as example pictures: {error}") from error
        return self._codes(pictures), pictures

    def _about(self):
        """The contents of the page that depend on the export.

        Returns:
          "name" (the export's folder and version), "dataset", "image_shape", "latent_dims";
          "max_megapixels": larger pictures are refused;
          "crop": the share of a picture's centre that the model sees; "layout": a picture's size in
          pixels and where a face lies in it, {"height", "width", "points": [[x, y]] of both eyes
          and both corners of the mouth, left ones first}, or None where that is not known; "finds":
          whether `find` has its packages;
          "effects" [D]: by how much each dimension changes a picture, the mean over its pixels in
          [0, 1]; "axes": per layer, orthonormal vectors [d_l, d_l], those that change pictures most
          first; "attributes": one dict each of "name", "vector" [D], "shares" (each layer's in what
          it changes, with the sum 1), and "known" and "layers": how well all codes and each layer
          tell it, from 0 (a guess) to 1, None where the manifest does not say.
        """
        served = self.served
        effects, axes = self._effects()
        manifest = served.manifest
        return {
            "name": f"{served.path.resolve().parent.name}/{served.path.resolve().name}",
            "dataset": manifest.get("dataset"),
            "image_shape": list(served.image_shape),
            "latent_dims": list(served.latent_dims),
            "max_megapixels": served.max_megapixels,
            "crop": manifest["crop"],
            "layout": layout._asdict() if (layout := layout_of(manifest)) else None,
            "finds": detector.is_installed(),
            "effects": effects.round(6).tolist(),
            "axes": [vectors.round(5).tolist() for vectors in axes],
            "attributes": self._attributes(),
        }

    def _effects(self):
        """What each dimension changes, and the main directions of each layer.

        The main directions are the eigenvectors of the sum of J J^T over a few pictures, where the
        rows of J are the differences of the pictures at both ends of each dimension: a principal
        component analysis of what the decoder draws.
        """
        served = self.served
        codes, _ = self.draw(np.arange(_PICTURES))
        effects, axes = [], []
        start = 0
        for size in served.latent_dims:
            ends = np.repeat(codes, 2 * size, axis=0).reshape(_PICTURES, 2, size, -1)
            dims = np.arange(size)
            for side, value in enumerate((-_STEP, _STEP)):
                ends[:, side, dims, start + dims] = value
            ends = ends.reshape(-1, self.dimensions)
            images = served.decode(latents.split(ends, served.latent_dims))
            images = images.reshape(_PICTURES, 2, size, -1)
            changes = images[:, 1] - images[:, 0]
            effects.append(np.abs(changes).mean(axis=(0, 2)))
            vectors = np.linalg.eigh(sum(change @ change.T for change in changes))[1].T[::-1]
            # An eigenvector and its negative are the same; the choice should not be the machine's.
            largest = np.abs(vectors).argmax(axis=1, keepdims=True)
            axes.append(vectors * np.sign(np.take_along_axis(vectors, largest, axis=1)))
            start += size
        return np.concatenate(effects), axes

    def _attributes(self) -> list[dict[str, Any]]:
        found = find_vectors(self.served)
        if found is None:
            return []
        vectors = latents.join(found).round(6)
        probes = self.served.manifest.get("probes", {})
        return [
            {
                "name": name,
                "vector": vector.tolist(),
                "shares": shares.round(4).tolist(),
                **self._knowledge(name, probes),
            }
            for name, vector, shares in zip(
                self.served.attributes, vectors, self._shares(vectors), strict=True
            )
        ]

    def _shares(self, vectors):
        """Each layer's share [K, L] in what K attributes change in a picture, of vectors [K, D]."""
        dims = self.served.latent_dims
        of_layers = np.repeat(np.eye(len(dims), dtype=np.float32), dims, axis=1)
        parts = (_STEP * vectors[:, None] * of_layers).reshape(-1, self.dimensions)
        changes = np.zeros(len(parts))
        for code in self.draw(np.arange(_PICTURES))[0]:
            ends = [self.decode(code + side * parts).astype(np.float32) for side in (-1, 1)]
            changes += np.abs(ends[1] - ends[0]).mean(axis=(1, 2, 3))
        changes = changes.reshape(len(vectors), len(dims))
        return changes / np.maximum(changes.sum(axis=1, keepdims=True), 1e-9)

    def _knowledge(self, name, probes):
        # A class, "hair_color=red", is judged with the others of its label.
        probe = probes.get(name) or probes.get(name.partition("=")[0])
        if not probe:
            return {"known": None, "layers": None}
        chance = probe["chance"]

        def share(score):
            return float(np.clip((score - chance) / (1 - chance), 0, 1)) if chance < 1 else 0.0

        count = len(self.served.latent_dims)
        layers = [probe.get(f"z_{layer}") for layer in range(1, count + 1)]
        return {
            "known": None if probe.get("all") is None else share(probe["all"]),
            "layers": None if None in layers else [share(score) for score in layers],
        }
