"""How much codes tell about factors, in nats, and the gaps between those that tell most.

For single dimensions the estimate is the plug-in one from counts in 20 bins of equal width, as by
Locatello et al. 2019 (arXiv 1811.12359); of independent codes and factors it comes to about
(bins - 1) (classes - 1) / 2n nats, not to 0. A layer of several dimensions is too wide to count in
bins: for it, it is the lower bound I(z; f) >= H(f) - E[-log q(f | z)] of Barber and Agakov 2003,
with a q that was fitted on other rows than those that it is judged on. The bound does not see what
a layer knows of a continuous factor below about 19 * 20 / n nats, and a layer can come out below
its best dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from tf_mmdvlae.metrics.disentanglement.factor_table import (
    BINS,
    FactorTable,
    equal_width_bins,
    top_two_gap,
)
from tf_mmdvlae.metrics.estimates import bootstrap, bootstrap_weights, unknown

DRAWS = 40
PRODUCT_DIMENSIONS = 20
RIDGE_PENALTIES = np.logspace(-1, 4, 6)
INVERSE_PENALTY = 0.3
GUESS_SHARE = 0.01
ROWS_A_GROUP = 25


def mutual_information(table: FactorTable, generator: np.random.Generator) -> dict[str, Any]:
    """The mutual information of dimensions and of layers with every factor, and its gaps.

    MIG (Chen et al. 2018, arXiv 1802.04942) is the mean over factors f of the gap between the two
    that know most about f: the largest I(z_j; f) / H(f) less the second largest. MIG-sup (Li et al.
    2020, arXiv 2002.10549) is the mean over active dimensions j of the gap between the two factors
    that j knows most about, in the same I(z_j; f) / H(f). H(f) is the entropy of the classes or
    bins. For layers z_j is a whole layer; MIG-sup is then low for a layer that holds several
    factors, however cleanly. The bootstrap draws rows, with the same fitted q in all draws.

    Returns:
      {"dimensions": {"mig", "mig_sup"}, "layers": {"mig", "mig_sup"}, "table": {"factors" [F],
      "entropy" [F] in nats, "dimensions", "layers"}}. "mig_sup" has the number of "active"
      dimensions or layers. In "table" each of dimensions and layers is {"names" [m], "nats" [m][F],
      "normalised" [m][F] (nats by the factor's entropy), "standard_error" [m][F] (of the
      normalised), "count", "bootstrap_draws"}.
    """
    count = len(table)
    entropy = np.array([entr(np.bincount(column) / count).sum() for column in table.classes.T])
    weights = bootstrap_weights(count, DRAWS, generator)
    dimensions = binned_information(
        equal_width_bins(table.codes), table.classes, np.vstack([np.ones(count), weights])
    )
    by_row = np.stack(
        [layer_log_ratios(table.codes[:, columns], table) for columns in table.layers.values()]
    )
    layers = np.maximum(by_row.mean(axis=1), 0.0)
    layer_draws = np.maximum(np.einsum("sn,lnf->slf", weights, by_row, optimize=True) / count, 0.0)
    active = table.active()
    information = {"dimensions": (dimensions[0], dimensions[1:]), "layers": (layers, layer_draws)}
    result = {"table": {"factors": table.names, "entropy": entropy.tolist()}}
    for kind, blocks in table.blocks().items():
        nats, nats_draws = information[kind]
        shares, draws = nats / entropy, nats_draws / entropy
        carries = np.array([active[columns].any() for columns in blocks.values()])
        mig_sup = _gap(shares[carries], draws[:, carries], -1, count, active=int(carries.sum()))
        result[kind] = {"mig": _gap(shares, draws, -2, count), "mig_sup": mig_sup}
        result["table"][kind] = {
            "names": list(blocks),
            "nats": nats.tolist(),
            "normalised": shares.tolist(),
            "standard_error": draws.std(axis=0, ddof=1).tolist(),
            "count": count,
            "bootstrap_draws": DRAWS,
        }
    return result


def binned_information(
    code_bins: np.ndarray, classes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The plug-in mutual information of every dimension with every factor, in nats: [S, D, F].

    Args:
      code_bins: bin numbers 0 to 19 of the codes, [n, D].
      classes: class numbers of the factors, [n, F].
      weights: whole numbers [S, n]: how often each row counts, in each of S tables.
    """
    codes, code_starts = _one_hot(code_bins, np.full(code_bins.shape[1], BINS))
    factors, factor_starts = _one_hot(classes, classes.max(axis=0) + 1)
    results = []
    for times in weights:
        # float32 holds counts up to 2^24 exactly.
        counts = codes.T @ (factors * times[:, None].astype(np.float32))
        shares = counts.astype(np.float64) / times.sum()
        joint = np.add.reduceat(entr(shares), code_starts[:-1], axis=0)
        joint = np.add.reduceat(joint, factor_starts[:-1], axis=1)
        rows, columns = shares[:, : factor_starts[1]].sum(axis=1), shares[:BINS].sum(axis=0)
        of_codes = np.add.reduceat(entr(rows), code_starts[:-1])
        of_factors = np.add.reduceat(entr(columns), factor_starts[:-1])
        # Rounding leaves an entropy sum of minus 1e-16 where there is nothing to know.
        results.append(np.maximum(of_codes[:, None] + of_factors - joint, 0.0))
    return np.stack(results)


