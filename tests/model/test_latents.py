import subprocess
import sys

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents


def codes(rows, dims=(2, 3), start=0.0):
    total = start
    result = {}
    for layer, dim in enumerate(dims, start=1):
        result[f"z_{layer}"] = (total + np.arange(rows * dim, dtype=np.float32)).reshape(rows, dim)
        total += 100
    return result


def test_layers_are_in_the_order_of_their_numbers():
    shuffled = {f"z_{layer}": None for layer in (10, 2, 9, 1, 3, 8, 4, 7, 5, 6)}
    assert latents.layer_names(shuffled) == [f"z_{layer}" for layer in range(1, 11)]


@pytest.mark.parametrize("names", [[], ["z_2"], ["z_1", "z_3"], ["z_1", "latent"], ["z_0", "z_1"]])
def test_wrong_layer_names_are_refused(names):
    with pytest.raises(InputError, match="z_1"):
        latents.layer_names(dict.fromkeys(names))


def test_check_refuses_wrong_shapes():
    with pytest.raises(InputError, match="rows"):
        latents.check({"z_1": np.zeros((3, 2)), "z_2": np.zeros((4, 2))})
    with pytest.raises(InputError, match="z_1 has shape"):
        latents.check({"z_1": np.zeros(3)})


def test_prior_draws_are_standard_normal_and_follow_the_seed():
    draws = latents.sample_prior((2, 40), 5000, seed=4)
    assert latents.dimensions(draws) == (2, 40)
    assert {codes.dtype for codes in draws.values()} == {np.dtype(np.float32)}
    joined = latents.join(draws)
    np.testing.assert_allclose(joined.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(np.cov(joined.T), np.eye(42), atol=0.1)
    again = latents.sample_prior((2, 40), 5000, seed=4)
    np.testing.assert_array_equal(joined, latents.join(again))
    assert not np.array_equal(joined, latents.join(latents.sample_prior((2, 40), 5000, seed=5)))


def test_most_active_orders_by_variance_and_keeps_the_order_of_ties():
    scales = np.array([0.1, 2.0, 0.0, 1.0, 0.0])
    means = {"z_1": np.array([[-1.0], [1.0], [-1.0]]) * scales + 50}
    assert latents.most_active(means, 1) == [1, 3, 0, 2, 4]


def test_traverse_changes_one_dimension_only():
    base = codes(2)
    result = latents.traverse(base, 2, 1, [-3, 0, 3])
    np.testing.assert_array_equal(result["z_1"], np.repeat(base["z_1"], 3, axis=0))
    np.testing.assert_array_equal(result["z_2"][:, 1], [-3, 0, 3, -3, 0, 3])
    np.testing.assert_array_equal(
        result["z_2"][:, [0, 2]], np.repeat(base["z_2"], 3, axis=0)[:, [0, 2]]
    )
    assert base["z_2"][0, 1] == 101


def test_grid_is_laid_out_like_a_plot():
    base = codes(1)
    result = latents.grid(base, 2, (2, 0), low=-1, high=1, steps=3)
    np.testing.assert_array_equal(result["z_2"][:, 2], [-1, 0, 1] * 3)
    np.testing.assert_array_equal(result["z_2"][:, 0], [1] * 3 + [0] * 3 + [-1] * 3)
    np.testing.assert_array_equal(result["z_2"][:, 1], [101] * 9)
    np.testing.assert_array_equal(result["z_1"], np.repeat(base["z_1"], 9, axis=0))


def test_grid_of_one_dimension_is_a_strip():
    result = latents.grid(codes(1), 1, (1,), steps=5)
    np.testing.assert_array_equal(result["z_1"], [[0, v] for v in (-3, -1.5, 0, 1.5, 3)])


@pytest.mark.parametrize(
    ("layer", "dims", "rows", "steps"),
    [
        (0, (0,), 1, 3),
        (3, (0,), 1, 3),
        (1, (2,), 1, 3),
        (1, (-1,), 1, 3),
        (1, (0, 0), 1, 3),
        (2, (0, 1, 2), 1, 3),
        (1, (), 1, 3),
        (1, (0, 1), 2, 3),
        (1, (0, 1), 1, 1),
    ],
)
def test_grid_refuses(layer, dims, rows, steps):
    with pytest.raises(InputError):
        latents.grid(codes(rows), layer, dims, steps=steps)


def test_redraw_replaces_one_layer():
    base, draws = codes(2), np.full((3, 2), [[7.0], [8.0], [9.0]])
    result = latents.redraw(base, 1, draws)
    np.testing.assert_array_equal(result["z_1"][:, 0], [7, 8, 9, 7, 8, 9])
    np.testing.assert_array_equal(result["z_2"], np.repeat(base["z_2"], 3, axis=0))
    with pytest.raises(InputError, match="needs"):
        latents.redraw(base, 2, draws)


def test_arithmetic_is_a_minus_b_plus_c():
    a, b, c = codes(4), codes(4, start=5), codes(4, start=-2)
    result = latents.arithmetic(a, b, c)
    for name in a:
        np.testing.assert_array_equal(result[name], a[name] - b[name] + c[name])
        assert result[name].dtype == np.float32


def test_arithmetic_weights_each_layer_and_serves_all_rows():
    a, direction_from, direction_to = codes(3), codes(1), codes(1, start=10)
    result = latents.arithmetic(a, direction_from, direction_to, layer_weights=(0, 0.5))
    np.testing.assert_array_equal(result["z_1"], a["z_1"])
    np.testing.assert_array_equal(result["z_2"], a["z_2"] + 5)


def test_arithmetic_refuses_what_does_not_match():
    with pytest.raises(InputError, match="rows"):
        latents.arithmetic(codes(3), codes(2), codes(3))
    with pytest.raises(InputError, match="different layers"):
        latents.arithmetic(codes(3), codes(3), codes(3, dims=(3, 2)))
    with pytest.raises(InputError, match="different layers"):
        latents.arithmetic(codes(3), codes(3), codes(3, dims=(2, 3, 1)))
    with pytest.raises(InputError, match="layer weights"):
        latents.arithmetic(codes(3), codes(3), codes(3), layer_weights=(1,))


def test_interpolate_ends_at_a_and_b():
    a, b = codes(1), codes(1, start=8)
    result = latents.interpolate(a, b, [0, 0.25, 1, 1.5])
    for name in a:
        np.testing.assert_array_equal(result[name] - a[name], np.outer([0, 2, 8, 12], a[name] >= 0))
    np.testing.assert_array_equal(latents.interpolate(a, b, 0.5)["z_1"], a["z_1"] + 4)
    with pytest.raises(InputError, match="rows"):
        latents.interpolate(codes(3), codes(3), [0, 1])


def test_an_arc_turns_and_lengthens_evenly():
    a, b = {"z_1": [[2.0, 0.0]]}, {"z_1": [[0.0, 4.0]]}
    arc = latents.spherical(a, b, [0, 1 / 3, 0.5, 1])["z_1"]
    # A third of 90 degrees at length 2 + 2/3, and half of them at length 3.
    expected = [[2, 0], [8 / 3 * np.sqrt(0.75), 4 / 3], [3 * np.sqrt(0.5)] * 2, [0, 4]]
    np.testing.assert_allclose(arc, expected, atol=1e-6)


def test_an_arc_begins_and_ends_at_the_very_codes_and_keeps_the_length_of_draws():
    a, b = (latents.sample_prior((64, 2), 20, seed) for seed in (0, 1))
    for t, end in ((0, a), (1, b)):
        for name, values in latents.spherical(a, b, t).items():
            np.testing.assert_array_equal(values, end[name])
    lengths = np.linalg.norm(latents.spherical(a, b, 0.5)["z_1"], axis=1)
    np.testing.assert_allclose(lengths.mean(), 8, atol=0.3)
    assert np.linalg.norm(latents.interpolate(a, b, 0.5)["z_1"], axis=1).mean() < 6


@pytest.mark.parametrize("b", [[3.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])
def test_an_arc_without_a_plane_of_its_own_is_straight(b):
    a, b = {"z_1": np.float32([[1, 0]])}, {"z_1": np.float32([b])}
    straight = latents.interpolate(a, b, 0.25)["z_1"]
    np.testing.assert_allclose(latents.spherical(a, b, 0.25)["z_1"], straight, atol=1e-6)
    np.testing.assert_allclose(latents.spherical(b, a, 0.75)["z_1"], straight, atol=1e-6)


def test_a_walk_goes_from_code_to_code():
    three = {"z_1": np.float32([[1, 0], [0, 1], [0, -3]])}
    straight = latents.walk(three, [0, 0.5, 1, 1.25, 2], straight=True)["z_1"]
    np.testing.assert_allclose(straight, [[1, 0], [0.5, 0.5], [0, 1], [0, 0], [0, -3]])
    arc = latents.walk(three, [0.5, 2])["z_1"]
    np.testing.assert_allclose(arc, [[np.sqrt(0.5)] * 2, [0, -3]], atol=1e-6)
    for positions in ([-0.1], [2.1], [np.nan]):
        with pytest.raises(InputError, match="positions from 0 to 2"):
            latents.walk(three, positions)
    with pytest.raises(InputError, match="at least two codes"):
        latents.walk(codes(1), [0])


def test_concatenate_and_take_are_inverse():
    both = latents.concatenate([codes(2), codes(3, start=50)])
    assert latents.row_count(both) == 5
    second = latents.take(both, slice(2, None))
    np.testing.assert_array_equal(second["z_2"], codes(3, start=50)["z_2"])
    with pytest.raises(InputError):
        latents.concatenate([codes(2), codes(2, dims=(2, 4))])


def test_zeros_is_the_middle_of_the_prior():
    assert latents.dimensions(latents.zeros((3, 1))) == (3, 1)
    assert not latents.join(latents.zeros((3, 1), 2)).any()


def test_tensorflow_is_not_needed():
    script = (
        "import sys\n"
        "import tf_mmdvlae.metrics.probes, tf_mmdvlae.figures.run, tf_mmdvlae.model.latents\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
