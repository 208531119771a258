"""FactorVAE's score."""

import numpy as np

from tf_mmdvlae.metrics.disentanglement import factor_vae


def test_majority_votes_by_hand():
    # Factors by blocks. The first block goes to factor 0, the second to factor 2; by factor they go
    # to blocks 0, 1 and 1.
    settling = np.array([[5, 1], [2, 3], [0, 4]])
    scoring = np.array([[4, 2], [1, 3], [2, 8]])
    assert factor_vae.right_share(settling, scoring, 0) == (4 + 8) / 20
    assert factor_vae.right_share(settling, scoring, 1) == (4 + 3 + 8) / 20


def test_rows_that_happen_to_lie_close_together_win_no_votes(noise, table_of):
    # Two classes a factor, whose variances are chance: settled and scored on the same rows, the
    # votes would tell the factor.
    random = np.random.default_rng(0)
    factors = {name: random.random(100) < 0.5 for name in "abcdefghij"}
    table = table_of({"z_1": noise(100, 30)}, factors)
    result = factor_vae.majority_vote_scores(table, random)["dimensions"]["factor_vae"]
    assert result["value"] < 0.4


def test_votes_do_not_depend_on_the_scale_of_a_dimension(drawn_factors, copied, noise, table_of):
    factors = drawn_factors(400, 0)
    codes = {name: z + noise(400, 2, seed=1) for name, z in copied(factors).items()}
    scaled = {name: z * np.float32([1, 16]) for name, z in codes.items()}
    first, second = (
        factor_vae.majority_vote_scores(table_of(z, factors), np.random.default_rng(0))
        for z in (codes, scaled)
    )
    assert first == second
    assert 0.4 < first["dimensions"]["factor_vae"]["value"] < 1
