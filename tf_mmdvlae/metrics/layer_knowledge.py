"""What each layer knows: every label read from every layer, by its neighbours and by a line."""

import numpy as np
from threadpoolctl import threadpool_limits

from tf_mmdvlae.metrics import probes

# A share of fifteen takes sixteen values: too coarse to rank test images by an attribute that few
# of them have.
NEIGHBOURS = {"accuracy": 15, "auc": 50, "r2": 15}


def layer_knowledge(train_means, train_labels, test_means, test_labels, seed=0):
    """How well every label is read from each layer alone and from all layers joined.

    Predictors are fitted on train and judged on test, by a label's type: whole numbers are classes
    ("accuracy"), bools are attributes ("auc", the area under the ROC curve) and floats are factors
    ("r2", the share of variance explained). Two predictors:

    - neighbours: the nearest train codes by Euclidean distance, each with the same say: the
      majority's class among 15, the share of 50 that have the attribute, the mean factor of 15.
      Any shape of dependence is seen, given enough codes.
    - linear: multinomial logistic regression, logistic regression and linear regression on
      standardised codes; the logistic ones with scikit-learn's L2 penalty (C = 1).

    A row whose label is not finite has none: it is left out of fit and count, and a "note" says how
    many were.

    Args:
      train_means, test_means: posterior means, latent dicts [n, d_l] and [m, d_l].
      train_labels, test_labels: label name -> array [n] and [m]; both have the same names.
      seed: draws the 20,000 train codes that neighbours are looked for among, where there are more.
        The linear predictors are fitted on all.

    Returns:
      label name -> {"measure": "accuracy", "auc" or "r2", "chance": what a guess without codes
      gives (accuracy of train's most frequent class on test; 0.5; 0), "neighbours": {"z_1", ...,
      "z_L", "all"} -> estimate, "linear": the same}. An estimate is {"value", "standard_error",
      "count"} as in `probes.nearest_neighbour_accuracy`, `probes.logistic_auc` and
      `probes.linear_r2`; neighbours' also have "neighbours", how many were asked. Value and
      standard error are NaN, and a "note" says why, where train or test has no row with a label,
      an attribute has one class only in train or test, or a factor one value only in test.

    Raises:
      InputError: for layers, label names, types or numbers of rows that do not match, no rows, or
        codes that are not finite.
    """
    train_sets, test_sets = probes.layer_sets(train_means, train_labels, test_means, test_labels)
    labels = {
        name: (np.asarray(values), np.asarray(test_labels[name]))
        for name, values in train_labels.items()
    }
    measures = {name: probes.measure_for(name, *both) for name, both in labels.items()}
    estimates = {name: {"neighbours": {}, "linear": {}} for name in labels}
    rows = _drawn_rows(len(train_sets["all"]), seed)
    # Hundreds of small fits: see `probes.probe_layers`.
    with threadpool_limits(1, user_api="blas"):
        for layer, test_codes in test_sets.items():
            train_codes = train_sets[layer]
            neighbourhood = _Neighbourhood(train_codes[rows], test_codes)
            for name, (train, test) in labels.items():
                measure = measures[name]
                # First this one, which also refuses labels that are fewer than the codes.
                estimates[name]["linear"][layer] = probes.judged(
                    measure, probes.LINEAR[measure], train_codes, train, test_codes, test
                )
                estimates[name]["neighbours"][layer] = neighbourhood.judged(
                    measure, train[rows], test
                )
    return {
        name: {
            "measure": measure,
            "chance": probes.chance(measure, *labels[name]),
            **estimates[name],
        }
        for name, measure in measures.items()
    }


def _drawn_rows(count, seed):
    if count <= probes.NEIGHBOUR_TRAIN_ROWS:
        return slice(None)
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(count, probes.NEIGHBOUR_TRAIN_ROWS, replace=False))


class _Neighbourhood:
    """Which train codes are nearest to each test code, found once for all labels.

    A label that some train rows lack has neighbours of its own, among the rows that have it.
    """

    def __init__(self, train_codes, test_codes):
        self._codes = train_codes.astype(np.float64), test_codes.astype(np.float64)
        self._found = {}

    def judged(self, measure, train_labels, test_labels):
        """The neighbours' estimate of one label."""
        count = NEIGHBOURS[measure]
        train_has, test_has = probes.has_label(train_labels), probes.has_label(test_labels)

        def predict(train_codes, train_labels, test_codes):
            votes = train_labels[self._rows(train_has)[test_has, :count]]
            if measure == "accuracy":
                return probes.majority(votes)
            return votes.mean(axis=1, dtype=np.float64)

        train_codes, test_codes = self._codes
        result = probes.judged(measure, predict, train_codes, train_labels, test_codes, test_labels)
        return result | {"neighbours": min(count, int(train_has.sum()))}

    def _rows(self, train_has):
        key = train_has.tobytes()
        if key not in self._found:
            train_codes, test_codes = self._codes
            most = max(NEIGHBOURS.values())
            self._found[key] = probes.nearest_rows(train_codes[train_has], test_codes, most)
        return self._found[key]
