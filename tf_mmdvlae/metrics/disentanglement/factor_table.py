"""Codes beside the factors that their images were drawn from, for the disentanglement scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import prior_distance
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

BINS = 20
MOST_CLASSES = 100
FEWEST_ROWS = 8


@dataclass(frozen=True)
class FactorTable:
    """The rows that the scores are computed from, in random order.

    Attributes:
      codes: all layers side by side, float64 [n, D].
      layers: layer name -> its columns of `codes`, a slice; lowest layer first.
      names: names of the F factors that vary.
      left_out: names of the factors that have one value only, about which nothing can be said.
      values: F arrays [n]: float64 for a continuous factor, class numbers for another.
      classes: whole numbers [n, F], each column 0 to K - 1 with none missing: the class, or for a
        continuous factor the bin of `equal_width_bins`.
      continuous: bool [F].
    """

    codes: np.ndarray
    layers: dict[str, slice]
    names: list[str]
    left_out: list[str]
    values: list[np.ndarray]
    classes: np.ndarray
    continuous: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def active(self) -> np.ndarray:
        """Which dimensions carry something, bool [D]; see `prior_distance.active`."""
        return prior_distance.active(self.codes)

    def blocks(self) -> dict[str, dict[str, slice]]:
        """What is scored, by name and columns: the "dimensions" "z_1[0]", ... and the "layers"."""
        dimensions = {
            f"{layer}[{column - columns.start}]": slice(column, column + 1)
            for layer, columns in self.layers.items()
            for column in range(columns.start, columns.stop)
        }
        return {"dimensions": dimensions, "layers": self.layers}


def factor_table(
    means: Latents, factors: Mapping[str, np.ndarray], most_rows: int, generator: Generator
) -> FactorTable:
    """Checks codes and factors, as `disentanglement` says, and draws the rows to work on."""
    means = latents.check(means)
    codes = latents.join(means).astype(np.float64)
    if len(codes) < FEWEST_ROWS:
        raise InputError(f"Disentanglement needs at least {FEWEST_ROWS} rows, not {len(codes)}.")
    if not np.isfinite(codes).all():
        raise InputError("The codes hold values that are not finite.")
    # A data set sorted by a factor would put one half of its values in train, the other in test.
    rows = generator.permutation(len(codes))[:most_rows]
    names, left_out, values, classes, continuous = [], [], [], [], []
    for name, column in factors.items():
        column = _checked(name, np.asarray(column), len(codes))[rows]
        is_continuous = column.dtype.kind == "f"
        binned = equal_width_bins(column[:, None])[:, 0] if is_continuous else column
        distinct, numbers = np.unique(binned, return_inverse=True)
        if len(distinct) == 1:
            left_out.append(name)
            continue
        if len(distinct) > MOST_CLASSES:
            raise InputError(
                f"Factor {name!r} has {len(distinct)} classes, more than {MOST_CLASSES}; pass a "
                "continuous factor as floats."
            )
        names.append(name)
        values.append(column if is_continuous else numbers)
        classes.append(numbers)
        continuous.append(is_continuous)
    if not names:
        raise InputError("Disentanglement needs a factor that varies; there is none.")
    edges = pairwise(np.cumsum([0, *latents.dimensions(means)]).tolist())
    layers = {name: slice(*ends) for name, ends in zip(means, edges, strict=True)}
    columns = np.stack(classes, axis=1)
    return FactorTable(codes[rows], layers, names, left_out, values, columns, np.array(continuous))


def equal_width_bins(columns: np.ndarray) -> np.ndarray:
    """Numbers 0 to 19 [n, m] of the bins of equal width between each column's least and largest
    value, both included. A column that does not vary is in one bin."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    return np.minimum((columns - low) / width * BINS, BINS - 1).astype(np.int64)


def top_two_gap(scores: np.ndarray, axis: int) -> np.ndarray:
    """The difference of the largest and the second largest along an axis with two or more."""
    largest = np.partition(scores, -2, axis=axis)
    return np.take(largest, -1, axis=axis) - np.take(largest, -2, axis=axis)


def _checked(name, values, rows):
    if values.shape != (rows,):
        raise InputError(
            f"Factor {name!r} has shape {list(values.shape)}; the codes have {rows} rows."
        )
    if values.dtype.kind not in "fiub":
        raise InputError(
            f"Factor {name!r} is {values.dtype}; a factor must be of floats (continuous), whole "
            "numbers or bools (classes)."
        )
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"Factor {name!r} holds values that are not finite.")
    return values
