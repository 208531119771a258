"""What a layer's codes say about a label: simple predictors fitted on train, judged on test.

A row whose label is not finite has none: it is left out of fit and count, and a "note" says how
many were. Where that leaves train or test no row, the value is NaN.
"""

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from tf_mmdvlae import latents
from tf_mmdvlae.errors import InputError

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
    train_codes, train_labels, test_codes, test_labels, notes = _cases(
        train_codes, train_labels, test_codes, test_labels
    )
    neighbours = min(neighbours, len(train_codes))
    result = {"count": len(test_labels), "neighbours": neighbours}
    if not (len(train_codes) and len(test_codes)):
        return _result(result, notes)
    probe = KNeighborsClassifier(neighbours).fit(train_codes, train_labels)
    accuracy = float(np.mean(probe.predict(test_codes) == test_labels))
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(test_labels)))
    return _result(result, notes, accuracy, error)


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
    train_codes, train_attr, test_codes, test_attr, notes = _cases(
        train_codes, train_attr, test_codes, test_attr
    )
    train_attr, test_attr = train_attr.astype(bool), test_attr.astype(bool)
    positives = int(test_attr.sum())
    result = {"count": len(test_attr), "positives": positives}
    if not (len(train_codes) and len(test_codes)):
        return _result(result, notes)
    for split, attr in (("train", train_attr), ("test", test_attr)):
        if attr.all() or not attr.any():
            return _result(result, [*notes, f"one class only in {split}: no area under the curve"])
    train_codes, test_codes = _standardised(train_codes, test_codes)
    # Many codes of few dimensions: Newton's method takes a handful of steps where the default takes
    # a hundred.
    probe = LogisticRegression(solver="newton-cholesky").fit(train_codes, train_attr)
    area = float(roc_auc_score(test_attr, probe.decision_function(test_codes)))
    error = auc_standard_error(area, positives, len(test_attr) - positives)
    return _result(result, notes, area, error)


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
    train_codes, train_values, test_codes, test_values, notes = _cases(
        train_codes, train_values, test_codes, test_values
    )
    values = np.asarray(test_values, np.float64)
    count = len(values)
    if not (len(train_codes) and count):
        return _result({"count": count}, notes)
    if np.all(values == values[0]):
        notes.append("one value only in test: no variance to explain")
        return _result({"count": count}, notes)
    train_codes, test_codes = _standardised(train_codes, test_codes)
    probe = LinearRegression().fit(train_codes, np.asarray(train_values, np.float64))
    errors = np.square(values - probe.predict(test_codes))
    spread = np.square(values - values.mean())
    unexplained = errors.mean() / spread.mean()
    error = np.std(errors - unexplained * spread) / (np.sqrt(count) * spread.mean())
    return _result({"count": count}, notes, float(1 - unexplained), float(error))


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
    train_means, test_means = latents.check(train_means), latents.check(test_means)
    if latents.dimensions(train_means) != latents.dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    if set(train_labels) != set(test_labels):
        one_only = ", ".join(sorted(set(train_labels) ^ set(test_labels)))
        raise InputError(f"These labels are in one of train and test only: {one_only}.")
    train_sets = {**train_means, "all": latents.join(train_means)}
    test_sets = {**test_means, "all": latents.join(test_means)}
    results = {}
    # Hundreds of small fits: on cores that are busy with something else, threads that wait for each
    # other make them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        for name in train_labels:
            train, test = np.asarray(train_labels[name]), np.asarray(test_labels[name])
            measure, probe, rows = _probe_for(name, train, test)
            results[name] = {
                "measure": measure,
                "chance": _chance(measure, train, test),
                "layers": {
                    layer: probe(codes[:rows], train[:rows], test_sets[layer], test)
                    for layer, codes in train_sets.items()
                },
            }
    return results


def _probe_for(name, train, test):
    kinds = {train.dtype.kind, test.dtype.kind}
    if kinds == {"b"}:
        return "auc", logistic_auc, None
    if kinds <= {"i", "u"}:
        return "accuracy", nearest_neighbour_accuracy, NEIGHBOUR_TRAIN_ROWS
    if kinds == {"f"}:
        return "r2", linear_r2, None
    raise InputError(
        f"Label {name!r} is {train.dtype} in train and {test.dtype} in test; a label must be of "
        "whole numbers (classes), bools (attributes) or floats (factors), the same in both."
    )


def _chance(measure, train, test):
    if measure != "accuracy":
        return {"auc": 0.5, "r2": 0.0}[measure]
    classes, counts = np.unique(train, return_counts=True)
    return float(np.mean(test == classes[np.argmax(counts)]))


def _cases(train_codes, train_labels, test_codes, test_labels):
    """The rows that have a label, as arrays: the same four, and a list of notes on the others."""
    kept, notes = [], []
    for split, codes, labels in (
        ("train", train_codes, train_labels),
        ("test", test_codes, test_labels),
    ):
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
        if labels.dtype.kind == "f" and not (finite := np.isfinite(labels)).all():
            lost = f"{len(labels) - finite.sum()} of {len(labels)}"
            notes.append(f"{lost} {split} rows have no label and are left out")
            codes, labels = codes[finite], labels[finite]
        kept += [codes, labels]
    return *kept, notes


def _result(others, notes, value=float("nan"), error=float("nan")):
    result = {"value": value, "standard_error": error, **others}
    return result | ({"note": "; ".join(notes)} if notes else {})


def _standardised(train_codes, test_codes):
    centre, scale = train_codes.mean(axis=0), train_codes.std(axis=0)
    # A dimension that does not vary says nothing: dividing by one leaves it at zero.
    scale = np.where(scale > 0, scale, 1.0)
    return (train_codes - centre) / scale, (test_codes - centre) / scale
