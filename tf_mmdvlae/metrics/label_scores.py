"""How well predictions match a label: accuracy, area under the ROC curve, or R^2.

The label's kind decides (see `data.labels`, which also says which rows have no value): classes have
an "accuracy", attributes an "auc", factors an "r2".
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.labels import kind_of
from tf_mmdvlae.metrics.estimates import Estimate, estimate, share


def measure_for(name: str, train: np.ndarray, test: np.ndarray) -> str:
    """What a label is judged by: "accuracy", "auc" or "r2"."""
    kinds = {kind_of(train), kind_of(test)}
    for measure, kind in (("auc", "attribute"), ("accuracy", "class"), ("r2", "factor")):
        if kinds == {kind}:
            return measure
    raise InputError(
        f"Label {name!r} is {train.dtype} in train and {test.dtype} in test; a label must be of "
        "whole numbers (classes), bools (attributes) or floats (factors), the same in both."
    )


def chance(measure: str, train: np.ndarray, test: np.ndarray) -> float:
    """What a guess without codes reaches: accuracy of train's most frequent class; 0.5; 0.

    The labels are complete; without any the accuracy is NaN.
    """
    if measure != "accuracy":
        return {"auc": 0.5, "r2": 0.0}[measure]
    if not (len(train) and len(test)):
        return float("nan")
    classes, counts = np.unique(train, return_counts=True)
    return float(np.mean(test == classes[np.argmax(counts)]))


def obstacle(measure: str, train: np.ndarray, test: np.ndarray) -> str:
    """Why a measure says nothing about complete labels; "" where it does."""
    for split, values in (("train", train), ("test", test)):
        if not len(values):
            return f"no row with a label in {split}"
        if measure == "auc" and (values.all() or not values.any()):
            return f"one class only in {split}: no area under the curve"
    if measure == "r2" and np.all(test == test[0]):
        return "one value only in test: no variance to explain"
    return ""


def accuracy(predicted: np.ndarray, classes: np.ndarray) -> Estimate:
    """The share of predicted classes [n] that are right, with the binomial standard error."""
    return share(predicted == classes)


def area_under_curve(scores: np.ndarray, attribute: np.ndarray) -> Estimate:
    """The chance that a row with the attribute (bool [n]) has a higher score than one without.

    This is the area under the ROC curve, and half of the ties count (Mann and Whitney 1947). Some
    rows must have the attribute, the "positives" of the estimate, and some not.
    """
    # Ranks are many times quicker than the curve, and there are hundreds of areas.
    positives = int(attribute.sum())
    negatives = len(attribute) - positives
    above = rankdata(scores)[attribute].sum() - positives * (positives + 1) / 2
    area = above / (positives * negatives)
    error = auc_standard_error(area, positives, negatives)
    return estimate(area, error, len(attribute), positives=positives)


def auc_standard_error(area: float, positives: int, negatives: int) -> float:
    """Standard error of an area under the ROC curve: Hanley and McNeil 1982.

    sqrt((A (1 - A) + (p - 1) (Q1 - A^2) + (n - 1) (Q2 - A^2)) / (p n)) with Q1 = A / (2 - A) and
    Q2 = 2 A^2 / (1 + A), for p positives and n negatives.
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (positives - 1) * (first - area**2)
        + (negatives - 1) * (second - area**2)
    ) / (positives * negatives)
    # At an area of one, rounding can leave a variance of minus 1e-18.
    return float(np.sqrt(max(variance, 0.0)))


def r_squared(predicted: np.ndarray, values: np.ndarray) -> Estimate:
    """The share of a factor's variance that a prediction explains.

    R^2 = 1 - sum (y - f)^2 / sum (y - mean y)^2: 1 is perfect, 0 is what the mean alone gives, and
    below 0 is worse than that. It is one minus the ratio of the means of e = (y - f)^2 and of
    s = (y - mean y)^2; the standard error is that ratio's by the delta method, with the prediction
    taken as given: deviation(e - (1 - R^2) s) / (sqrt(n) mean s). The values y must not be all
    equal.
    """
    values = values.astype(np.float64)
    errors = np.square(values - predicted)
    spread = np.square(values - values.mean())
    unexplained = errors.mean() / spread.mean()
    error = np.std(errors - unexplained * spread) / (np.sqrt(len(values)) * spread.mean())
    return estimate(1 - unexplained, error, len(values))


SCORES = {"accuracy": accuracy, "auc": area_under_curve, "r2": r_squared}
