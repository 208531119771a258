"""What a layer's codes say about a label: simple predictors fitted on train, judged on test.

A row whose label is not finite has none: it is left out of fit and count, and a "note" says how
many were. Where that leaves train or test no row, the value is NaN.
"""

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents

NEIGHBOUR_TRAIN_ROWS = 20_000


def nearest_neighbour_accuracy(train_codes, train_labels, test_codes, test_labels, neighbours=15):
    """How often the majority of the nearest train codes has the test code's class.

    Euclidean distance, each neighbour one vote.

    Args:
      train_codes, test_codes: [n, d], [m, d].
      train_labels, test_labels: classes as whole numbers [n], [m].
      neighbours: how many vote; all of them where train has fewer.

    Returns:
      {"value", "standard_error", "count", "neighbours"}: the share that was right, in [0, 1], its
      binomial standard error sqrt(p (1 - p) / m), the number m of test codes, and how many voted.

    Raises:
      InputError: for shapes that do not match, no rows, or codes that are not finite.
    """

    def predict(train_codes, train_labels, test_codes):
        return majority(train_labels[nearest_rows(train_codes, test_codes, neighbours)])

    result = judged("accuracy", predict, train_codes, train_labels, test_codes, test_labels)
    return result | {"neighbours": min(neighbours, int(has_label(train_labels).sum()))}


def logistic_auc(train_codes, train_attr, test_codes, test_attr):
    """Area under the ROC curve of a logistic regression on standardised codes.

    The area is the chance that a test image with the attribute scores higher than one without.

    Args:
      train_codes, test_codes: [n, d], [m, d].
      train_attr, test_attr: the attribute as bool [n], [m].

    Returns:
      {"value", "standard_error", "count", "positives"}: the area in [0, 1], its standard error
      after Hanley and McNeil 1982 (see `auc_standard_error`), the number of test codes, and how
      many of them have the attribute. Where train or test has one class only, value and standard
      error are NaN and a "note" says so.

    Raises:
      InputError: for shapes that do not match, no rows, or codes that are not finite.
    """
    return judged("auc", LINEAR["auc"], train_codes, train_attr, test_codes, test_attr)


def auc_standard_error(area, positives, negatives):
    """Standard error of an area under the ROC curve: Hanley and McNeil 1982.

    sqrt((A (1 - A) + (p - 1) (Q1 - A^2) + (n - 1) (Q2 - A^2)) / (p n)) with Q1 = A / (2 - A) and
    Q2 = 2 A^2 / (1 + A), for p positives and n negatives.
    """
    first = area / (2 - area)
    second = 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (positives - 1) * (first - area**2)
        + (negatives - 1) * (second - area**2)
    ) / (positives * negatives)
    # At an area of one, rounding can leave a variance of minus 1e-18.
    return float(np.sqrt(max(variance, 0.0)))


def linear_r2(train_codes, train_values, test_codes, test_values):
    """Share of a factor's variance that a linear regression on the codes explains.

    R^2 = 1 - sum (y - f)^2 / sum (y - mean y)^2 over test, with f fitted on train: 1 is perfect,
    0 is what the mean alone gives, and below 0 is worse than that.

    Args:
      train_codes, test_codes: [n, d], [m, d].
      train_values, test_values: the factor [n], [m], in any unit.

    Returns:
      {"value", "standard_error", "count"}: R^2, its standard error and the number of test codes.
      R^2 is one minus a ratio of two means over test, of e = (y - f)^2 and of s = (y - mean y)^2,
      and the standard error is that ratio's by the delta method, the fit taken as given:
      deviation(e - (1 - R^2) s) / (sqrt(m) mean s). Where the factor does not vary over test,
      value and standard error are NaN and a "note" says so.

    Raises:
      InputError: for shapes that do not match, no rows, or codes that are not finite.
    """
    return judged("r2", LINEAR["r2"], train_codes, train_values, test_codes, test_values)


