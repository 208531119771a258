"""What a model is judged by: its functions and the images, with codes computed once."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_mmdvlae.model import latents

# A nearest-neighbour probe looks at no more than this many, and they are plenty for what is fitted.
TRAIN_ROWS = 20_000
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Part:
    """Images of one split and what is known about them.

    Attributes:
      images: uint8 [n, H, W, C] in 0..255.
      labels: name -> [n]: whole numbers (classes), bools (attributes) or floats (factors).
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]

    def floats(self, progress=None):
        """Batches of float32 images in [0, 1], in order; tells `progress(done, total)`."""
        for start in range(0, len(self.images), _BATCH):
            yield np.asarray(self.images[start : start + _BATCH], np.float32) / np.float32(255)
            if progress:
                progress(min(start + _BATCH, len(self.images)), len(self.images))


@dataclasses.dataclass(frozen=True)
class Case:
    """A trained model, as functions on arrays, and what it is judged on.

    Attributes:
      encode: images [n, H, W, C] float32 in [0, 1] -> (means, deviations), latent dicts.
      decode: latent dict [n, d_l] -> images.
      train, test: `Part`s; of train the first 20,000 images at most.
      mmd_squared: codes [n, d] -> squared MMD from N(0, I), as in training.
      samplers: name -> function (n, seed) -> latent dict [n, d_l]; "prior" among them.
      features: images -> [n, k], the space in which samples are compared.
      untrained: the encoder before training, like `encode`; None for none.
      factors: names of the labels that are the data's independent causes; () where not known.
      render: a dict of factors -> uint8 images, where the data are drawn by a program; else None.
      directions: `Directions` of the labels, or None.
      judge: what reads labels off images, such as `classifier.Classifier`: `predict(images)` ->
        {label: [n] or [n, k]}, `features(images)` -> [n, k], and `labels`, {label: {"kind",
        "class_names"}}; or None.
      triples: how many for each factor, in arithmetic with a known answer.
      seed: of everything drawn.
      progress: called as progress(done, total, unit), or None.
    """

    encode: Callable
    decode: Callable
    train: Part
    test: Part
    mmd_squared: Callable
    samplers: dict[str, Callable]
    features: Callable
    untrained: Callable | None = None
    factors: tuple[str, ...] = ()
    render: Callable | None = None
    directions: Any = None
    judge: Any = None
    triples: int = 100
    seed: int = 0
    progress: Callable | None = None

    def tell(self, unit):
        """A function (done, total) that passes progress on in that unit; None without progress."""
        return self.progress and functools.partial(self.progress, unit=unit)

    @functools.cached_property
    def test_codes(self):
        """(means, deviations) of the test images."""
        return self._codes(self.encode, self.test, "test images encoded")

    @functools.cached_property
    def train_codes(self):
        """(means, deviations) of the training images."""
        return self._codes(self.encode, self.train, "training images encoded")

    @functools.cached_property
    def untrained_means(self):
        """Means of (train, test) by the untrained encoder."""
        return tuple(
            self._codes(self.untrained, part, "images encoded without training")[0]
            for part in (self.train, self.test)
        )

    def _codes(self, encode, part, unit):
        parts = [encode(images) for images in part.floats(self.tell(unit))]
        return tuple(latents.concatenate(some) for some in zip(*parts, strict=True))

    def decoded(self, codes, unit):
        """Yields images [n, H, W, C] of codes, batch by batch."""
        rows = latents.row_count(codes)
        for start in range(0, rows, _BATCH):
            chosen = np.arange(start, min(start + _BATCH, rows))
            yield self.decode(latents.take(codes, chosen))
            if self.progress:
                self.progress(int(chosen[-1]) + 1, rows, unit=unit)
