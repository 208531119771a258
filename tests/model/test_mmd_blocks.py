"""The MMD of large batches: in blocks, from disjoint pairs, by random features, chosen by size."""

import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.model.by_hand import (
    GAUSSIANS,
    KERNELS,
    draws,
    slow_kernel,
    slow_mmd_squared,
    slow_within,
)
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model import mmd, mmd_blocks
from tf_mmdvlae.model.functions import mmd_to_prior

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEVER, ALWAYS = 10**9, 0


def with_gradients(function, *samples):
    with tf.GradientTape() as tape:
        tape.watch(samples)
        value = function(*samples)
    return value, *tape.gradient(value, samples)


def assert_equal(result, expected):
    """To 1e-5, gradients relative to their largest entry."""
    assert abs(float(result[0]) - float(expected[0])) < 1e-6
    for one, other in zip(result[1:], expected[1:], strict=True):
        scale = np.abs(other).max()
        assert scale > 0
        assert np.abs(one - other).max() < 1e-5 * scale


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of at most 16 rows; `small_blocks(limit)` sets the rows above which they are used."""
    monkeypatch.setattr(mmd_blocks, "LARGEST_BLOCK", 16)
    return lambda limit: monkeypatch.setattr(mmd, "DENSE_ROWS", limit)


# ---- blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("name", KERNELS)
def test_blocks_equal_a_double_loop(name, estimator, small_blocks):
    small_blocks(ALWAYS)
    x, y = draws(35, 2, 0), draws(18, 2, 1, mean=0.5)
    kernel = KERNELS[name]
    expected = slow_mmd_squared(x, y, kernel, estimator)
    assert float(mmd.mmd_squared(x, y, kernel, estimator)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("compiling", [None, {}, {"jit_compile": True}])
@pytest.mark.parametrize("name", KERNELS)
def test_blocks_equal_the_dense_form_and_its_gradients(name, compiling, small_blocks):
    """Rows that do not fill the last block; two samples of different length."""
    kernel = KERNELS[name]
    samples = tf.constant(draws(70, 5, 0)), tf.constant(draws(45, 5, 1, mean=0.4))

    def everything(x, y):
        results = [with_gradients(lambda x, y: mmd.mmd_squared(x, y, kernel, "biased"), x, y)]
        if name in GAUSSIANS:
            results.append(with_gradients(lambda x: mmd.mmd_squared_to_normal(x, kernel), x))
        return results

    small_blocks(NEVER)
    expected = everything(*samples)
    small_blocks(ALWAYS)
    function = everything if compiling is None else tf.function(everything, **compiling)
    for one, other in zip(function(*samples), expected, strict=True):
        assert_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jit_compile", "counts"),
    [
        (False, (1, 2, 29, 30, 31, 60, 61, 70)),
        pytest.param(True, (30, 31, 61), marks=pytest.mark.slow),
    ],
)
def test_a_size_that_is_not_known_decides_as_it_runs(
    jit_compile, counts, small_blocks, monkeypatch
):
    small_blocks(30)
    monkeypatch.setattr(mmd, "UNBIASED_ROWS", 60)
    kernel = KERNELS["gaussian"]
    frequencies = kernel.frequencies(tf.constant(draws(30, 7, 5)))

    def gradients(x):
        return with_gradients(
            lambda x: (
                mmd.mmd_squared(x, x + 1.0, kernel)
                + mmd.mmd_squared_to_normal(x, kernel, "auto", frequencies)
            ),
            x,
        )

    function = tf.function(
        gradients, input_signature=[tf.TensorSpec([None, 5])], jit_compile=jit_compile
    )
    for count in counts:
        x = tf.constant(draws(count, 5, count))
        result, expected = function(x), gradients(x)
        assert float(result[0]) == pytest.approx(float(expected[0]), abs=1e-6)
        np.testing.assert_allclose(result[1], expected[1], atol=1e-6)


def test_two_gradient_tapes_keep_no_blocks(small_blocks):
    """Where one is inside the other, TensorFlow would keep all that a loop computes."""
    small_blocks(30)

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def gradients(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            value, gradient = with_gradients(
                lambda x: mmd.mmd_squared_to_normal(x, KERNELS["gaussian"]), x
            )
        return gradient, outer.gradient(value, x)

    graph = gradients.get_concrete_function().graph.as_graph_def()
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert "StatelessWhile" in operations
    assert "EmptyTensorList" not in operations


def test_batches_that_people_use_are_dense_to_the_bit(monkeypatch):
    kernel = KERNELS["multiscale_gaussian"]
    x = tf.constant(draws(mmd.DENSE_ROWS, 3, 0))
    gram = kernel(x, x)
    count = np.float32(len(x))
    within = (tf.reduce_sum(gram) - tf.linalg.trace(gram)) / (count * (count - 1))
    expected = within + within - 2.0 * tf.reduce_mean(gram)
    assert float(mmd.mmd_squared(x, x, kernel)) == float(expected)
    sizes = []
    monkeypatch.setattr(mmd_blocks, "sum_within", lambda kernel, x: sizes.append(len(x)) or 0.0)
    mmd.mmd_squared_to_normal(x, kernel)
    assert not sizes
    mmd.mmd_squared_to_normal(tf.constant(draws(mmd.DENSE_ROWS + 1, 3, 0)), kernel)
    assert sizes == [mmd.DENSE_ROWS + 1]


@pytest.mark.parametrize("name", KERNELS)
def test_blocks_of_equal_rows_and_of_few(name, small_blocks):
    small_blocks(ALWAYS)
    kernel = KERNELS[name]
    same = tf.ones((37, 3))
    value, gradient = with_gradients(lambda x: mmd.mmd_squared(x, same, kernel), same)
    assert float(value) == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)
    for count in (1, 2, 3):
        x, y = draws(count, 3, 0), draws(5, 3, 1)
        value = float(mmd.mmd_squared(x, y, kernel, "biased"))
        assert value == pytest.approx(slow_mmd_squared(x, y, kernel, "biased"), abs=2e-6)
    # The mean over no pairs within one row counts as 0.
    x, y = draws(1, 3, 0), draws(5, 3, 1)
    cross = np.mean([slow_kernel(kernel, x[0], row) for row in y])
    expected = slow_within(kernel, y, "unbiased") - 2 * cross
    assert float(mmd.mmd_squared(x, y, kernel)) == pytest.approx(expected, abs=2e-6)


_MEMORY = """
import resource
import tensorflow as tf
from tf_mmdvlae.model import mmd, mmd_blocks

