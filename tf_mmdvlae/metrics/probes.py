"""What each layer knows: every label read from every layer by simple predictors.

The predictors are fitted on train and judged on test, by the measures of `label_scores`. A row
without a label is left out of fit and count, and a note says how many there were.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.labels import has_value
from tf_mmdvlae.metrics import label_scores
from tf_mmdvlae.metrics.estimates import unknown
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

NEIGHBOUR_TRAIN_ROWS = 20_000
# A share of fifteen takes sixteen values: too coarse to rank test images by an attribute that few
# of them have.
NEIGHBOURS = {"accuracy": 15, "auc": 50, "r2": 15}
_BOTH = dict.fromkeys(NEIGHBOURS, ("neighbours", "linear"))
_ONE = {"accuracy": ("neighbours",), "auc": ("linear",), "r2": ("linear",)}

Labels = dict[str, np.ndarray]
"""Label name -> [n], as in `data.labels`: classes, an attribute or a factor."""


def layer_knowledge(
    train_means: Latents,
    train_labels: Labels,
    test_means: Latents,
    test_labels: Labels,
    seed: int = 0,
    predictors: Mapping[str, Sequence[str]] = _BOTH,
) -> dict[str, dict[str, Any]]:
    """How well each of two predictors reads every label from each layer and from all joined.

    - neighbours: the nearest train codes by Euclidean distance, with one vote each: the majority's
      class among 15, the share of 50 that have the attribute, the mean factor of 15. They see any
      shape of dependence, given enough codes.
    - linear: multinomial logistic regression, logistic regression and linear regression on
      standardised codes; the logistic ones with scikit-learn's L2 penalty (C = 1).

    Neighbours are looked for among 20,000 train codes, drawn by the seed where there are more. The
    linear predictors are fitted on all. `predictors` can leave one out: it lists them by measure.

    Returns:
      label name -> {"measure": "accuracy", "auc" or "r2", "chance": what a guess without codes
      reaches, "neighbours": {"z_1", ..., "z_L", "all"} -> estimate, "linear": the same}. The count
      is that of test codes; those of attributes have the number of "positives" among them, and
      those of neighbours how many "neighbours" voted. What can't be judged (an attribute of one
      class, a factor of one value) is NaN.

    Raises:
      InputError: for a label in one of train and test only.
    """
    if latents.dimensions(train_means) != latents.dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    if one_only := sorted(set(train_labels) ^ set(test_labels)):
        raise InputError(f"These labels are in one of train and test only: {', '.join(one_only)}.")
    train_sets, train_labels = _layer_sets("train", train_means, train_labels)
    test_sets, test_labels = _layer_sets("test", test_means, test_labels)
    rows: slice | np.ndarray = slice(None)
    if (count := len(train_sets["all"])) > NEIGHBOUR_TRAIN_ROWS:
        generator = np.random.default_rng(seed)
        rows = np.sort(generator.choice(count, NEIGHBOUR_TRAIN_ROWS, replace=False))
    labels, drawn_labels, results = {}, {}, {}
    for name, train in train_labels.items():
        labels[name] = label = _Label(name, train, test_labels[name])
        drawn_labels[name] = _Label(name, train[rows], test_labels[name])
        results[name] = {"measure": label.measure, "chance": label.chance}
        results[name] |= {predictor: {} for predictor in predictors[label.measure]}
    # Hundreds of small fits: on cores that are busy with something else, threads that wait for each
    # other make them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        for layer, test_codes in test_sets.items():
            line = functools.partial(_predict_by_line, train_sets[layer], test_codes)
            neighbours = _Neighbours(train_sets[layer][rows], test_codes)
            for name, result in results.items():
                if "linear" in result:
                    result["linear"][layer] = labels[name].score(line)
                if "neighbours" in result:
                    label = drawn_labels[name]
                    voters = min(NEIGHBOURS[label.measure], len(label.train))
                    result["neighbours"][layer] = label.score(neighbours) | {"neighbours": voters}
    return results


def probe_layers(
    train_means: Latents, train_labels: Labels, test_means: Latents, test_labels: Labels
) -> dict[str, dict[str, Any]]:
    """`layer_knowledge` with "layers", the estimates of one predictor, in place of "neighbours" and
    "linear": neighbours for classes, linear for other labels."""
    arguments = train_means, train_labels, test_means, test_labels
    results = layer_knowledge(*arguments, predictors=_ONE)
    for result in results.values():
        (predictor,) = _ONE[result["measure"]]
        result["layers"] = result.pop(predictor)
    return results


def nearest_rows(train_codes: np.ndarray, test_codes: np.ndarray, count: int) -> np.ndarray:
    """The rows of the nearest train codes, nearest first: [m, count] (all if train has fewer)."""
    # A tree is quicker in few dimensions, and many times slower in ten.
    algorithm = "kd_tree" if train_codes.shape[1] <= 6 else "brute"
    search = NearestNeighbors(n_neighbors=min(count, len(train_codes)), algorithm=algorithm)
    return search.fit(train_codes).kneighbors(test_codes, return_distance=False)


def majority(votes: np.ndarray) -> np.ndarray:
    """The most frequent class in each row [m, votes]; the lowest of those that tie."""
    classes = np.unique(votes)
    counts = [np.sum(votes == label, axis=1) for label in classes]
    return classes[np.argmax(counts, axis=0)]


def check_codes(split: str, means: Latents, labels: Iterable[np.ndarray]) -> np.ndarray:
    """Checks the codes and labels of a split, which an InputError names, and joins the layers."""
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


def _layer_sets(split, means, labels):
    """The codes of {"z_1", ..., "z_L", "all"} in float64, and the labels as arrays."""
    labels = {name: np.asarray(values) for name, values in labels.items()}
    sets = {**latents.check(means), "all": check_codes(split, means, labels.values())}
    return {name: codes.astype(np.float64) for name, codes in sets.items()}, labels


class _Label:
    """A label's values in the rows that have it, and the score of their predictions."""

    def __init__(self, name, train, test):
        self.measure = label_scores.measure_for(name, train, test)
        self.train_rows, self.test_rows = map(has_value, (train, test))
        self.train, self.test = train[self.train_rows], test[self.test_rows]
        if self.measure == "auc":
            self.train, self.test = self.train.astype(bool), self.test.astype(bool)
        self.chance = label_scores.chance(self.measure, self.train, self.test)
        self._obstacle = label_scores.obstacle(self.measure, self.train, self.test)
        notes = [
            f"{np.sum(~rows)} of {len(rows)} {split} rows have no label and are left out"
            for split, rows in (("train", self.train_rows), ("test", self.test_rows))
            if not rows.all()
        ]
        self._note = "; ".join([*notes, self._obstacle] if self._obstacle else notes)

    def score(self, predict):
        """The estimate of a function from this label to predictions of `test`."""
        if self._obstacle:
            positives = {"positives": int(self.test.sum())} if self.measure == "auc" else {}
            return unknown(len(self.test), self._note, **positives)
        result = label_scores.SCORES[self.measure](predict(self), self.test)
        return result | ({"note": self._note} if self._note else {})


