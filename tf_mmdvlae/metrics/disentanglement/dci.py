"""DCI: which dimensions a tree ensemble uses to read the factors from the codes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import entr
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from tf_mmdvlae.metrics.disentanglement.factor_table import FactorTable
from tf_mmdvlae.metrics.estimates import Estimate, estimate, unknown

MOST_ROWS = 4_000
TREES = 25
LEAF = 10
PARTS = 6
FEWEST_ROWS_A_PART = 50


def importance_scores(table: FactorTable, seed: int) -> dict[str, dict[str, Estimate]]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018, ICLR).

    For each factor an ensemble of extremely randomised trees is fitted on one half of the rows (at
    most 4,000 rows in all). Its impurity-based importances of the dimensions, which add up to one,
    are a column of R [D, F]. A layer's importance is the sum over its dimensions.

    - Disentanglement: the mean over dimensions j, weighted by sum_f R_jf, of one less the entropy
      to base F of R_jf / sum_f R_jf: 1 where each dimension serves one factor.
    - Completeness: the mean over factors f of one less the entropy to base D of R_jf: 1 where each
      factor is read from one dimension.
    - Informativeness: the mean over factors of the share of a guess's error that the ensemble saves
      on the other half, not below 0: of the squared error of the mean for a continuous factor (so
      R^2), of the errors of always naming the most frequent class for classes. It is one number for
      all codes together.

    A layer that holds several factors lowers the disentanglement of layers, however cleanly. The
    scores are "dci_disentanglement", "dci_completeness" and "dci_informativeness". The standard
    error is the deviation of the same score between "parts" = 6 disjoint parts of the rows, over
    sqrt(6); it is NaN below 600 rows.
    """
    count = min(len(table), MOST_ROWS)
    half = count // 2
    whole = _scores(table, slice(half), slice(half, count), seed)
    parts = []
    if half // PARTS >= FEWEST_ROWS_A_PART:
        ends = np.linspace(0, half, PARTS + 1).astype(int).tolist()
        parts = [
            _scores(table, slice(low, high), slice(half + low, half + high), seed)
            for low, high in pairwise(ends)
        ]
    return {
        kind: {
            name: _estimate(value, [part[kind][name] for part in parts], count)
            for name, value in scores.items()
        }
        for kind, scores in whole.items()
    }


def disentanglement_of(importances: np.ndarray) -> float:
    """The weighted mean over rows of one less the entropy along a row of R [D, F], base F."""
    return float(_concentrations(importances.T) @ _shares(importances.sum(axis=1)))


def completeness_of(importances: np.ndarray) -> float:
    """The mean over columns of one less the entropy along a column of R [D, F], base D."""
    return float(_concentrations(importances).mean())


def _estimate(value, values_of_parts, count):
    if np.isnan(value):
        return unknown(count, "one only: nothing to spread over")
    parts = len(values_of_parts)
    if not parts:
        return estimate(value, np.nan, count, "too few rows to part: no standard error", parts=0)
    error = np.std(values_of_parts, ddof=1) / np.sqrt(PARTS)
    return estimate(value, error, count, parts=parts)


def _concentrations(columns):
    if len(columns) < 2:
        return np.full(columns.shape[1], np.nan)
    return 1 - entr(_shares(columns)).sum(axis=0) / np.log(len(columns))


def _shares(columns):
    """Columns that add up to one; where all is zero, nothing is more important than the rest."""
    total = columns.sum(axis=0)
    return np.where(total > 0, columns / np.where(total > 0, total, 1.0), 1 / len(columns))


def _scores(table, train, test, seed):
    importances, informed = [], []
    for values, continuous in zip(table.values, table.continuous, strict=True):
        kind = ExtraTreesRegressor if continuous else ExtraTreesClassifier
        # All dimensions are tried at each split: fewer would spread importance over those that
        # only stand in for the one that was not drawn.
        trees = kind(TREES, min_samples_leaf=LEAF, max_features=1.0, random_state=seed)
        trees.fit(table.codes[train], values[train])
        # Rounding leaves an importance of minus 1e-18 here and there.
        importances.append(np.maximum(trees.feature_importances_, 0.0))
        predicted = trees.predict(table.codes[test])
        informed.append(_saved_error(predicted, values[train], values[test], continuous))
    importances = np.stack(importances, axis=1)
    layers = np.stack([importances[part].sum(axis=0) for part in table.layers.values()])
    result = {}
    for kind, matrix in (("dimensions", importances), ("layers", layers)):
        result[kind] = {"dci_disentanglement": disentanglement_of(matrix)}
        result[kind]["dci_completeness"] = completeness_of(matrix)
    result["dimensions"]["dci_informativeness"] = float(np.mean(informed))
    return result


def _saved_error(predicted, train, test, continuous):
    """The share of a guess's error that a prediction saves, a guess knowing train's values only."""
    if continuous:
        error, guessed = np.square(test - predicted).sum(), np.square(test - train.mean()).sum()
    else:
        error, guessed = np.sum(test != predicted), np.sum(test != np.bincount(train).argmax())
    return max(0.0, 1 - error / guessed) if guessed > 0 else 0.0
