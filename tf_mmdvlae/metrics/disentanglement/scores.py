"""Disentanglement where the factors are known: five scores, for dimensions and for whole layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tf_mmdvlae.metrics.disentanglement.dci import importance_scores
from tf_mmdvlae.metrics.disentanglement.factor_table import BINS, factor_table
from tf_mmdvlae.metrics.disentanglement.factor_vae import majority_vote_scores
from tf_mmdvlae.metrics.disentanglement.mutual_information import mutual_information
from tf_mmdvlae.metrics.disentanglement.sap import separated_predictability
from tf_mmdvlae.model.latents import Latents

MOST_ROWS = 10_000


def disentanglement(
    means: Latents, factors: Mapping[str, np.ndarray], seed: int = 0
) -> dict[str, Any]:
    """How cleanly the codes keep the factors apart, by dimension and by layer.

    Scores of dimensions depend on how a layer is turned, which an MMD to N(0, I) leaves open; those
    of layers don't, except that the trees of DCI read straight dimensions better than turned ones.
    The scores are those of `mutual_information` (MIG, MIG-sup), `separated_predictability` (SAP),
    `importance_scores` (DCI) and `majority_vote_scores` (FactorVAE). All go from 0 to 1 or to
    their "ceiling", and larger is better. Those of layers get there where each factor is in one
    layer, but "mig_sup", "dci_disentanglement" and "factor_vae" also ask that each layer hold one
    factor.

    Args:
      means: of at least 8 images. At most 10,000 are used, drawn with the seed.
      factors: factor name -> [n]. Floats are a continuous factor, cut into 20 bins of equal width
        where classes are needed; whole numbers and bools are classes, at most 100 a factor.

    Returns:
      {"bins": 20, "left_out": names of factors that have one value only, "active": layer name ->
      how many of its dimensions are active, "dimensions": {"mig", "mig_sup", "sap",
      "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae"}, "layers":
      {"mig", "mig_sup", "sap", "dci_disentanglement", "dci_completeness", "factor_vae",
      "layer_from_factor"}, "mutual_information": the table of `mutual_information`}.

    Raises:
      InputError: for fewer than 8 rows, more than 100 classes, or no factor that varies.
    """
    generator = np.random.default_rng(seed)
    table = factor_table(means, factors, MOST_ROWS, generator)
    # Hundreds of small fits: on cores that are busy with something else, threads that wait for each
    # other make them ten times slower.
    with threadpool_limits(1, user_api="blas"):
        families = [
            mutual_information(table, generator),
            separated_predictability(table, generator),
            importance_scores(table, seed),
            majority_vote_scores(table, generator),
        ]
    active = {name: int(table.active()[part].sum()) for name, part in table.layers.items()}
    result = {"bins": BINS, "left_out": table.left_out, "active": active}
    for kind in ("dimensions", "layers"):
        result[kind] = {name: score for family in families for name, score in family[kind].items()}
    return result | {"mutual_information": families[0]["table"]}
