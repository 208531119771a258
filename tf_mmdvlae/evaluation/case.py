"""What is measured: a model's functions, and images of both splits with their labels and codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tf_mmdvlae.model.functions import batches, in_batches
from tf_mmdvlae.model.latents import Latents

if TYPE_CHECKING:
    from tf_mmdvlae.evaluation.classifier import Classifier
    from tf_mmdvlae.model.directions import Directions

Update = Callable[[int, int], None]
"""Called as update(done, total) while a task goes on."""

Encode = Callable[[np.ndarray], tuple[Latents, Latents]]
"""Images [n, H, W, C] float32 in [0, 1] -> posterior means and deviations, latent dicts."""


def floats(images: np.ndarray) -> np.ndarray:
    """Converts pixels 0..255 to float32 in [0, 1]."""
    return np.asarray(images, np.float32) / np.float32(255)


@dataclasses.dataclass(frozen=True)
class Part:
    """Images of one split, uint8 [n, H, W, C], their labels and their posteriors.

    The labels are whole numbers (classes), bools (attributes) or floats (factors), [n] each.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]
    means: Latents
    deviations: Latents

    @classmethod
    def encoded(
        cls,
        images: np.ndarray,
        labels: dict[str, np.ndarray],
        encode: Encode,
        progress: Update | None = None,
    ) -> Part:
        """Encodes the images, a few at a time."""
        codes = in_batches(lambda pixels: encode(floats(pixels)), images, progress=progress)
        return cls(images, labels, *codes)

    def float_batches(self, progress: Update | None = None) -> Iterator[np.ndarray]:
        """Yields the images as float32 [k, H, W, C] in [0, 1], a few at a time, in order."""
        return map(floats, batches(self.images, progress=progress))


@dataclasses.dataclass(frozen=True)
class Case:
    """A trained model, as functions on arrays, and the data that it is measured on.

    Attributes:
      encode: the trained encoder.
      decode: latent dict [n, d_l] -> images.
      train: at most the first 20,000 training images.
      test: the test images.
      mmd_squared: codes [n, d] -> squared MMD from N(0, I), as in training.
      samplers: name -> function (n, seed) -> latent dict [n, d_l]; "prior" among them.
      features: images -> [n, k], the space in which samples are compared.
      untrained: the encoder before training, or None.
      factors: names of the labels that are the data's independent causes; () if not known.
      render: a dict of factors -> uint8 images, for data that a program draws; else None.
      directions: the directions of the labels, or None.
      judge: the classifier that reads labels off images, or None.
      triples: how many triples of images per factor, in arithmetic with a known answer.
      seed: of all random draws.
      progress: the name of a unit, such as "images" -> an `Update`.
    """

    encode: Encode
    decode: Callable[[Latents], np.ndarray]
    train: Part
    test: Part
    mmd_squared: Callable[[np.ndarray], float]
    samplers: Mapping[str, Callable[[int, int], Latents]]
    features: Callable[[np.ndarray], np.ndarray]
    untrained: Encode | None = None
    factors: tuple[str, ...] = ()
    render: Callable[[dict[str, np.ndarray]], np.ndarray] | None = None
    directions: Directions | None = None
    judge: Classifier | None = None
    triples: int = 100
    seed: int = 0
    progress: Callable[[str], Update] = lambda unit: lambda done, total: None
