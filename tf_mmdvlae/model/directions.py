"""Where a named feature lies in the codes: one direction per class, attribute or factor."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_arrays, write_arrays
from tf_mmdvlae.data.labels import has_value, kind_of
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Directions:
    """Named directions in the latent layers.

    Attributes:
      names: of the K features: an attribute or factor by its own name, a class as
        "<label>=<class>", such as "label=7".
      vectors: a latent dict [K, d_l], one row per name.
    """

    names: tuple[str, ...]
    vectors: Latents

    @property
    def latent_dims(self) -> tuple[int, ...]:
        """The dimensions of the layers, lowest first."""
        return latents.dimensions(self.vectors)

    def of(self, name: str) -> Latents:
        """One feature's direction [1, d_l]; an InputError for an unknown name lists the known."""
        if name not in self.names:
            raise InputError(f"There is no attribute {name!r}. Known: {', '.join(self.names)}.")
        return latents.take(self.vectors, [self.names.index(name)])

    def save(self, path: pathlib.Path | str) -> None:
        """Writes them to a .npz file, whole or not at all."""
        write_arrays(path, {"names": np.array(self.names)} | self.vectors)

    @classmethod
    def load(cls, path: pathlib.Path | str) -> Directions:
        """Reads what `save` wrote; raises an InputError for a file that cannot be read."""
        vectors = read_arrays(path)
        if "names" not in vectors:
            raise InputError(f"{path} cannot be read: it has no 'names'")
        names = tuple(map(str, np.atleast_1d(vectors.pop("names"))))
        try:
            vectors = latents.check(vectors)
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        if latents.row_count(vectors) != len(names) or not np.isfinite(latents.join(vectors)).all():
            raise InputError(f"{path} cannot be read: it has no vector for each of its names")
        return cls(names, vectors)


def find_directions(
    means: Latents,
    labels: Mapping[str, np.ndarray],
    class_names: Mapping[str, Sequence[str]] | None = None,
) -> Directions:
    """The direction of every feature, with all others held constant.

    One least-squares regression predicts the codes from all features at once. If smiling people are
    more often women, the plain difference of means of Smiling would drag Male along; the
    coefficient of a joint regression does not. The coefficient of an attribute is the step from
    "without" to "with", that of a factor the step of one standard deviation. A class's direction is
    the step from "another class" to "this one": its coefficient less the mean of the other
    classes', weighted by their frequencies. Features that determine each other (a thing and its
    contrary) share their effect. A feature that does not vary over the images has no direction, and
    the log says so.

    Args:
      means: posterior means of the training images, a latent dict [n, d_l].
      labels: name -> [n]: class ids, attributes or factors, as `data.labels` says; the mean of the
        others stands in for a value that an image lacks. Another n is an InputError.
      class_names: label name -> the classes' names, for labels that are class ids; without them
        the ids are the names.
    """
    codes = latents.join(means)
    columns: list[np.ndarray] = []
    features: list[tuple[str, str | None, float | None]] = []
    for name, values in labels.items():
        values = np.asarray(values)
        if values.shape != codes.shape[:1]:
            shape = list(values.shape)
            raise InputError(f"Label {name!r} has shape {shape} for {len(codes)} codes.")
        features_of_label = _features_of(name, values, (class_names or {}).get(name))
        if not features_of_label:
            _log.warning("%s does not vary over the training images and has no direction.", name)
        for feature, column, share in features_of_label:
            if any(feature == known for known, _, _ in features):
                _log.warning("Two features are called %s; only the first has a direction.", feature)
                continue
            features.append((feature, name if share is not None else None, share))
            columns.append(column)
    if not features:
        return Directions((), latents.take(means, slice(0)))
    # With an intercept the columns of a label's classes are linearly dependent. lstsq returns the
    # smallest solution; the differences between classes are the same in every solution.
    design = np.stack([np.ones(len(codes)), *columns], axis=1)
    coefficients = np.linalg.lstsq(design, codes.astype(np.float64), rcond=None)[0][1:]
    vectors = _against_other_classes(coefficients, features).astype(np.float32)
    names = tuple(feature for feature, _, _ in features)
    return Directions(names, latents.split(vectors, latents.dimensions(means)))


def _features_of(name, values, class_names):
    """[(feature, its column of the regression, its share of the images if it is a class)]."""
    kind, known = kind_of(values), has_value(values)
    if kind == "attribute":
        share = (values[known] > 0).mean() if known.any() else 0.0
        return [(name, np.where(known, values, share), None)] if 0 < share < 1 else []
    if kind == "factor":
        spread = np.std(values[known], dtype=np.float64) if known.any() else 0.0
        if not spread > 0:
            return []
        centred = values.astype(np.float64) - np.mean(values[known], dtype=np.float64)
        return [(name, np.where(known, centred, 0.0) / spread, None)]
    classes = []
    for number in np.unique(values[known]):
        share = (values[known] == number).mean()
        column = np.where(known, values == number, share)
        is_named = class_names is not None and 0 <= number < len(class_names)
        title = class_names[number] if is_named else number
        classes.append((f"{name}={title}", column, share))
    return classes if len(classes) > 1 else []


def _against_other_classes(coefficients, features):
    vectors = coefficients.copy()
    for label in {label for _, label, _ in features if label is not None}:
        rows = [row for row, feature in enumerate(features) if feature[1] == label]
        shares = np.array([features[row][2] for row in rows])
        mean = shares @ coefficients[rows]
        for row, share in zip(rows, shares, strict=True):
            others = (mean - share * coefficients[row]) / (1 - share)
            vectors[row] = coefficients[row] - others
    return vectors
