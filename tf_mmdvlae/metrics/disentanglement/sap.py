"""SAP: how far the best single predictor of a factor is ahead of the second best."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from tf_mmdvlae.metrics.disentanglement.factor_table import FactorTable, top_two_gap
from tf_mmdvlae.metrics.estimates import Estimate, bootstrap, bootstrap_weights, unknown

DRAWS = 40


def separated_predictability(
    table: FactorTable, generator: np.random.Generator
) -> dict[str, dict[str, Estimate]]:
    """The separated attribute predictability score of dimensions and of layers.

    SAP (Kumar et al. 2018, arXiv 1711.00848) is the mean over factors of the gap between the two
    that predict it best. A continuous factor: the squared correlation with a linear regression. A
    class: the balanced accuracy (mean over classes of the share that was right) of a linear
    classifier that gives all classes the same weight, which in one dimension sets thresholds. The
    predictors are fitted on one half of the rows and judged on the other, over which the bootstrap
    draws. What does not vary predicts nothing: 0, or 1 / classes. The scores, "sap", have the
    "ceiling" that a perfect code reaches: the mean over factors of 1, or 1 - 1 / classes.
    """
    half = len(table) // 2
    count = len(table) - half
    weights = np.vstack([np.ones(count), bootstrap_weights(count, DRAWS, generator)])
    kinds = zip(table.classes.T, table.continuous, strict=True)
    ceiling = np.mean([1.0 if line else 1 - 1 / (column.max() + 1) for column, line in kinds])
    result = {}
    for kind, blocks in table.blocks().items():
        if len(blocks) < 2:
            result[kind] = {"sap": unknown(count, "one only: no gap to a second")}
            continue
        scores = np.stack(
            [_scores(table.codes[:, part], table, half, weights) for part in blocks.values()]
        )
        value, *draws = top_two_gap(scores, axis=0).mean(axis=-1)
        result[kind] = {"sap": bootstrap(value, draws, count, ceiling=float(ceiling))}
    return result


def squared_correlations(
    predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The squared correlation of [n] with [n] in the same unit, under each of the weights [S, n]:
    [S], 0 where one of the two does not vary."""
    total = weights.sum(axis=1)
    # Far from zero, a difference of mean squares would be rounding only.
    predicted, truth = predicted - predicted.mean(), truth - truth.mean()
    first, second = weights @ predicted / total, weights @ truth / total
    covariance = weights @ (predicted * truth) / total - first * second
    of_predicted = weights @ predicted**2 / total - first**2
    of_truth = weights @ truth**2 / total - second**2
    varies = np.minimum(of_predicted, of_truth) > 1e-18 * truth.var()
    return np.where(varies, covariance**2 / np.where(varies, of_predicted * of_truth, 1.0), 0.0)


def balanced_accuracies(
    predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The mean over the classes of `truth` [n] of the share that `predicted` [n] has right, under
    each of the weights [S, n]: [S]. A class that has no weight does not count."""
    members = np.eye(truth.max() + 1)[truth]
    sizes = weights @ members
    right = weights @ (members * (predicted == truth)[:, None])
    present = sizes > 0
    shares = np.where(present, right / np.where(present, sizes, 1.0), 0.0)
    return shares.sum(axis=1) / present.sum(axis=1)


def _scores(codes, table, half, weights):
    """How well a block of columns predicts each factor: [S, F]."""
    codes = StandardScaler().fit(codes[:half]).transform(codes)
    train, test = codes[:half], codes[half:]
    scores = []
    for values, continuous in zip(table.values, table.continuous, strict=True):
        if continuous:
            predicted = LinearRegression().fit(train, values[:half]).predict(test)
            scores.append(squared_correlations(predicted, values[half:], weights))
            continue
        predicted = np.full(len(test), values[0])
        if len(np.unique(values[:half])) > 1:
            probe = LogisticRegression(class_weight="balanced", tol=1e-3, max_iter=500)
            predicted = probe.fit(train, values[:half]).predict(test)
        scores.append(balanced_accuracies(predicted, values[half:], weights))
    return np.stack(scores, axis=-1)
