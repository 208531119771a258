"""FactorVAE's score: whether the dimension that varies least reveals which factor was held."""

from __future__ import annotations

import numpy as np

from tf_mmdvlae.metrics.disentanglement.factor_table import FactorTable
from tf_mmdvlae.metrics.estimates import Estimate, bootstrap, unknown

VOTES = 800
ROWS_A_VOTE = 64
DRAWS = 100


def majority_vote_scores(
    table: FactorTable, generator: np.random.Generator
) -> dict[str, dict[str, Estimate]]:
    """FactorVAE's score (Kim and Mnih 2018, arXiv 1802.05983) of dimensions and of layers.

    A vote: draw a factor, then a row; among the rows that share its class (of a continuous factor
    its bin) take up to 64, as Locatello et al. 2019 (arXiv 1811.12359) do; the dimension whose
    variance over them is the smallest share of its variance over all rows gets the vote. Inactive
    dimensions get none. 800 votes settle which factor each dimension has most votes for; of 800
    other votes, the score is the share in which that was the factor that was held. Each 800 come
    from their own half of the rows: the same few rows of a bin, drawn again and again, would be
    recognised by their chance variances.

    The same votes serve layers: a layer's share of variance is the mean of its active dimensions'.
    A layer can name one factor only, so that the score of layers cannot pass its "ceiling"
    min(1, L / F). The other way round ("layer_from_factor") there is no such bound: each factor
    names the layer that has most of its votes. The bootstrap draws classes and bins of each factor,
    each with all votes that were made from its rows.

    Returns:
      {"dimensions": {"factor_vae"}, "layers": {"factor_vae", "layer_from_factor"}}, the count in
      votes. "factor_vae" has "ceiling"; "layer_from_factor" has "chance", the share of votes for
      the layer that has most of them. NaN where fewer than two factors have rows that share a
      class, no dimension is active, or one layer only is.
    """
    active = table.active()
    positions = np.cumsum(active) - 1
    layers = [positions[columns][active[columns]] for columns in table.layers.values()]
    layers = [layer for layer in layers if len(layer)]
    held = _holdable(table.classes)
    if not layers or len(held) < 2:
        why = "fewer than two factors can be held" if layers else "no active dimension"
        names = {"dimensions": ["factor_vae"], "layers": ["factor_vae", "layer_from_factor"]}
        return {kind: {name: unknown(VOTES, why) for name in names[kind]} for kind in names}
    codes = table.codes[:, active] / table.codes[:, active].std(axis=0)
    halves = zip(*held, strict=True)
    votes = [_votes(codes, layers, factors, generator) for factors in halves]
    by_dimension, by_layer = zip(*votes, strict=True)

    def score(stages, blocks):
        ceiling = min(1.0, blocks / len(held))
        return _score(stages, 0, generator) | {"ceiling": ceiling}

    of_dimensions = {"factor_vae": score(by_dimension, active.sum())}
    of_layers = {"factor_vae": score(by_layer, len(layers))}
    of_layers["layer_from_factor"] = _layer_from_factor(by_layer, len(layers), generator)
    return {"dimensions": of_dimensions, "layers": of_layers}


def right_share(settling: np.ndarray, scoring: np.ndarray, axis: int) -> float:
    """The share of `scoring` votes [factors, blocks] that go where most of `settling` do: of their
    block to a factor (axis 0), or of their factor to a block (axis 1)."""
    winners = np.expand_dims(settling.argmax(axis), axis)
    return np.take_along_axis(scoring, winners, axis).sum() / scoring.sum()


def _holdable(classes):
    """The factors with rows that share a class in both halves of the rows: for each, and for each
    half, its groups of two or more such rows."""
    halves = np.array_split(np.arange(len(classes)), 2)
    factors = []
    for column in classes.T:
        groups = [[rows[column[rows] == c] for c in np.unique(column[rows])] for rows in halves]
        groups = [[group for group in half if len(group) > 1] for half in groups]
        if all(groups):
            factors.append(groups)
    return factors


def _votes(codes, layers, factors, generator):
    """The votes for dimensions and for layers, each a list over factors of [groups, blocks]."""
    sizes = [np.array([len(rows) for rows in groups]) for groups in factors]
    dimensions = [np.zeros((len(groups), codes.shape[1])) for groups in factors]
    of_layers = [np.zeros((len(groups), len(layers))) for groups in factors]
    for factor in generator.integers(len(factors), size=VOTES):
        group = generator.choice(len(sizes[factor]), p=sizes[factor] / sizes[factor].sum())
        rows = factors[factor][group]
        if len(rows) > ROWS_A_VOTE:
            rows = generator.choice(rows, ROWS_A_VOTE, replace=False)
        variances = codes[rows].var(axis=0, ddof=1)
        dimensions[factor][group, variances.argmin()] += 1
        of_layers[factor][group, np.argmin([variances[part].mean() for part in layers])] += 1
    return dimensions, of_layers


def _totals(stages, redraw=lambda groups: groups):
    """The votes of both stages, each [factors, blocks]."""
    return [np.stack([redraw(groups).sum(axis=0) for groups in stage]) for stage in stages]


def _score(stages, axis, generator):
    def redraw(groups):
        return groups[generator.integers(len(groups), size=len(groups))]

    draws = [right_share(*_totals(stages, redraw), axis) for _ in range(DRAWS)]
    return bootstrap(right_share(*_totals(stages), axis), draws, VOTES)


def _layer_from_factor(stages, layers, generator):
    if layers < 2:
        return unknown(VOTES, "one layer only")
    settling, scoring = (votes.sum(axis=0) for votes in _totals(stages))
    chance = float(scoring[settling.argmax()] / VOTES)
    return _score(stages, 1, generator) | {"chance": chance}