def probe_layers(train_means, train_labels, test_means, test_labels):
    """Every label from each layer alone and from all layers joined.

    A label of whole numbers is a class (`nearest_neighbour_accuracy`, with at most the first
    20,000 train codes), one of bools an attribute (`logistic_auc`), one of floats a factor
    (`linear_r2`).

    Args:
      train_means, test_means: posterior means, latent dicts [n, d_l] and [m, d_l].
      train_labels, test_labels: label name -> array [n] and [m]; both have the same names.

    Returns:
      label name -> {"measure": "accuracy", "auc" or "r2", "chance": what a guess without codes
      gives (accuracy of train's most frequent class on test; 0.5; 0), "layers": {"z_1", ...,
      "z_L", "all"} -> the probe's result}.

    Raises:
      InputError: for layers, label names, types or numbers of rows that do not match.
    """
    train_sets, test_sets = layer_sets(train_means, train_labels, test_means, test_labels)
    results = {}
    # Hundreds of small fits: on cores that are busy with something else, threads that wait for each
    # other make them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        for name in train_labels:
            train, test = np.asarray(train_labels[name]), np.asarray(test_labels[name])
            measure = measure_for(name, train, test)
            probe, rows = _PROBES[measure]
            results[name] = {
                "measure": measure,
                "chance": chance(measure, train, test),
                "layers": {
                    layer: probe(codes[:rows], train[:rows], test_sets[layer], test)
                    for layer, codes in train_sets.items()
                },
            }
    return results


_PROBES = {
    "accuracy": (nearest_neighbour_accuracy, NEIGHBOUR_TRAIN_ROWS),
    "auc": (logistic_auc, None),
    "r2": (linear_r2, None),
}


def layer_sets(train_means, train_labels, test_means, test_labels):
    """The codes of each layer and of all joined: {"z_1", ..., "z_L", "all"} of train and of test.

    Raises:
      InputError: where train and test have different layers or label names.
    """
    train_means, test_means = latents.check(train_means), latents.check(test_means)
    if latents.dimensions(train_means) != latents.dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    if set(train_labels) != set(test_labels):
        one_only = ", ".join(sorted(set(train_labels) ^ set(test_labels)))
        raise InputError(f"These labels are in one of train and test only: {one_only}.")
    return tuple({**means, "all": latents.join(means)} for means in (train_means, test_means))


def measure_for(name, train, test):
    """What a label is judged by: "auc" for bools, "accuracy" for whole numbers, "r2" for floats.

    Raises:
      InputError: for labels of another type, or of different ones in train and test.
    """
    kinds = {train.dtype.kind, test.dtype.kind}
    if kinds == {"b"}:
        return "auc"
    if kinds <= {"i", "u"}:
        return "accuracy"
    if kinds == {"f"}:
        return "r2"
    raise InputError(
        f"Label {name!r} is {train.dtype} in train and {test.dtype} in test; a label must be of "
        "whole numbers (classes), bools (attributes) or floats (factors), the same in both."
    )


def chance(measure, train, test):
    """What a guess without codes gives: accuracy of train's most frequent class; 0.5; 0."""
    if measure != "accuracy":
        return {"auc": 0.5, "r2": 0.0}[measure]
    classes, counts = np.unique(train, return_counts=True)
    return float(np.mean(test == classes[np.argmax(counts)]))


def judged(measure, predict, train_codes, train_labels, test_codes, test_labels):
    """One predictor's result, from the rows that have a label.

    Args:
      measure: "accuracy", "auc" or "r2".
      predict: (train codes, train labels, test codes) -> for each test code its class, a score
        that is larger where the attribute is likelier, or the factor.
      train_codes, test_codes: [n, d], [m, d].
      train_labels, test_labels: [n], [m].

    Returns:
      {"value", "standard_error", "count"}, and for "auc" "positives", as those three measures'
      probes say (`nearest_neighbour_accuracy`, `logistic_auc` and `linear_r2`).

    Raises:
      InputError: for shapes that do not match, no rows, or codes that are not finite.
    """
    train_codes, train, train_notes = _cases("train", train_codes, train_labels)
    test_codes, test, test_notes = _cases("test", test_codes, test_labels)
    notes = train_notes + test_notes
    value, error = float("nan"), float("nan")
    others = {"count": len(test)}
    if measure == "auc":
        train, test = train.astype(bool), test.astype(bool)
        others["positives"] = int(test.sum())
    if len(train) and len(test):
        if hindrances := _hindrances(measure, train, test):
            notes += hindrances
        else:
            value, error = _SCORES[measure](predict(train_codes, train, test_codes), test)
    result = {"value": float(value), "standard_error": float(error), **others}
    return result | ({"note": "; ".join(notes)} if notes else {})


