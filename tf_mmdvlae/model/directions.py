"""Where a named feature lies in the codes: one direction a label, attribute or factor."""

import dataclasses
import logging

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_arrays, write_arrays
from tf_mmdvlae.model import latents

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Directions:
    """Named directions in the latent layers.

    Attributes:
      names: of the K features: an attribute or factor by its own name, a class as
        "<label>=<class>", such as "label=7".
      vectors: a latent dict [K, d_l], a row a name.
    """

    names: tuple[str, ...]
    vectors: dict[str, np.ndarray]

    def of(self, name):
        """The direction of one feature: a latent dict [1, d_l], for `latents.edit`.

        Raises:
          InputError: for an unknown name; the message lists the known ones.
        """
        if name not in self.names:
            raise InputError(f"There is no attribute {name!r}. Known: {', '.join(self.names)}.")
        return latents.take(self.vectors, [self.names.index(name)])

    def save(self, path):
        """Writes them to a .npz file, whole or not at all."""
        write_arrays(path, {"names": np.array(self.names)} | self.vectors)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote.

        Raises:
          InputError: if the file cannot be read.
        """
        arrays = read_arrays(path)
        try:
            names = arrays.pop("names")
        except KeyError as error:
            raise InputError(f"{path} cannot be read: it has no {error}") from error
        return cls(tuple(map(str, names)), latents.check(arrays))


def find_directions(means, labels, class_names=None):
    """The direction of every feature, with all others held constant.

    One least-squares regression of the codes on all features at once: where smiling people are
    more often women, the plain difference of means of Smiling would drag Male along, and the
    coefficient of a joint regression does not. The coefficient of an attribute is the step from
    "without" to "with", that of a factor the step of one standard deviation; a class's direction is
    its coefficient less the mean of the other classes' (weighted by how frequent they are), the
    step from "another class" to "this one". Features of which one follows from the others (a thing
    and its contrary) share their effect.

    Args:
      means: posterior means of the training images, a latent dict [n, d_l].
      labels: name -> [n]: class ids (whole numbers), attributes (bools) or factors (floats; where
        one is not finite, the factor's mean is taken).
      class_names: label name -> the classes' names, for those that are class ids; ids serve
        where there are none.

    Returns:
      `Directions`. A feature that does not vary over the images has none, and the log says so.

    Raises:
      InputError: if the labels have other numbers of rows than the codes.
    """
    codes = latents.join(means)
    columns, features = [], []
    for name, values in labels.items():
        values = np.asarray(values)
        if values.shape != codes.shape[:1]:
            raise InputError(
                f"Label {name!r} has shape {list(values.shape)} for {len(codes)} codes."
            )
        found = _features_of(name, values, (class_names or {}).get(name))
        if not found:
            _log.warning("%s does not vary over the training images and has no direction.", name)
        for feature, column, share in found:
            features.append((feature, name if share is not None else None, share))
            columns.append(column)
    if not features:
        return Directions((), latents.take(means, slice(0)))
    # With an intercept the columns of a label's classes are dependent; the smallest solution is
    # taken, and the differences between classes are the same in all.
    design = np.stack([np.ones(len(codes)), *columns], axis=1)
    coefficients = np.linalg.lstsq(design, codes.astype(np.float64), rcond=None)[0][1:]
    vectors = _against_other_classes(coefficients, features)
    splits = np.cumsum(latents.dimensions(means))[:-1]
    parts = np.split(vectors.astype(np.float32), splits, axis=1)
    return Directions(
        tuple(feature for feature, _, _ in features),
        dict(zip(latents.layer_names(means), parts, strict=True)),
    )


def _features_of(name, values, class_names):
    """[(feature, its column of the regression, its share of the images if it is a class)]."""
    if values.dtype.kind == "b":
        return [(name, values.astype(np.float64), None)] if 0 < values.mean() < 1 else []
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        spread = np.std(values[finite], dtype=np.float64) if finite.any() else 0.0
        if not spread > 0:
            return []
        centred = values.astype(np.float64) - np.mean(values[finite], dtype=np.float64)
        return [(name, np.where(finite, centred, 0.0) / spread, None)]
    found = []
    for number in np.unique(values):
        column = (values == number).astype(np.float64)
        named = class_names is not None and 0 <= number < len(class_names)
        called = class_names[number] if named else number
        found.append((f"{name}={called}", column, column.mean()))
    return found if len(found) > 1 else []


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