def layer_log_ratios(codes: np.ndarray, table: FactorTable) -> np.ndarray:
    """log q(f | z) - log p(f) of a layer's codes [n, d], q fitted on the other half: nats [n, F].

    Its mean over rows is the lower bound on the mutual information. q works on the codes and their
    squares and products (of the 20 leading principal components at most), so that it does not
    depend on how the layer is turned. Classes: multinomial logistic regression, with one part in a
    hundred of a guess by class frequency. Continuous factors: a ridge regression g(z), and for q
    the frequencies of the factor's bins among the other rows of the half that have g alike; no
    reading g of z knows more about f than z does.
    """
    features = _squares_and_products(codes)
    half = len(codes) // 2
    ratios = np.zeros(table.classes.shape)
    classes = np.flatnonzero(~table.continuous)
    values = np.flatnonzero(table.continuous)
    for train, test in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        for f in classes:
            ratios[test, f] = _class_log_ratio(features, table.classes[:, f], train, test)
        if len(values):
            targets = np.stack([table.values[f] for f in values], axis=1)
            targets = StandardScaler().fit(targets[train]).transform(targets)
            ridge = RidgeCV(RIDGE_PENALTIES, alpha_per_target=True)
            readings = ridge.fit(features[train], targets[train]).predict(features[test])
            for f, reading in zip(values, readings.reshape(-1, len(values)).T, strict=True):
                ratios[test, f] = _bin_log_ratio(reading, table.classes[test, f])
    return ratios


def _squares_and_products(codes):
    codes = StandardScaler().fit_transform(codes)
    # Eigenvectors come with eigenvalues in rising order.
    components = codes @ np.linalg.eigh(codes.T @ codes)[1][:, -PRODUCT_DIMENSIONS:]
    products = PolynomialFeatures(2, include_bias=False).fit_transform(components)
    return np.hstack([codes, StandardScaler().fit_transform(products)])


def _class_log_ratio(features, classes, train, test):
    guess = np.bincount(classes) / len(classes)
    shares = np.zeros((len(classes[test]), len(guess)))
    seen = np.unique(classes[train])
    if len(seen) > 1:
        probe = LogisticRegression(C=INVERSE_PENALTY, tol=1e-3, max_iter=500)
        shares[:, seen] = probe.fit(features[train], classes[train]).predict_proba(features[test])
    else:
        shares[:, seen] = 1.0
    shares = (1 - GUESS_SHARE) * shares + GUESS_SHARE * guess
    truth = classes[test]
    return np.log(shares[np.arange(len(truth)), truth]) - np.log(guess[truth])


def _bin_log_ratio(reading, bins):
    """Of each row, from the bins of the other rows whose reading is in the same group."""
    rows = len(bins)
    groups = int(np.clip(rows // ROWS_A_GROUP, 1, BINS))
    group = np.searchsorted(np.quantile(reading, np.arange(1, groups) / groups), reading)
    counts = np.zeros((groups, bins.max() + 1))
    np.add.at(counts, (group, bins), 1.0)
    guess = np.bincount(bins) / rows
    # One more row, spread as all are, keeps what was not seen yet from being impossible.
    others = counts[group, bins] - 1 + guess[bins]
    return np.log(others / counts.sum(axis=1)[group]) - np.log(guess[bins])


def _gap(shares, draws, axis, count, **others):
    """The mean gap between the two largest shares along an axis: blocks (-2) or factors (-1)."""
    if shares.shape[axis] < 2:
        return unknown(count, f"one{' factor' if axis == -1 else ''} only: no gap to a second")
    if not len(shares):
        return unknown(count, "no active dimension")
    gaps = top_two_gap(draws, axis).mean(axis=-1)
    return bootstrap(top_two_gap(shares, axis).mean(), gaps, count, **others)


def _one_hot(classes, sizes):
    starts = np.cumsum([0, *sizes])
    hot = np.zeros((len(classes), starts[-1]), np.float32)
    np.put_along_axis(hot, classes + starts[:-1], 1.0, axis=1)
    return hot, starts
