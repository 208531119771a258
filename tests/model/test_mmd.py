"""Kernels and estimators against slow float64 loops and closed forms, eager and compiled."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.model.by_hand import (
    GAUSSIANS,
    KERNELS,
    draws,
    slow_mmd_squared,
    slow_within,
)
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import mmd


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("name", KERNELS)
def test_estimators_equal_a_double_loop(name, estimator, compiled):
    x, y = draws(7, 3, 0), draws(9, 3, 1, mean=0.5)
    kernel = KERNELS[name]
    function = tf.function(mmd.mmd_squared) if compiled else mmd.mmd_squared
    value = float(function(x, y, kernel, estimator))
    assert value == pytest.approx(slow_mmd_squared(x, y, kernel, estimator), abs=2e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("name", KERNELS)
def test_gradients_equal_differences_of_the_double_loop(name, estimator, compiled):
    samples = [draws(5, 2, 0).astype(np.float64), draws(6, 2, 1, mean=0.5).astype(np.float64)]
    kernel = KERNELS[name]

    def gradients(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            # A factor, so that what comes from above counts too.
            value = 3.0 * mmd.mmd_squared(x, y, kernel, estimator)
        return tape.gradient(value, [x, y])

    function = tf.function(gradients) if compiled else gradients
    slopes = function(*(tf.constant(sample, tf.float32) for sample in samples))
    for sample, gradient in zip(samples, slopes, strict=True):
        for place in np.ndindex(sample.shape):
            slow = []
            for shift in (1e-5, -2e-5):
                sample[place] += shift
                slow.append(3.0 * slow_mmd_squared(*samples, kernel, estimator))
            sample[place] += 1e-5
            assert float(gradient[place]) == pytest.approx((slow[0] - slow[1]) / 2e-5, abs=2e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("name", GAUSSIANS)
def test_closed_form_equals_a_double_loop(name, estimator, compiled):
    """The terms under N(0, I) by numerical integration in one dimension, at a power d."""
    x = draws(6, 3, 0, mean=0.3)
    kernel = KERNELS[name]
    grid = np.linspace(-9, 9, 4001)
    density = np.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi)
    step = grid[1] - grid[0]
    cross = prior = 0.0
    for b in kernel.bandwidths:
        smooth = [
            [np.sum(density * np.exp(-((v - grid) ** 2) / (2 * b))) * step for v in row]
            for row in x.astype(np.float64)
        ]
        cross += np.mean(np.prod(smooth, axis=1))
        coarse = np.linspace(-9, 9, 801)
        weight = np.exp(-0.5 * coarse**2) / math.sqrt(2 * math.pi) * (coarse[1] - coarse[0])
        gram = np.exp(-((coarse[:, None] - coarse[None]) ** 2) / (2 * b))
        prior += (weight @ gram @ weight) ** 3
    scales = len(kernel.bandwidths)
    expected = slow_within(kernel, x, estimator) - 2 * cross / scales + prior / scales
    function = tf.function(mmd.mmd_squared_to_normal) if compiled else mmd.mmd_squared_to_normal
    assert float(function(x, kernel, estimator)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_sampled_estimate_converges_to_the_closed_form(name):
    x = draws(200, 2, 0, mean=0.4)
    kernel = KERNELS[name]
    exact = float(mmd.mmd_squared_to_normal(x, kernel))
    sampled = [float(mmd.mmd_squared(x, draws(400, 2, s), kernel)) for s in range(1, 31)]
    error = np.std(sampled) / math.sqrt(len(sampled))
    assert abs(np.mean(sampled) - exact) < 4 * error


def test_unbiased_estimate_of_the_prior_itself_is_zero_in_the_mean():
    kernel = mmd.kernel_for_dimension("multiscale_gaussian", (0.1, 1.0), 4)
    values = [float(mmd.mmd_squared_to_normal(draws(64, 4, s), kernel)) for s in range(200)]
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    biased = [float(mmd.mmd_squared_to_normal(draws(64, 4, s), kernel, "biased")) for s in range(9)]
    assert min(biased) > 0


@pytest.mark.parametrize("name", KERNELS)
def test_grows_with_the_distance_of_the_distributions(name):
    y = draws(300, 2, 1)
    near, far, narrow = (
        float(mmd.mmd_squared(draws(300, 2, 0, mean, deviation), y, KERNELS[name]))
        for mean, deviation in ((0.3, 1.0), (2.0, 1.0), (0.0, 0.2))
    )
    assert 0.001 < near < far
    assert narrow > 0.05


@pytest.mark.parametrize("dimension", [2, 10, 100])
@pytest.mark.parametrize("name", ["gaussian", "inverse_multiquadratic"])
def test_the_penalty_does_not_vanish_as_the_dimension_grows(name, dimension):
    kernel = mmd.kernel_for_dimension(name, (1.0,), dimension)
    collapsed = np.zeros((64, dimension), np.float32)
    assert float(mmd.mmd_squared(collapsed, draws(64, dimension, 1), kernel)) > 0.1


def test_bandwidths_are_in_proportion_to_the_dimension():
    assert mmd.kernel_for_dimension("gaussian", (0.5,), 8).bandwidths == (4.0,)
    assert mmd.kernel_for_dimension("inverse_multiquadratic", (0.5,), 8).bandwidths == (8.0,)


def test_one_row_gives_a_finite_gradient():
    """As in `fit` when one image is left for the last batch."""
    x = tf.Variable(draws(1, 2, 0))
    with tf.GradientTape() as tape:
        value = mmd.mmd_squared_to_normal(x, KERNELS["gaussian"])
    assert math.isfinite(float(value))
    assert np.isfinite(tape.gradient(value, x)).all()


def test_gradient_pulls_codes_to_the_prior():
    x = tf.Variable(draws(128, 2, 0, mean=1.0))
    with tf.GradientTape() as tape:
        value = mmd.mmd_squared_to_normal(x, KERNELS["multiscale_gaussian"])
    gradient = np.asarray(tape.gradient(value, x))
    assert np.isfinite(gradient).all()
    assert (gradient.mean(axis=0) > 0).all()


def test_errors():
    with pytest.raises(InputError, match="Known: gaussian"):
        mmd.Kernel("rbf", (1.0,))
    with pytest.raises(InputError, match="above 0"):
        mmd.Kernel("gaussian", (0.0,))
    with pytest.raises(InputError, match="no closed form"):
        mmd.mmd_squared_to_normal(draws(4, 2, 0), KERNELS["inverse_multiquadratic"])
    with pytest.raises(InputError, match="unbiased, biased"):
        mmd.mmd_squared(draws(4, 2, 0), draws(4, 2, 1), KERNELS["gaussian"], "exact")
