"""What each layer knows: every label read from every layer by simple predictors.

The predictors are fitted on train and judged on test, by the measures of `label_scores`. A row
without a label is left out of fit and count, and a note says how many were; where that leaves train
or test no row, the value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import label_scores
from tf_mmdvlae.metrics.estimates import Estimate, unknown
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

NEIGHBOUR_TRAIN_ROWS = 20_000
# A share of fifteen takes sixteen values: too coarse to rank test images by an attribute that few
# of them have.
NEIGHBOURS = {"accuracy": 15, "auc": 50, "r2": 15}
_BOTH = dict.fromkeys(NEIGHBOURS, ("neighbours", "linear"))
_ONE = {"accuracy": ("neighbours",), "auc": ("linear",), "r2": ("linear",)}

Labels = dict[str, np.ndarray]
"""Label name -> [n]: whole numbers (classes), bools (an attribute) or floats (a factor)."""


def layer_knowledge(
    train_means: Latents,
    train_labels: Labels,
    test_means: Latents,
    test_labels: Labels,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """How well each of two predictors reads every label from each layer and from all joined.

    - neighbours: the nearest train codes by Euclidean distance, with one vote each: the majority's
      class among 15, the share of 50 that have the attribute, the mean factor of 15. They see any
      shape of dependence, given enough codes.
    - linear: multinomial logistic regression, logistic regression and linear regression on
      standardised codes; the logistic ones with scikit-learn's L2 penalty (C = 1).

    Args:
      train_means, test_means: posterior means [n, d_l] and [m, d_l].
      train_labels, test_labels: [n] and [m], with the same names in both.
      seed: of the draw of 20,000 train codes among which neighbours are looked for, where there
        are more. The linear predictors are fitted on all.

    Returns:
      label name -> {"measure": "accuracy", "auc" or "r2", "chance": what a guess without codes
      reaches, "neighbours": {"z_1", ..., "z_L", "all"} -> estimate, "linear": the same}. The count
      is that of test codes; those of attributes have the number of "positives" among them, and
      those of neighbours how many "neighbours" voted. What can't be judged (an attribute of one
      class, a factor of one value) is NaN, and a "note" says why.

    Raises:
      InputError: for layers, label names, types or numbers of rows that do not match, no rows, or
        codes that are not finite.
    """
    return _knowledge(train_means, train_labels, test_means, test_labels, seed, _BOTH)


def probe_layers(
    train_means: Latents,
    train_labels: Labels,
    test_means: Latents,
    test_labels: Labels,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """`layer_knowledge` by one predictor: neighbours for classes, linear for other labels.

    Args:
      train_means, train_labels, test_means, test_labels, seed: as in `layer_knowledge`.

    Returns:
      label name -> {"measure", "chance", "layers": {"z_1", ..., "z_L", "all"} -> estimate}, with
      the numbers of `layer_knowledge`.

    Raises:
      InputError: as `layer_knowledge`.
    """
    results = _knowledge(train_means, train_labels, test_means, test_labels, seed, _ONE)
    for result in results.values():
        (predictor,) = _ONE[result["measure"]]
        result["layers"] = result.pop(predictor)
    return results


def score_predictor(
    measure: str,
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
) -> Estimate:
    """How well one predictor reads one label, from the rows that have it.

    Args:
      measure: "accuracy", "auc" or "r2".
      predict: (train codes, train labels, test codes) -> for each test code its class, a score
        that is larger where the attribute is likelier, or the factor.
      train_codes, test_codes: [n, d], [m, d].
      train_labels, test_labels: [n], [m].

    Returns:
      The estimate of the measure; see `label_scores`.
    """
    train_codes, train, train_notes = _labelled("train", train_codes, train_labels)
    test_codes, test, test_notes = _labelled("test", test_codes, test_labels)
    notes, others = train_notes + test_notes, {}
    if measure == "auc":
        train, test = train.astype(bool), test.astype(bool)
        others["positives"] = int(test.sum())
    if len(train) and len(test):
        obstacle = label_scores.obstacle(measure, train, test)
        if not obstacle:
            result = label_scores.SCORES[measure](predict(train_codes, train, test_codes), test)
            return result | ({"note": "; ".join(notes)} if notes else {})
        notes.append(obstacle)
    return unknown(len(test), "; ".join(notes), **others)


def nearest_rows(train_codes: np.ndarray, test_codes: np.ndarray, count: int) -> np.ndarray:
    """The rows of the nearest train codes, nearest first: [m, count] (all if train has fewer)."""
    # A tree is quicker in few dimensions, and many times slower in ten.
    algorithm = "kd_tree" if train_codes.shape[1] <= 6 else "brute"
    search = NearestNeighbors(n_neighbors=min(count, len(train_codes)), algorithm=algorithm)
    return search.fit(train_codes).kneighbors(test_codes, return_distance=False)


def majority(votes: np.ndarray) -> np.ndarray:
    """The most frequent class in each row [m, votes]; the lowest of those that tie."""
    classes, votes = np.unique(votes, return_inverse=True)
    counts = np.zeros((len(votes), len(classes)), int)
    np.add.at(counts, (np.arange(len(votes))[:, None], votes), 1)
    return classes[np.argmax(counts, axis=1)]


def check_codes(split: str, means: Latents, labels: Iterable[np.ndarray]) -> np.ndarray:
    """Checks the codes and labels of a split, and gives the codes of all layers joined [n, D].

    Raises:
      InputError: for no rows, codes that are not finite, or labels that are not one per code; the
        message names the split.
    """
    codes = latents.join(means)
    for values in labels:
        if values.shape != codes.shape[:1]:
            raise InputError(
                f"There are {len(codes)} {split} codes and labels of shape {list(values.shape)}; "
                "each code needs one label."
            )
    if not len(codes):
        raise InputError(f"There are no {split} codes.")
    if not np.isfinite(codes).all():
        raise InputError(f"The {split} codes hold values that are not finite.")
    return codes


def _knowledge(train_means, train_labels, test_means, test_labels, seed, predictors):
    """The result of `layer_knowledge`, by those predictors that `predictors` lists per measure."""
    if latents.dimensions(train_means) != latents.dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    if one_only := sorted(set(train_labels) ^ set(test_labels)):
        raise InputError(f"These labels are in one of train and test only: {', '.join(one_only)}.")
    train_sets, train_labels = _layer_sets("train", train_means, train_labels)
    test_sets, test_labels = _layer_sets("test", test_means, test_labels)
    results = {}
    for name, train in train_labels.items():
        measure = label_scores.measure_for(name, train, test_labels[name])
        guess = label_scores.chance(measure, train, test_labels[name])
        results[name] = {"measure": measure, "chance": guess}
        results[name] |= {predictor: {} for predictor in predictors[measure]}
    rows = slice(None)
    if (count := len(train_sets["all"])) > NEIGHBOUR_TRAIN_ROWS:
        generator = np.random.default_rng(seed)
        rows = np.sort(generator.choice(count, NEIGHBOUR_TRAIN_ROWS, replace=False))
    # Hundreds of small fits: on cores that are busy with something else, threads that wait for each
    # other make them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        for layer, test_codes in test_sets.items():
            train_codes = train_sets[layer]
            neighbourhood = _Neighbourhood(train_codes[rows], test_codes)
            for name, result in results.items():
                train, test = train_labels[name], test_labels[name]
                measure = result["measure"]
                if "linear" in result:
                    result["linear"][layer] = score_predictor(
                        measure, LINEAR[measure], train_codes, train, test_codes, test
                    )
                if "neighbours" in result:
                    result["neighbours"][layer] = neighbourhood.score(measure, train[rows], test)
    return results


def _layer_sets(split, means, labels):
    """The codes of {"z_1", ..., "z_L", "all"} in float64, and the labels as arrays."""
    labels = {name: np.asarray(values) for name, values in labels.items()}
    sets = {**latents.check(means), "all": check_codes(split, means, labels.values())}
    return {name: codes.astype(np.float64) for name, codes in sets.items()}, labels


class _Neighbourhood:
    """Which train codes are nearest to each test code, found once for all labels.

    A label that some train rows lack has neighbours of its own, among the rows that have it.
    """

    def __init__(self, train_codes, test_codes):
        self._codes = train_codes, test_codes
        self._nearest = {}

    def score(self, measure, train_labels, test_labels):
        """The neighbours' estimate of one label."""
        count = NEIGHBOURS[measure]
        train_has, test_has = map(label_scores.has_label, (train_labels, test_labels))

        def predict(train_codes, train_labels, test_codes):
            votes = train_labels[self._rows(train_has)[test_has, :count]]
            return majority(votes) if measure == "accuracy" else votes.mean(axis=1, dtype=float)

        train_codes, test_codes = self._codes
        result = score_predictor(
            measure, predict, train_codes, train_labels, test_codes, test_labels
        )
        return result | {"neighbours": min(count, int(train_has.sum()))}

    def _rows(self, train_has):
        key = train_has.tobytes()
        if key not in self._nearest:
            train_codes, test_codes = self._codes
            most = max(NEIGHBOURS.values())
            self._nearest[key] = nearest_rows(train_codes[train_has], test_codes, most)
        return self._nearest[key]


