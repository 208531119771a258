"""All five scores together: perfect, null and degenerate codes."""

import json
import math

import numpy as np
import pytest

from tf_mmdvlae.metrics.disentanglement.scores import disentanglement


@pytest.fixture(scope="module")
def perfect(drawn_factors, copied):
    factors = drawn_factors(1500, 0)
    return disentanglement(copied(factors), factors)


def test_a_dimension_a_factor_is_perfect_in_every_score_of_dimensions(perfect):
    scores = perfect["dimensions"]
    assert scores["factor_vae"]["value"] > 0.98
    assert scores["factor_vae"]["ceiling"] == 1
    for name in ("mig", "mig_sup"):
        assert scores[name]["value"] > 0.9, name
    # A class that is guessed is right one time in K.
    assert scores["sap"]["ceiling"] == (1 + 1 / 2 + 3 / 4 + 1) / 4
    assert scores["sap"]["value"] == pytest.approx(scores["sap"]["ceiling"], abs=0.03)
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert scores[name]["value"] > 0.97, name
    assert scores["mig_sup"]["active"] == 4
    assert perfect["active"] == {"z_1": 2, "z_2": 2}
    assert perfect["left_out"] == []


def test_layers_that_share_out_the_factors_are_perfect_but_where_one_a_layer_is_asked(perfect):
    scores = perfect["layers"]
    assert scores["layer_from_factor"]["value"] > 0.98
    assert scores["layer_from_factor"]["chance"] < 0.7
    for name in ("mig", "sap", "dci_completeness"):
        assert scores[name]["value"] > 0.85 * scores[name].get("ceiling", 1), name
    # Two factors a layer: as good as each other, and one named of the two.
    assert scores["mig_sup"]["value"] < 0.15
    assert scores["dci_disentanglement"]["value"] == pytest.approx(0.5, abs=0.02)
    assert scores["factor_vae"]["ceiling"] == 0.5
    assert scores["factor_vae"]["value"] == pytest.approx(
        0.5, abs=4 * scores["factor_vae"]["standard_error"]
    )


def test_every_score_has_its_error_and_count_and_goes_into_json(perfect):
    for kind in ("dimensions", "layers"):
        for name, score in perfect[kind].items():
            assert 0 <= score["standard_error"] < 0.1, name
            assert score["count"] == {"s": 750, "f": 800, "l": 800}.get(name[0], 1500)
    heat = perfect["mutual_information"]
    assert heat["factors"] == ["light", "hat", "hair", "yaw"]
    assert heat["dimensions"]["names"] == ["z_1[0]", "z_1[1]", "z_2[0]", "z_2[1]"]
    assert heat["layers"]["names"] == ["z_1", "z_2"]
    for block in (heat["dimensions"], heat["layers"]):
        assert np.allclose(np.array(block["nats"]) / heat["entropy"], block["normalised"])
        assert np.shape(block["standard_error"]) == (len(block["names"]), 4)
        assert block["count"] == 1500
    # A dimension that is the factor knows all of it; of an independent one nearly nothing.
    own, others = np.eye(4, dtype=bool), np.array(heat["dimensions"]["normalised"])
    assert np.allclose(others[own], 1)
    assert others[~own].max() < 0.1
    json.dumps(perfect, allow_nan=False)


def test_turning_a_layer_spoils_its_dimensions_and_not_the_layer(perfect, drawn_factors, copied):
    factors = drawn_factors(1500, 0)
    turned = disentanglement(copied(factors, turned=True), factors)
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness", "mig_sup"):
        assert turned["dimensions"][name]["value"] < perfect["dimensions"][name]["value"] - 0.3
    for name in ("mig", "sap", "dci_completeness", "layer_from_factor"):
        value = perfect["layers"][name]["value"]
        assert turned["layers"][name]["value"] == pytest.approx(value, abs=0.05), name


