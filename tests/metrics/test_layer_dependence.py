"""How far layers depend on one another."""

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.layer_dependence import layer_dependence


def codes(layers, n=640, seed=0):
    """(means, deviations) of posterior that is all noise-free."""
    generator = np.random.default_rng(seed)
    means = {
        name: generator.standard_normal((n, d)).astype(np.float32) for name, d in layers.items()
    }
    return means, {name: np.zeros_like(values) for name, values in means.items()}


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
    (pair,) = layer_dependence(means, deviations)
    expected = slow_distance_correlation(*map(np.float64, means.values()))
    assert pair["value"] == pytest.approx(expected, abs=1e-9)
    assert pair["layers"] == ["z_1", "z_2"]
    assert pair["count"] == 45


def test_a_layer_that_is_another_one_turned_has_a_distance_correlation_of_one():
    means, deviations = codes({"z_1": 2, "z_2": 2}, n=300)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    means["z_2"] = 3 * means["z_1"] @ turn + 1
    (pair,) = layer_dependence(means, deviations)
    assert pair["value"] == pytest.approx(1, abs=1e-6)
    assert pair["p_value"] == pytest.approx(1 / 201)


def test_a_dependence_without_correlation_is_seen():
    means, deviations = codes({"z_1": 1, "z_2": 1}, n=400)
    means["z_2"] = np.square(means["z_1"]) + np.float32(0.1) * means["z_2"]
    assert abs(np.corrcoef(means["z_1"][:, 0], means["z_2"][:, 0])[0, 1]) < 0.2
    (pair,) = layer_dependence(means, deviations)
    assert pair["value"] > 0.1
    assert pair["p_value"] < 0.02


def test_independent_layers_are_within_chance():
    pairs = layer_dependence(*codes({"z_1": 2, "z_2": 3, "z_3": 1}, n=500))
    assert [pair["layers"] for pair in pairs] == [["z_1", "z_2"], ["z_1", "z_3"], ["z_2", "z_3"]]
    for pair in pairs:
        assert abs(pair["value"]) < 4 * pair["null_deviation"]
        assert pair["p_value"] > 0.005
        assert 0 < pair["standard_error"] < 0.05


def test_one_layer_depends_on_no_other():
    assert layer_dependence(*codes({"z_1": 2})) == []


def test_a_layer_that_does_not_vary_has_no_distance_correlation():
    means, deviations = codes({"z_1": 2, "z_2": 2}, n=60)
    means["z_2"][:] = 1
    (pair,) = layer_dependence(means, deviations)
    assert np.isnan(pair["value"])
    assert "does not vary" in pair["note"]


def test_a_few_codes_are_too_few_for_distance_correlation():
    with pytest.raises(InputError, match="at least 40 codes"):
        layer_dependence(*codes({"z_1": 2, "z_2": 2}, n=30))
