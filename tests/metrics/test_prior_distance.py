"""How far codes are from the prior."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.prior_distance import prior_distance, prior_match
from tf_mmdvlae.model import latents


def squared_norm(codes):
    return np.square(codes).sum(axis=1).mean()


def test_prior_match_sees_posterior_samples_of_each_layer_and_of_all_joined():
    rows = 4096
    means = {"z_1": np.full((rows, 2), 3.0), "z_2": np.zeros((rows, 5))}
    deviations = {"z_1": np.full((rows, 2), 0.5), "z_2": np.ones((rows, 5))}
    result = prior_match(means, deviations, squared_norm)
    assert list(result) == ["mmd_1", "mmd_2", "mmd_joint"]
    # E |z|^2 = d (mean^2 + deviation^2).
    for name, expected in (("mmd_1", 2 * 9.25), ("mmd_2", 5), ("mmd_joint", 23.5)):
        assert result[name]["batches"] == 32
        assert result[name]["batch_size"] == 128
        assert result[name]["standard_error"] > 0
        error = 4 * result[name]["standard_error"]
        assert result[name]["value"] == pytest.approx(expected, abs=error)
    json.dumps(result, allow_nan=False)


def test_prior_match_uses_full_batches_of_all_rows_once():
    means = {"z_1": np.arange(10, dtype=np.float32)[:, None]}
    deviations = {"z_1": np.zeros((10, 1))}
    seen = []

    def spy(codes):
        seen.append(codes[:, 0].tolist())
        return len(seen)

    result = prior_match(means, deviations, spy, batch_size=4)["mmd_1"]
    assert [len(batch) for batch in seen[:2]] == [4, 4]
    used = np.concatenate(seen[:2])
    assert len(set(used)) == 8
    assert set(used) <= set(range(10))
    assert used.tolist() != sorted(used)
    assert result["value"] == 1.5
    assert result["standard_error"] == pytest.approx(stats.sem([1, 2]))
    # The joined codes are cut into the same batches.
    assert seen[2:] == seen[:2]


def test_prior_match_follows_its_seed():
    draws = latents.sample_prior((3,), 300, seed=1)
    ones = {"z_1": np.ones((300, 3))}
    first = prior_match(draws, ones, squared_norm, seed=5)
    assert first == prior_match(draws, ones, squared_norm, seed=5)
    assert first != prior_match(draws, ones, squared_norm, seed=6)


def test_prior_match_with_few_rows_says_the_size():
    draws = latents.sample_prior((3,), 7, seed=1)
    result = prior_match(draws, draws, squared_norm)["mmd_1"]
    assert (result["batches"], result["batch_size"]) == (1, 7)
    assert math.isnan(result["standard_error"])
    assert "one batch" in result["note"]


def test_prior_match_refuses():
    draws = latents.sample_prior((3,), 7, seed=1)
    with pytest.raises(InputError, match="at least 2"):
        prior_match(latents.take(draws, [0]), latents.take(draws, [0]), squared_norm)
    with pytest.raises(InputError, match="at least 2"):
        prior_match(draws, draws, squared_norm, batch_size=1)
    with pytest.raises(InputError, match="same layers and shapes"):
        prior_match(draws, latents.take(draws, [0, 1]), squared_norm)


def mmd_squared(codes):
    """The unbiased estimate for a Gaussian kernel of variance d, from N(0, I), in closed form."""
    codes = np.asarray(codes, np.float64)
    count, dimension = codes.shape
    gram = np.exp(-cdist(codes, codes, "sqeuclidean") / (2 * dimension))
    within = (gram.sum() - count) / (count * (count - 1))
    spread = dimension / (dimension + 1)
    norms = np.square(codes).sum(axis=1)
    across = spread ** (dimension / 2) * np.mean(np.exp(-norms / (2 * (dimension + 1))))
    return within - 2 * across + (dimension / (dimension + 2)) ** (dimension / 2)


def codes(layers, n=640, scale=1.0, shift=0.0, seed=0):
    """(means, deviations) of posterior that is all noise-free."""
    generator = np.random.default_rng(seed)
    means = {
        name: (scale * generator.standard_normal((n, d)) + shift).astype(np.float32)
        for name, d in layers.items()
    }
    return means, {name: np.zeros_like(values) for name, values in means.items()}


def distances(means, deviations, **arguments):
    return prior_distance(
        means, deviations, mmd_squared, **{"batch_size": 64, "null_draws": 300, **arguments}
    )


def test_codes_drawn_from_the_prior_lie_within_chance_of_it():
    results = distances(*codes({"z_1": 2, "z_2": 3}))
    assert set(results) == {"z_1", "z_2", "all"}
    for name, dimension in (("z_1", 2), ("z_2", 3), ("all", 5)):
        result = results[name]
        effect = result["effect_size"]
        assert abs(effect["value"]) < 4 * effect["standard_error"]
        assert effect["count"] == 10
        assert result["rejected"]["value"] <= 0.3
        assert result["null"]["draws"] == 300
        assert abs(result["null"]["mean"]) < 4 * result["null"]["deviation"] / np.sqrt(300)
        assert result["active_units"] == {"value": dimension, "of": dimension, "count": 640}
        for measure in ("mean_distance", "covariance_distance"):
            assert 0 < result[measure]["value"] < 0.2
            assert 0 < result[measure]["standard_error"] < 0.1


def test_codes_far_from_the_prior_are_always_calls_from_it():
    means, deviations = codes({"z_1": 2, "z_2": 2})
    means["z_2"] = means["z_2"] * np.float32(0.2) + np.float32(2)
    results = distances(means, deviations)
    assert results["z_2"]["effect_size"]["value"] > 20
    assert results["z_2"]["rejected"]["value"] == 1
    assert results["z_2"]["mean_distance"]["value"] == pytest.approx(2, abs=0.05)
    # cov - I is -0.96 on the diagonal.
    assert results["z_2"]["covariance_distance"]["value"] == pytest.approx(0.96, abs=0.02)
    assert results["all"]["rejected"]["value"] == 1
    assert results["z_1"]["rejected"]["value"] < 0.5


def test_layers_that_follow_the_prior_but_not_jointly_are_results_out():
    means, deviations = codes({"z_1": 2, "z_2": 2})
    means["z_2"] = means["z_1"].copy()
    results = distances(means, deviations)
    assert results["all"]["effect_size"]["value"] > 5
    assert results["all"]["effect_size"]["value"] > 3 * abs(results["z_1"]["effect_size"]["value"])


def test_a_collapsed_posterior_matches_the_prior_and_has_no_active_unit():
    means, deviations = codes({"z_1": 3}, scale=0.0)
    deviations["z_1"] += 1
    result = distances(means, deviations)["z_1"]
    assert result["active_units"]["value"] == 0
    assert abs(result["effect_size"]["value"]) < 4 * result["effect_size"]["standard_error"]


def test_one_batch_of_codes_has_no_standard_error():
    result = distances(*codes({"z_1": 2}, n=70))["z_1"]["mmd_squared"]
    assert result["count"] == 1
    assert np.isnan(result["standard_error"])
    assert "one batch" in result["note"]


def test_one_code_has_no_mmd():
    with pytest.raises(InputError, match="at least 2 codes"):
        distances(*codes({"z_1": 2}, n=1))


def test_progress_ends_at_its_total():
    calls = []
    distances(
        *codes({"z_1": 2}), null_draws=3, progress=lambda done, total: calls.append((done, total))
    )
    # z_1 and "all" have one dimension between them.
    assert calls == [(1, 3), (2, 3), (3, 3)]
