"""Mixtures fitted to codes: what they find, what they draw, and codes that are hard to fit."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents, samplers
from tf_mmdvlae.model.samplers import Mixture, Samplers, fit_samplers

ROWS = 2000
CENTRES = np.array([[3, 0, 0], [-3, 0, 0], [0, 3, 2], [0, -3, 2]], float)
SHARES = np.array([0.4, 0.3, 0.2, 0.1])


def layered(codes):
    """The first two dimensions are layer 1, the others layer 2."""
    codes = np.asarray(codes, np.float32)
    return {"z_1": codes[:, :2], "z_2": codes[:, 2:]}


@pytest.fixture(scope="module")
def groups():
    """[n, 3]: four round groups of deviation 0.3, the layers dependent on each other."""
    generator = np.random.default_rng(0)
    chosen = generator.choice(4, ROWS, p=SHARES)
    return CENTRES[chosen] + 0.3 * generator.standard_normal((ROWS, 3))


@pytest.fixture(scope="module")
def fitted(groups):
    return fit_samplers(layered(groups))


def nearest_centre(codes):
    distances = np.linalg.norm(latents.join(codes)[:, None] - CENTRES, axis=-1)
    return distances.argmin(axis=1), distances.min(axis=1)


def test_groups_are_found_and_drawn_as_often_as_they_are(fitted):
    assert len(fitted.joint.weights) == 4
    place, distance = nearest_centre(fitted.joint.sample(ROWS, seed=1))
    np.testing.assert_allclose(np.bincount(place) / ROWS, SHARES, atol=0.03)
    # Three dimensions of deviation 0.3.
    assert np.sqrt(np.mean(distance**2)) == pytest.approx(0.3 * np.sqrt(3), rel=0.03)


def test_normal_codes_are_one_component_and_come_back_as_they_were():
    generator = np.random.default_rng(0)
    mixing = np.array([[1, 0, 0], [0.5, 1, 0], [0, -0.8, 0.6]])
    codes = generator.standard_normal((ROWS, 3)) @ mixing.T + [1, 0, -2]
    joint = fit_samplers(layered(codes)).joint
    assert len(joint.weights) == 1
    draws = latents.join(joint.sample(100_000, seed=1))
    np.testing.assert_allclose(draws.mean(axis=0), codes.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), atol=0.03)


def test_the_fit_is_scikit_learns(groups):
    joint = fit_samplers(layered(groups), components=4).joint
    reference = GaussianMixture(4, random_state=0).fit(groups)
    order, expected = np.argsort(joint.weights), np.argsort(reference.weights_)
    np.testing.assert_allclose(joint.weights[order], reference.weights_[expected], atol=1e-3)
    np.testing.assert_allclose(joint.means[order], reference.means_[expected], atol=1e-3)
    covariances = joint.factors @ joint.factors.transpose(0, 2, 1)
    np.testing.assert_allclose(covariances[order], reference.covariances_[expected], atol=2e-3)


def test_layers_by_themselves_forget_each_other(fitted):
    """Where layer 1 lies at its first two places, layer 2 lies at 0, and else at 2."""

    def second_layer(codes):
        outer = np.abs(codes["z_1"][:, 0]) > 1.5
        return codes["z_2"][outer].mean(), codes["z_2"][~outer].mean()

    assert second_layer(fitted.joint.sample(ROWS, seed=1)) == pytest.approx((0, 2), abs=0.05)
    apart = fitted.layers.sample(ROWS, seed=1)
    assert second_layer(apart) == pytest.approx((0.6, 0.6), abs=0.1)
    # Each by itself is as it was.
    high = apart["z_2"] > 1
    assert high.mean() == pytest.approx(0.3, abs=0.03)
    assert apart["z_2"][high].mean() == pytest.approx(2, abs=0.05)


def test_one_layer_is_fitted_once():
    codes = {"z_1": np.random.default_rng(0).standard_normal((50, 2), np.float32)}
    fitted = fit_samplers(codes)
    assert fitted.layers.mixtures == (fitted.joint,)


def test_temperature_scales_the_deviation_from_the_components_means(fitted):
    joint = fitted.joint
    still = latents.join(joint.sample(200, seed=3, temperature=0))
    assert {tuple(row) for row in still} <= {tuple(row) for row in joint.means}
    full, half = (latents.join(joint.sample(200, 3, scale)) for scale in (1, 0.5))
    np.testing.assert_allclose(half - still, 0.5 * (full - still), atol=1e-5)
    for temperature in (-1, np.nan):
        with pytest.raises(InputError, match="from 0 up"):
            joint.sample(1, 0, temperature)


def test_the_prior_is_standard_normal(fitted):
    assert fitted.prior.latent_dims == (2, 1)
    draws = latents.join(fitted.prior.sample(50_000, seed=0))
    np.testing.assert_allclose(draws.mean(axis=0), np.zeros(3), atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(3), atol=0.03)


def test_the_same_seed_gives_the_same(groups):
    fits = [fit_samplers(layered(groups), components=3) for _ in range(2)]
    for one, other in zip(*((fitted.joint, fitted.layers) for fitted in fits), strict=True):
        draws = latents.join(one.sample(50, seed=5))
        assert np.array_equal(draws, latents.join(other.sample(50, seed=5)))
        assert not np.array_equal(draws, latents.join(one.sample(50, seed=6)))


def test_they_survive_the_disk(fitted, tmp_path):
    fitted.save(tmp_path / "samplers.npz")
    read = Samplers.load(tmp_path / "samplers.npz")
    assert read.joint.latent_dims == (2, 1)
    for one, other in ((fitted.joint, read.joint), (fitted.layers, read.layers)):
        draws = latents.join(one.sample(50, seed=5))
        assert np.array_equal(draws, latents.join(other.sample(50, seed=5)))
    assert [path.name for path in tmp_path.iterdir()] == ["samplers.npz"]
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "other.npz", latent_dims=[2, 1])
    for name in ("broken.npz", "other.npz"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            Samplers.load(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("joint_means", lambda array: array[:, :-1]),
        ("joint_factors", lambda array: array[0]),
        ("joint_weights", lambda array: 2 * array),
        ("joint_weights", lambda array: -array),
        ("layer_1_means", lambda array: array * np.nan),
        ("layer_2_factors", lambda array: array.astype(str)),
        ("latent_dims", lambda array: array[:1]),
        ("latent_dims", lambda array: np.array(["a", "b"])),
        ("joint_weights", lambda array: array[0]),
    ],
)
def test_arrays_of_other_shapes_are_refused(fitted, tmp_path, name, change):
    path = tmp_path / "samplers.npz"
    fitted.save(path)
    arrays = files.read_arrays(path)
    arrays[name] = change(arrays[name])
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="samplers.npz cannot be read"):
        Samplers.load(path)


def test_a_lot_is_drawn_from_more_codes_than_a_fit_looks_at(groups, monkeypatch):
    """Sorted codes, of which the first would be one group only."""
    monkeypatch.setattr(samplers, "MOST_CODES", 400)
    joint = fit_samplers(layered(groups[np.argsort(groups[:, 0])])).joint
    place, _ = nearest_centre(joint.sample(ROWS, seed=1))
    np.testing.assert_allclose(np.bincount(place) / ROWS, SHARES, atol=0.08)


def test_few_codes_get_few_components(groups):
    """Four components over three dimensions have forty parameters."""
    assert len(fit_samplers(layered(groups[:39])).joint.weights) == 1
    assert len(fit_samplers(layered(groups[:60])).joint.weights) == 4


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_unit_of_the_codes_does_not_matter(groups, scale):
    joint = fit_samplers(layered(groups), components=4).joint
    scaled = fit_samplers(layered(scale * groups + scale), components=4).joint
    np.testing.assert_allclose(scaled.weights, joint.weights, atol=1e-3)
    np.testing.assert_allclose(scaled.means / scale - 1, joint.means, atol=1e-2)
    np.testing.assert_allclose(scaled.factors / scale, joint.factors, atol=1e-2)


def test_a_dimension_that_does_not_vary_is_drawn_where_it_lies(groups):
    codes = groups.copy()
    codes[:, 1] = 7
    draws = latents.join(fit_samplers(layered(codes)).joint.sample(500, seed=0))
    np.testing.assert_allclose(draws[:, 1], 7, atol=0.15)
    assert draws[:, 0].std() > 2


@pytest.mark.parametrize(("rows", "components"), [(2, None), (2, 2), (500, None), (500, 4)])
def test_equal_codes_are_drawn_as_they_are(rows, components):
    codes = layered(np.full((rows, 3), [1, 2, 3]))
    fitted = fit_samplers(codes, components)
    for sampler in (fitted.joint, fitted.layers):
        draws = latents.join(sampler.sample(100, seed=0))
        np.testing.assert_allclose(draws, np.full((100, 3), [1, 2, 3]), atol=0.06)


def test_as_many_components_as_codes_draw_those_codes(groups):
    joint = fit_samplers(layered(groups[:5]), components=5).joint
    draws = latents.join(joint.sample(200, seed=0, temperature=0))
    distance = np.linalg.norm(draws[:, None] - groups[:5], axis=-1).min(axis=1)
    assert distance.max() < 0.01


@pytest.mark.parametrize(
    ("rows", "components", "message"),
    [
        (0, None, "at least 2 codes"),
        (1, None, "at least 2 codes"),
        (10, 11, "components=11 for 10 codes; give 1 to 10"),
        (10, 0, "give 1 to 10"),
    ],
)
def test_what_cannot_be_fitted_is_refused(groups, rows, components, message):
    with pytest.raises(InputError, match=message):
        fit_samplers(layered(groups[:rows]), components)


def test_codes_that_are_not_finite_are_refused(groups):
    codes = groups.copy()
    codes[5, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        fit_samplers(layered(codes))


def test_a_mixture_by_hand_draws_what_its_formula_says():
    """mean_k + factor_k @ e: the covariance of a component is factor @ factor transposed."""
    factor = np.float32([[1, 0], [2, 0.5]])
    mixture = Mixture(
        (1, 1), np.array([0.25, 0.75]), np.float32([[10, 0], [-10, 0]]), np.stack([factor] * 2)
    )
    draws = mixture.sample(40_000, seed=0)
    first = draws["z_1"][:, 0] > 0
    assert first.mean() == pytest.approx(0.25, abs=0.01)
    covariance = np.cov(latents.join(draws)[first].T)
    np.testing.assert_allclose(covariance, factor @ factor.T, atol=0.12)
