"""How far codes are from the prior, and layers from one another."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.layer_dependence import layer_dependence
from tf_mmdvlae.metrics.prior_distance import prior_distance


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
    found = distances(*codes({"z_1": 2, "z_2": 3}))
    assert set(found) == {"z_1", "z_2", "all"}
    for name, dimension in (("z_1", 2), ("z_2", 3), ("all", 5)):
        result = found[name]
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


def test_codes_far_from_the_prior_are_always_told_from_it():
    means, deviations = codes({"z_1": 2, "z_2": 2})
    means["z_2"] = means["z_2"] * np.float32(0.2) + np.float32(2)
    found = distances(means, deviations)
    assert found["z_2"]["effect_size"]["value"] > 20
    assert found["z_2"]["rejected"]["value"] == 1
    assert found["z_2"]["mean_distance"]["value"] == pytest.approx(2, abs=0.05)
    # cov - I is -0.96 on the diagonal.
    assert found["z_2"]["covariance_distance"]["value"] == pytest.approx(0.96, abs=0.02)
    assert found["all"]["rejected"]["value"] == 1
    assert found["z_1"]["rejected"]["value"] < 0.5


def test_layers_that_follow_the_prior_but_not_jointly_are_found_out():
    means, deviations = codes({"z_1": 2, "z_2": 2})
    means["z_2"] = means["z_1"].copy()
    found = distances(means, deviations)
    assert found["all"]["effect_size"]["value"] > 5
    assert found["all"]["effect_size"]["value"] > 3 * abs(found["z_1"]["effect_size"]["value"])


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
    told = []
    distances(
        *codes({"z_1": 2}), null_draws=3, progress=lambda done, total: told.append((done, total))
    )
    # z_1 and "all" have one dimension between them.
    assert told == [(1, 3), (2, 3), (3, 3)]


def slow_distance_correlation(a, b):
    """Szekely and Rizzo 2014, definition 2 and equation 1.5, entry by entry."""
    n = len(a)

    def centred(points):
        d = [[float(np.linalg.norm(p - q)) for q in points] for p in points]
        rows = [sum(row) / (n - 2) for row in d]
        whole = sum(map(sum, d)) / ((n - 1) * (n - 2))
        return [
            [d[i][j] - rows[i] - rows[j] + whole if i != j else 0.0 for j in range(n)]
            for i in range(n)
        ]

    def product(x, y):
        return sum(x[i][j] * y[i][j] for i in range(n) for j in range(n)) / (n * (n - 3))

    x, y = centred(a), centred(b)
    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


def test_distance_correlation_is_that_of_a_slow_double_loop():
    means, deviations = codes({"z_1": 2, "z_2": 3}, n=45)
    means["z_2"][:, 0] += np.abs(means["z_1"][:, 0])
    (found,) = layer_dependence(means, deviations, permutations=5)
    expected = slow_distance_correlation(*map(np.float64, means.values()))
    assert found["value"] == pytest.approx(expected, abs=1e-9)
    assert found["layers"] == ["z_1", "z_2"]
    assert found["count"] == 45


def test_a_layer_that_is_another_one_turned_has_a_distance_correlation_of_one():
    means, deviations = codes({"z_1": 2, "z_2": 2}, n=300)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    means["z_2"] = 3 * means["z_1"] @ turn + 1
    (found,) = layer_dependence(means, deviations)
    assert found["value"] == pytest.approx(1, abs=1e-6)
    assert found["p_value"] == pytest.approx(1 / 201)


def test_a_dependence_without_correlation_is_seen():
    means, deviations = codes({"z_1": 1, "z_2": 1}, n=400)
    means["z_2"] = np.square(means["z_1"]) + np.float32(0.1) * means["z_2"]
    assert abs(np.corrcoef(means["z_1"][:, 0], means["z_2"][:, 0])[0, 1]) < 0.2
    (found,) = layer_dependence(means, deviations)
    assert found["value"] > 0.1
    assert found["p_value"] < 0.02


def test_independent_layers_are_within_chance():
    found = layer_dependence(*codes({"z_1": 2, "z_2": 3, "z_3": 1}, n=500))
    assert [pair["layers"] for pair in found] == [["z_1", "z_2"], ["z_1", "z_3"], ["z_2", "z_3"]]
    for pair in found:
        assert abs(pair["value"]) < 4 * pair["null_deviation"]
        assert pair["p_value"] > 0.005
        assert 0 < pair["standard_error"] < 0.05


def test_one_layer_depends_on_no_other():
    assert layer_dependence(*codes({"z_1": 2})) == []


def test_a_layer_that_does_not_vary_has_no_distance_correlation():
    means, deviations = codes({"z_1": 2, "z_2": 2}, n=60)
    means["z_2"][:] = 1
    (found,) = layer_dependence(means, deviations)
    assert np.isnan(found["value"])
    assert "does not vary" in found["note"]


def test_a_few_codes_are_too_few_for_distance_correlation():
    with pytest.raises(InputError, match="at least 40 codes"):
        layer_dependence(*codes({"z_1": 2, "z_2": 2}, n=30))
