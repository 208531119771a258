"""What codes are worth where labels are few: a classifier from a hundred or a thousand of them."""

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents

TEST_ROWS = 10_000
FOLDS = 3
REGULARISATION = (0.1, 1.0, 10.0, 100.0)


def semi_supervised_errors(
    train_means,
    train_labels,
    test_means,
    test_labels,
    label_counts=(100, 1000),
    repeats=10,
    seed=0,
):
    """Test error of a support vector machine that saw a few labelled codes of all layers joined.

    The measure of Zhao, Song and Ermon 2017 (InfoVAE, arXiv 1706.02262): the encoder has learned
    from all images without labels, the classifier from a few labelled codes. Its kernel is
    Gaussian, its codes are standardised, and its C is chosen among 0.1, 1, 10 and 100 by
    cross-validation in 3 folds (2 where a class has 2 labels), all within the labelled codes. Each
    class gets as many labels as the others, whatever its share in train.

    Args:
      train_means, test_means: posterior means, latent dicts [n, d_l] and [m, d_l].
      train_labels, test_labels: classes as whole numbers, or an attribute as bool, [n] and [m].
      label_counts: how many codes are labelled; where the classes don't divide it, as many fewer
        as it takes.
      repeats: how often they are drawn, at least 2.
      seed: of all draws.

    Returns:
      {"labels_100": ..., "labels_1000": ...}, one for each count, each {"value",
      "standard_error", "count", "labels", "repeats", "chance"}: the mean over repeats of the share
      of test codes that got a wrong class, in [0, 1]; its standard error
      sqrt(s_r^2 / repeats + s_t^2 / m), with s_r the deviation between repeats and s_t that between
      test codes of how often each was wrong; the number m of test codes (all, or 10,000 drawn by
      the seed); the number of labels used; the repeats; and the error of a guess among the classes,
      1 - 1 / classes. Where train has one class only, a class has too few codes for its share of
      the labels, or that share is below 2, value and standard error are NaN and a "note" says so.

    Raises:
      InputError: for layers, labels or numbers of rows that do not match, no rows, codes that are
        not finite, labels of another type, or fewer than 2 repeats.
    """
    train, train_labels = _cases("train", train_means, train_labels)
    test, test_labels = _cases("test", test_means, test_labels)
    if latents.dimensions(train_means) != latents.dimensions(test_means):
        raise InputError("Train and test codes have different layers or dimensions.")
    if (train_labels.dtype.kind == "b") != (test_labels.dtype.kind == "b"):
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
    rows_of = [np.flatnonzero(train_labels == label) for label in np.unique(train_labels)]
    results = {}
    for count in label_counts:
        share = count // len(rows_of)
        result = {"value": float("nan"), "standard_error": float("nan"), "count": len(test)}
        result |= {"labels": share * len(rows_of), "repeats": repeats}
        result["chance"] = 1 - 1 / len(rows_of)
        if note := _obstacle(rows_of, share):
            result["note"] = note
        else:
            wrong = []
            for _ in range(repeats):
                drawn = [generator.choice(rows, share, replace=False) for rows in rows_of]
                labelled = np.concatenate(drawn)
                classifier = _fitted(train[labelled], train_labels[labelled], share, generator)
                wrong.append(classifier.predict(test) != test_labels)
            wrong = np.array(wrong, np.float64)
            result["value"] = float(wrong.mean())
            variance = np.var(wrong.mean(axis=1), ddof=1) / repeats
            variance += np.var(wrong.mean(axis=0)) / len(test)
            result["standard_error"] = float(np.sqrt(variance))
        results[f"labels_{count}"] = result
    return results


def _cases(split, means, labels):
    codes, labels = latents.join(means), np.asarray(labels)
    if labels.shape != codes.shape[:1]:
        raise InputError(
            f"There are {len(codes)} {split} codes and labels of shape {list(labels.shape)}; each "
            "code needs one label."
        )
    if not len(codes):
        raise InputError(f"There are no {split} codes.")
    if not np.isfinite(codes).all():
        raise InputError(f"The {split} codes hold values that are not finite.")
    if labels.dtype.kind not in "biu":
        raise InputError(
            f"The {split} labels are {labels.dtype}; they must be whole numbers (classes) or bools "
            "(an attribute)."
        )
    return codes, labels


def _obstacle(rows_of, share):
    fewest = min(len(rows) for rows in rows_of)
    if len(rows_of) < 2:
        return "one class only in train: nothing to tell apart"
    if share < 2:
        return f"fewer than 2 labels for each of {len(rows_of)} classes"
    if fewest < share:
        return f"a class has {fewest} train codes only; it would need {share}"
    return ""


def _fitted(codes, labels, share, generator):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SVC()),
        {"svc__C": REGULARISATION},
        cv=StratifiedKFold(
            min(FOLDS, share), shuffle=True, random_state=int(generator.integers(2**31))
        ),
    )
    return search.fit(codes, labels)