def _labelled(split, codes, labels):
    """The codes and labels of the rows that have a label, and a list of notes on the others."""
    has = label_scores.has_label(labels)
    if has.all():
        return codes, labels, []
    lost = f"{len(labels) - has.sum()} of {len(labels)}"
    return codes[has], labels[has], [f"{lost} {split} rows have no label and are left out"]


def _linear_classes(train_codes, train_labels, test_codes):
    if len(np.unique(train_labels)) == 1:
        return np.full(len(test_codes), train_labels[0])
    train_codes, test_codes = _standardised(train_codes, test_codes)
    return _logistic(train_codes, train_labels).predict(test_codes)


def _linear_scores(train_codes, train_attribute, test_codes):
    train_codes, test_codes = _standardised(train_codes, test_codes)
    return _logistic(train_codes, train_attribute).decision_function(test_codes)


def _linear_values(train_codes, train_values, test_codes):
    train_codes, test_codes = _standardised(train_codes, test_codes)
    line = LinearRegression().fit(train_codes, train_values.astype(np.float64))
    return line.predict(test_codes)


LINEAR = {"accuracy": _linear_classes, "auc": _linear_scores, "r2": _linear_values}


def _logistic(codes, labels):
    # Many codes of few dimensions: Newton's method takes a handful of steps where the default takes
    # a hundred.
    return LogisticRegression(solver="newton-cholesky").fit(codes, labels)


def _standardised(train_codes, test_codes):
    centre, scale = train_codes.mean(axis=0), train_codes.std(axis=0)
    # A dimension that does not vary says nothing: dividing by one leaves it at zero.
    scale = np.where(scale > 0, scale, 1.0)
    return (train_codes - centre) / scale, (test_codes - centre) / scale