def test_codes_that_know_nothing_score_nothing(drawn_factors, noise):
    factors = drawn_factors(1500, 0)
    result = disentanglement({"z_1": noise(1500, 3), "z_2": noise(1500, 2, seed=1)}, factors)
    for kind in ("dimensions", "layers"):
        scores = result[kind]
        for name in sorted(set(scores) - {"factor_vae", "layer_from_factor"}):
            assert scores[name]["value"] < 0.05, (kind, name)
        error = 4 * scores["factor_vae"]["standard_error"]
        assert scores["factor_vae"]["value"] == pytest.approx(1 / 4, abs=error)
    reverse = result["layers"]["layer_from_factor"]
    assert reverse["value"] == pytest.approx(reverse["chance"], abs=4 * reverse["standard_error"])
    assert np.max(result["mutual_information"]["layers"]["nats"]) < 0.01


def test_constant_codes_score_nothing_or_cannot_be_scored(drawn_factors):
    factors = drawn_factors(700, 0)
    result = disentanglement({"z_1": np.full((700, 2), 0.1), "z_2": np.zeros((700, 1))}, factors)
    assert result["active"] == {"z_1": 0, "z_2": 0}
    for kind in ("dimensions", "layers"):
        for name in ("mig", "sap", "dci_completeness", "dci_disentanglement"):
            assert result[kind][name]["value"] == pytest.approx(0, abs=1e-9), name
        for name in ("mig_sup", "factor_vae"):
            assert math.isnan(result[kind][name]["value"])
            assert result[kind][name]["note"] == "no active dimension"


def test_a_dead_layer_takes_nothing_from_the_others(drawn_factors, copied):
    factors = drawn_factors(700, 0)
    result = disentanglement({**copied(factors), "z_3": np.zeros((700, 2))}, factors)
    assert result["active"] == {"z_1": 2, "z_2": 2, "z_3": 0}
    assert result["dimensions"]["mig_sup"]["active"] == 4
    assert result["dimensions"]["factor_vae"]["value"] > 0.95
    assert result["layers"]["layer_from_factor"]["value"] > 0.95
    assert result["layers"]["mig"]["value"] > 0.75


def test_one_layer_one_dimension_and_one_factor_have_no_second_to_be_ahead_of(drawn_factors):
    light = drawn_factors(700, 0)["light"]
    result = disentanglement(
        {"z_1": light[:, None]}, {"light": light, "fixed": np.zeros(700, int)}, seed=3
    )
    assert result["left_out"] == ["fixed"]
    assert result["dimensions"].pop("dci_informativeness")["value"] > 0.97
    for kind in ("dimensions", "layers"):
        for name, score in result[kind].items():
            assert math.isnan(score["value"]), name
            assert math.isnan(score["standard_error"])
            assert "only" in score["note"] or "fewer than two factors" in score["note"]
    assert result["mutual_information"]["dimensions"]["normalised"] == [[pytest.approx(1)]]


def test_fewer_rows_than_bins_give_numbers_and_say_what_they_lack(drawn_factors, copied):
    factors = drawn_factors(12, 4)
    result = disentanglement(copied(factors), factors)
    for kind in ("dimensions", "layers"):
        for name in ("mig", "mig_sup", "sap", "dci_completeness"):
            assert 0 <= result[kind][name]["value"] <= 1 + 1e-9
            assert result[kind][name]["count"] in (6, 12)
    assert "too few rows" in result["dimensions"]["dci_completeness"]["note"]


def test_same_seed_same_numbers(drawn_factors, copied, noise):
    factors = drawn_factors(200, 0)
    codes = {name: z + 0.5 * noise(200, 2) for name, z in copied(factors).items()}
    first = disentanglement(codes, factors, seed=5)
    assert json.dumps(first) == json.dumps(disentanglement(codes, factors, seed=5))
    assert json.dumps(first) != json.dumps(disentanglement(codes, factors, seed=6))
