"""What codes are worth where labels are few: a classifier from a hundred or a thousand of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, estimate, unknown
from tf_mmdvlae.metrics.probes import check_codes
from tf_mmdvlae.model.latents import Latents, dimensions

TEST_ROWS = 10_000
FOLDS = 3
REGULARISATION = (0.1, 1.0, 10.0, 100.0)


def semi_supervised_errors(
    train_means: Latents,
    train_labels: np.ndarray,
    test_means: Latents,
    test_labels: np.ndarray,
    label_counts: Sequence[int] = (100, 1000),
    repeats: int = 10,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Test error of a support vector machine that saw a few labelled codes of all layers joined.

    The measure of Zhao, Song and Ermon 2017 (InfoVAE, arXiv 1706.02262): the encoder has learned
    from all images without labels, the classifier from a few labelled codes. Its kernel is
    Gaussian, its codes are standardised, and its C is chosen among 0.1, 1, 10 and 100 by
    cross-validation in 3 folds (2 where a class has 2 labels), all within the labelled codes. All
    classes get the same number of labels, whatever their shares in train.

    Args:
      train_labels, test_labels: classes as whole numbers, or an attribute as bool, [n] and [m].
      label_counts: how many codes are labelled; rounded down to a multiple of the classes.
      repeats: how many draws of them, at least 2.

    Returns:
      {"labels_100", "labels_1000"}, one per count, each the mean over repeats of the share of test
      codes that got a wrong class, with the number of "labels" used, the "repeats", and "chance",
      the error of a guess among the classes, 1 - 1 / classes. The "count" m is that of test codes:
      all, or 10,000 drawn by the seed. The standard error is sqrt(s_r^2 / repeats + s_t^2 / m),
      with s_r the deviation between repeats and s_t that between test codes of how often each was
      wrong. Where train has one class only, a class has too few codes for its share of the labels,
      or that share is below 2, the value is NaN and a "note" says so.

    Raises:
      InputError: for fewer than 2 repeats.
    """
    train_labels, test_labels = np.asarray(train_labels), np.asarray(test_labels)
    train = check_codes("train", train_means, [train_labels])
    test = check_codes("test", test_means, [test_labels])
    if dimensions(train_means) != dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    kinds = {train_labels.dtype.kind, test_labels.dtype.kind}
    if not (kinds <= {"i", "u"} or kinds == {"b"}):
        raise InputError(
            f"Labels are {train_labels.dtype} in train and {test_labels.dtype} in test; they must "
            "be whole numbers (classes) or bools (an attribute) in both."
        )
    if repeats < 2:
        raise InputError(f"A standard error needs at least 2 repeats, not {repeats}.")
    generator = np.random.default_rng(seed)
    if len(test) > TEST_ROWS:
        rows = generator.choice(len(test), TEST_ROWS, replace=False)
        test, test_labels = test[rows], test_labels[rows]
    class_rows = [np.flatnonzero(train_labels == label) for label in np.unique(train_labels)]
    classes, results = len(class_rows), {}
    for count in label_counts:
        share = count // classes
        facts: dict[str, Any] = {"labels": share * classes, "repeats": repeats}
        facts["chance"] = 1 - 1 / classes
        if note := _obstacle(class_rows, share):
            results[f"labels_{count}"] = unknown(len(test), note, **facts)
            continue
        wrong = np.empty((repeats, len(test)))
        for repeat in range(repeats):
            draws = [generator.choice(members, share, replace=False) for members in class_rows]
            rows = np.concatenate(draws)
            classifier = _fitted(train[rows], train_labels[rows], share, generator)
            wrong[repeat] = classifier.predict(test) != test_labels
        variance = np.var(wrong.mean(axis=1), ddof=1) / repeats
        variance += np.var(wrong.mean(axis=0)) / len(test)
        results[f"labels_{count}"] = estimate(wrong.mean(), np.sqrt(variance), len(test), **facts)
    return results


def _obstacle(class_rows, share):
    """Why a classifier cannot be fitted with that many labels per class; "" where it can."""
    if len(class_rows) < 2:
        return "one class only in train: nothing to tell apart"
    if share < 2:
        return f"fewer than 2 labels for each of {len(class_rows)} classes"
    if (fewest := min(map(len, class_rows))) < share:
        return f"a class has {fewest} train codes only; it would need {share}"
    return ""


def _fitted(codes, labels, share, generator):
    seed = int(generator.integers(2**31))
    folds = StratifiedKFold(min(FOLDS, share), shuffle=True, random_state=seed)
    classifier = make_pipeline(StandardScaler(), SVC())
    return GridSearchCV(classifier, {"svc__C": REGULARISATION}, cv=folds).fit(codes, labels)