def has_label(labels):
    """Which rows have a label, bool [n]: those where it is finite."""
    labels = np.asarray(labels)
    return np.isfinite(labels) if labels.dtype.kind == "f" else np.ones(labels.shape, bool)


def nearest_rows(train_codes, test_codes, count):
    """The rows of the nearest train codes, nearest first: [m, count] (all if train has fewer)."""
    # A tree is quicker in few dimensions, and many times slower in ten.
    algorithm = "kd_tree" if train_codes.shape[1] <= 6 else "brute"
    search = NearestNeighbors(n_neighbors=min(count, len(train_codes)), algorithm=algorithm)
    return search.fit(train_codes).kneighbors(test_codes, return_distance=False)


def majority(votes):
    """The most frequent class in each row [m, votes]; the lowest of those that tie."""
    classes, votes = np.unique(votes, return_inverse=True)
    counts = np.zeros((len(votes), len(classes)), int)
    np.add.at(counts, (np.arange(len(votes))[:, None], votes), 1)
    return classes[np.argmax(counts, axis=1)]


def _linear_classes(train_codes, train_labels, test_codes):
    if len(np.unique(train_labels)) == 1:
        return np.full(len(test_codes), train_labels[0])
    train_codes, test_codes = _standardised(train_codes, test_codes)
    return _logistic(train_codes, train_labels).predict(test_codes)


def _linear_scores(train_codes, train_attr, test_codes):
    train_codes, test_codes = _standardised(train_codes, test_codes)
    return _logistic(train_codes, train_attr).decision_function(test_codes)


def _linear_values(train_codes, train_values, test_codes):
    train_codes, test_codes = _standardised(train_codes, test_codes)
    probe = LinearRegression().fit(train_codes, train_values.astype(np.float64))
    return probe.predict(test_codes)


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


def _accuracy(predicted, classes):
    accuracy = np.mean(predicted == classes)
    return accuracy, np.sqrt(accuracy * (1 - accuracy) / len(classes))


def _area(scores, attribute):
    # By ranks, those that tie sharing theirs (Mann and Whitney 1947): many times quicker than from
    # the curve, and there are hundreds of areas.
    positives = int(attribute.sum())
    negatives = len(attribute) - positives
    above = rankdata(scores)[attribute].sum() - positives * (positives + 1) / 2
    area = above / (positives * negatives)
    return area, auc_standard_error(area, positives, negatives)


def _r2(predicted, values):
    values = np.asarray(values, np.float64)
    errors = np.square(values - predicted)
    spread = np.square(values - values.mean())
    unexplained = errors.mean() / spread.mean()
    error = np.std(errors - unexplained * spread) / (np.sqrt(len(values)) * spread.mean())
    return 1 - unexplained, error


_SCORES = {"accuracy": _accuracy, "auc": _area, "r2": _r2}


def _hindrances(measure, train, test):
    """Why these labels cannot be judged: a list of at most one reason."""
    if measure == "auc":
        for split, attribute in (("train", train), ("test", test)):
            if attribute.all() or not attribute.any():
                return [f"one class only in {split}: no area under the curve"]
    if measure == "r2" and np.all(test == test[0]):
        return ["one value only in test: no variance to explain"]
    return []


def _cases(split, codes, labels):
    """The codes and labels of the rows that have a label, and a list of notes on the others."""
    codes, labels = np.asarray(codes, np.float64), np.asarray(labels)
    if codes.ndim != 2 or labels.shape != codes.shape[:1]:
        raise InputError(
            f"The {split} codes have shape {list(codes.shape)} and their labels "
            f"{list(labels.shape)}; they must be [rows, dimensions] and [rows]."
        )
    if not len(codes):
        raise InputError(f"There are no {split} codes.")
    if not np.isfinite(codes).all():
        raise InputError(f"The {split} codes hold values that are not finite.")
    if (kept := has_label(labels)).all():
        return codes, labels, []
    lost = f"{len(labels) - kept.sum()} of {len(labels)}"
    return codes[kept], labels[kept], [f"{lost} {split} rows have no label and are left out"]