class _Neighbours:
    """Predicts labels from the nearest train codes; one search serves all that the same rows have.

    A label that some train rows lack has neighbours of its own, among the rows that have it.
    """

    def __init__(self, train_codes, test_codes):
        self._train_codes, self._test_codes = train_codes, test_codes
        self._nearest = {}

    def __call__(self, label):
        key = label.train_rows.tobytes()
        if key not in self._nearest:
            train_codes = self._train_codes[label.train_rows]
            most = max(NEIGHBOURS.values())
            self._nearest[key] = nearest_rows(train_codes, self._test_codes, most)
        votes = label.train[self._nearest[key][label.test_rows, : NEIGHBOURS[label.measure]]]
        return majority(votes) if label.measure == "accuracy" else votes.mean(axis=1, dtype=float)


def _predict_by_line(train_codes, test_codes, label):
    train_codes, test_codes = train_codes[label.train_rows], test_codes[label.test_rows]
    if label.measure == "accuracy" and np.all(label.train == label.train[0]):
        return np.full(len(test_codes), label.train[0])
    centre, scale = train_codes.mean(axis=0), train_codes.std(axis=0)
    # A dimension that does not vary says nothing: dividing by one leaves it at zero.
    scale = np.where(scale > 0, scale, 1.0)
    train_codes, test_codes = (train_codes - centre) / scale, (test_codes - centre) / scale
    if label.measure == "r2":
        line = LinearRegression().fit(train_codes, label.train.astype(np.float64))
        return line.predict(test_codes)
    # Many codes of few dimensions: Newton's method takes a handful of steps where the default takes
    # a hundred.
    line = LogisticRegression(solver="newton-cholesky").fit(train_codes, label.train)
    scores = line.predict if label.measure == "accuracy" else line.decision_function
    return scores(test_codes)