kernel = mmd.Kernel("gaussian", (2.0,))


@tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None, 2])])
def gradients(x, y):
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        within = mmd.mmd_squared_to_normal(y, kernel)
        value = within - tf.cast(mmd_blocks.sum_between(kernel, x, y[:512]), tf.float32)
    return tape.gradient(value, [x, y])


def run(rows, columns):
    gradients(*(tf.random.stateless_normal((n, 2), (0, n)) for n in (rows, columns)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


few = run(3000, 1500)
print(run({rows}, {columns}) - few)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_memory_is_linear_forward_and_backward():
    """Dense, 16,384 rows were seen to take 14 GB; 65,536 by 512 would take 1.7 GB."""
    program = _MEMORY.format(rows=65536, columns=16384)
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(process.stdout) < 150


# ---- linear time -------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_linear_time_equals_a_loop_over_disjoint_pairs(name, compiled):
    """Gretton et al. 2012, lemma 14; the ninth row of x has no partner, nor has y's seventh."""
    x, y = draws(9, 3, 0), draws(7, 3, 1, mean=0.5)
    kernel = KERNELS[name]

    def k(a, b):
        return slow_kernel(kernel, a, b)

    expected = np.mean(
        [
            k(x[i], x[i + 1]) + k(y[i], y[i + 1]) - k(x[i], y[i + 1]) - k(x[i + 1], y[i])
            for i in (0, 2, 4)
        ]
    )
    function = tf.function(mmd.mmd_squared) if compiled else mmd.mmd_squared
    assert float(function(x, y, kernel, "linear_time")) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_linear_time_in_closed_form_differs_in_the_pairs_within_alone(name):
    x, kernel = draws(7, 3, 0, mean=0.3), KERNELS[name]
    pairs = np.mean([slow_kernel(kernel, x[i], x[i + 1]) for i in (0, 2, 4)])
    rest = float(mmd.mmd_squared_to_normal(x, kernel)) - slow_within(kernel, x, "unbiased")
    value = float(mmd.mmd_squared_to_normal(x, kernel, "linear_time"))
    assert value == pytest.approx(pairs + rest, abs=2e-6)


def test_linear_time_of_one_row():
    kernel = KERNELS["gaussian"]
    x, y = tf.constant(draws(1, 2, 0)), tf.constant(draws(1, 2, 1))
    value, *gradients = with_gradients(
        lambda x, y: mmd.mmd_squared(x, y, kernel, "linear_time"), x, y
    )
    assert float(value) == 0.0
    assert not np.any(gradients)
    value, gradient = with_gradients(
        lambda x: mmd.mmd_squared_to_normal(x, kernel, "linear_time"), x
    )
    assert float(value) == pytest.approx(float(mmd.mmd_squared_to_normal(x, kernel)))
    assert np.isfinite(gradient).all()


# ---- random features ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNELS)
def test_the_mean_cosine_over_frequencies_is_the_kernel(name):
    """Bochner's theorem, by which the frequencies are drawn."""
    kernel = KERNELS[name]
    frequencies = np.asarray(kernel.frequencies(draws(60_000, 5, 0)))
    for difference in ([0.3, -0.2, 0.1], [2.0, 1.0, -1.0]):
        values = np.cos(frequencies @ np.array(difference))
        expected = slow_kernel(kernel, difference, [0.0] * 3)
        assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(len(values))


@pytest.mark.parametrize("compiled", [False, True])
def test_random_features_equal_a_loop_over_pairs_and_frequencies(compiled):
    x = draws(6, 3, 0, mean=0.3)
    kernel = KERNELS["inverse_multiquadratic"]
    frequencies = np.asarray(kernel.frequencies(draws(9, 5, 1)))
    terms = []
    for w in np.float64(frequencies):
        prior = math.exp(-w @ w / 2)
        pairs = [math.cos(w @ (a - b)) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
        cross = [math.cos(w @ a) for a in np.float64(x)]
        terms.append(np.mean(pairs) - 2 * prior * np.mean(cross) + prior**2)
    function = tf.function(mmd.mmd_squared_to_normal) if compiled else mmd.mmd_squared_to_normal
    value = float(function(x, kernel, "random_features", frequencies))
    assert value == pytest.approx(np.mean(terms), abs=2e-6)


def test_random_features_of_one_row_and_of_equal_rows():
    kernel = KERNELS["inverse_multiquadratic"]
    frequencies = kernel.frequencies(tf.constant(draws(300, 4, 1)))

    def estimate(x):
        return mmd.mmd_squared_to_normal(x, kernel, "random_features", frequencies)

    prior = np.exp(-0.5 * np.sum(np.square(frequencies), axis=1))
    value, gradient = with_gradients(estimate, tf.zeros((1, 2)))
    # No pairs within: they count as 0.
    assert float(value) == pytest.approx(np.mean(prior**2 - 2 * prior), abs=1e-6)
    assert np.isfinite(gradient).all()
    value, gradient = with_gradients(estimate, tf.zeros((500, 2)))
    assert float(value) == pytest.approx(np.mean((1 - prior) ** 2), abs=1e-6)
    assert np.isfinite(gradient).all()


# ---- all of them -------------------------------------------------------------------------------


def mmd_squared_of_shifted_normal(kernel, mean):
    """MMD^2(N(mean, I), N(0, I)): 2 (s / (s + 2))^(d/2) (1 - exp(-|mean|^2 / (2 (s + 2)))).

    An inverse multiquadratic is integrated over its mixture of Gaussians.
    """
    mean = np.asarray(mean)

    def gaussian(s):
        level = (s / (s + 2)) ** (len(mean) / 2)
        return 2 * level * (1 - np.exp(-(mean @ mean) / (2 * (s + 2))))

    if kernel.is_gaussian:
        return np.mean([gaussian(b) for b in kernel.bandwidths])
    t = (np.arange(200_000) + 0.5) * 1e-4
    return np.mean([np.sum(np.exp(-t) * gaussian(b / (2 * t))) * 1e-4 for b in kernel.bandwidths])


@pytest.mark.parametrize("mean", [0.0, 0.5])
@pytest.mark.parametrize(
    ("name", "estimator", "against"),
    [
        ("multiscale_gaussian", "unbiased", "normal"),
        ("multiscale_gaussian", "linear_time", "normal"),
        ("multiscale_gaussian", "random_features", "normal"),
        ("inverse_multiquadratic", "random_features", "normal"),
        ("inverse_multiquadratic", "unbiased", "draws"),
        ("inverse_multiquadratic", "linear_time", "draws"),
    ],
)
def test_estimates_are_unbiased(name, estimator, against, mean, small_blocks):
    small_blocks(ALWAYS)
    kernel, count = KERNELS[name], 21

    @tf.function
    def estimate(seed):
        x = mean + tf.random.stateless_normal((count, 3), [seed, 0])
        if against == "draws":
            y = tf.random.stateless_normal((count, 3), [seed, 1])
            return mmd.mmd_squared(x, y, kernel, estimator)
        frequencies = kernel.frequencies(tf.random.stateless_normal((12, 5), [seed, 2]))
        return mmd.mmd_squared_to_normal(x, kernel, estimator, frequencies)

    values = np.array([float(estimate(seed)) for seed in tf.range(400)])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - mmd_squared_of_shifted_normal(kernel, [mean] * 3)) < 4 * error
    assert error < 0.01


def test_auto_is_chosen_by_size(monkeypatch):
    monkeypatch.setattr(mmd, "UNBIASED_ROWS", 20)
    kernel = KERNELS["multiscale_gaussian"]
    few, many = draws(20, 3, 0), draws(21, 3, 0)
    frequencies = kernel.frequencies(draws(30, 5, 1))

    def estimate(x, estimator, frequencies=frequencies):
        return float(mmd.mmd_squared_to_normal(x, kernel, estimator, frequencies))

    assert estimate(few, "auto", None) == estimate(few, "unbiased")
    assert estimate(many, "auto") == estimate(many, "random_features")
    assert estimate(many, "auto") != estimate(many, "unbiased")
    assert float(mmd.mmd_squared(many, few, kernel, "auto")) == float(
        mmd.mmd_squared(many, few, kernel)
    )
    with pytest.raises(InputError, match="needs frequencies"):
        estimate(many, "auto", None)


def test_what_is_refused():
    x, kernel = draws(4, 2, 0), KERNELS["multiscale_gaussian"]
    with pytest.raises(InputError, match="4 frequencies .* 3 bandwidths; draw a multiple"):
        kernel.frequencies(draws(4, 4, 0))
    with pytest.raises(InputError, match="give kernel.frequencies"):
        mmd.mmd_squared_to_normal(x, kernel, "random_features")
    with pytest.raises(InputError, match="use mmd_squared_to_normal"):
        mmd.mmd_squared(x, x, kernel, "random_features")
    for estimator in ("linear_time", "auto"):
        with pytest.raises(InputError, match="or use estimator 'random_features'"):
            mmd.mmd_squared_to_normal(x, KERNELS["inverse_multiquadratic"], estimator)
    with pytest.raises(InputError, match="Known: auto, .*linear_time, random_features"):
        mmd.mmd_squared_to_normal(x, kernel, "exact")


def test_the_distance_that_evaluation_takes():
    """In order of their values, neighbours are alike: linear time must not take them as pairs."""
    codes = np.sort(draws(2000, 1, 0), axis=0)
    usual = mmd_to_prior(ModelConfig(estimator="unbiased"))(codes)
    assert mmd_to_prior(ModelConfig(estimator="auto"))(codes) == usual
    for estimator in ("linear_time", "random_features"):
        value = mmd_to_prior(ModelConfig(estimator=estimator))(codes)
        assert value != usual
        assert value == pytest.approx(usual, abs=0.03)
    imq = ModelConfig(estimator="random_features", kernel="inverse_multiquadratic")
    assert mmd_to_prior(imq)(codes) == pytest.approx(0.0, abs=0.01)
