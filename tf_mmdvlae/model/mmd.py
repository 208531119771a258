"""Squared maximum mean discrepancy (MMD^2): kernels, estimators, closed forms against N(0, I).

For a kernel k and distributions p, q (Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 1):

    MMD^2(p, q) = E k(x, x') - 2 E k(x, y) + E k(y, y'),   x, x' ~ p;  y, y' ~ q

All functions take float32 tensors of shape [n, d], one row per sample, give scalars where nothing
else is said, and work eagerly and compiled. Bandwidths should suit d; see `kernel_for_dimension`.
Every function raises an InputError for a kernel or an estimator that does not exist, or that does
not fit the other.

Estimators:

* "unbiased" (U-statistic: pairs of different rows; may fall below 0) and "biased" (V-statistic: all
  pairs; never below 0), Gretton et al. 2012, eq. 3 and 5. Time O(n^2 d). Up to `DENSE_ROWS` rows
  the kernel's values are one table; above, they are computed in blocks, in memory linear in n.
* "linear_time" (section 6, lemma 14): unbiased, from the pairs of rows 1 and 2, 3 and 4, ...
  Time O(n d). The rows must be in random order, as those of a training batch are.
* "random_features" (Rahimi and Recht 2007): unbiased over draws of the kernel's frequencies.
  Time O(n D d) for D frequencies.
* "auto": "unbiased" up to `UNBIASED_ROWS` rows; above, "random_features" where a sample is
  compared with N(0, I) itself.

The mean over no pairs, with one row, counts as 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DEFAULT_SCALES
from tf_mmdvlae.model import mmd_blocks

if TYPE_CHECKING:
    import tensorflow as tf

# Up to this many rows one table is as fast on a processor as blocks, and needs no loop.
DENSE_ROWS = 1024
# Above this many rows random features take less time than all pairs and are nearly as certain.
UNBIASED_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel with its bandwidths; values are averaged over them, so that 0 < k(x, y) <= 1.

    With r^2 = |x - y|^2:

    * "gaussian", "multiscale_gaussian": exp(-r^2 / (2 b)), b the variance sigma^2;
    * "inverse_multiquadratic": b / (b + r^2), as in Wasserstein autoencoders (Tolstikhin et al.
      2018, arXiv 1711.01558).

    The bandwidths are one b or several, each above 0, in squared units of the samples.
    """

    name: str
    bandwidths: tuple[float, ...]

    def __post_init__(self):
        if self.name not in DEFAULT_SCALES:
            kernels = ", ".join(DEFAULT_SCALES)
            raise InputError(f"Kernel {self.name!r} is not known. Known: {kernels}.")
        if not self.bandwidths or min(self.bandwidths) <= 0:
            raise InputError(f"Kernel bandwidths are {self.bandwidths}; they must be above 0.")

    @property
    def is_gaussian(self) -> bool:
        """Whether the closed forms against N(0, I) hold."""
        return self.name != "inverse_multiquadratic"

    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Gram matrix k(x_i, y_j): [n, d], [m, d] -> [n, m]."""
        values = self._values(squared_distances(x, y))
        return sum(values) / len(values)

    def between_rows(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """k(x_i, y_i), row by row: [n, d], [n, d] -> [n]."""
        return self.values_and_slopes(ops.sum(ops.square(x - y), axis=-1))[0]

    def values_and_slopes(self, distances: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """k and dk / d(r^2) for squared distances r^2 of any shape: two tensors of that shape."""
        values, count = self._values(distances), len(self.bandwidths)
        pairs = zip(self.bandwidths, values, strict=True)
        if self.is_gaussian:
            slopes = [v * (-0.5 / (b * count)) for b, v in pairs]
        else:
            slopes = [ops.square(v) * (-1.0 / (b * count)) for b, v in pairs]
        return sum(values) / count, sum(slopes)

    def _values(self, distances):
        """The kernel of each bandwidth by itself."""
        if not self.is_gaussian:
            return [b / (b + distances) for b in self.bandwidths]
        values = {}
        for b in sorted(self.bandwidths, reverse=True):
            # exp(-r^2 / (2 b)) is the square of that for 2 b, which costs less than an exponential.
            wider = values.get(2.0 * b)
            values[b] = ops.exp(distances * (-0.5 / b)) if wider is None else ops.square(wider)
        return [values[b] for b in self.bandwidths]

    def frequencies(self, noise: tf.Tensor) -> tf.Tensor:
        """Draws of w from the kernel's spectral measure: k(x, y) = E cos(w.(x - y)).

        A Gaussian's w is N(0, I / b). An inverse multiquadratic is a mixture of Gaussians,
        b / (b + r^2) = int_0^inf exp(-t) exp(-t r^2 / b) dt, so that w = sqrt(2 t / b) g with
        t ~ Exp(1), g ~ N(0, I); t is half the sum of two squared normal draws.

        Noise [D, d + 2] from N(0, I) becomes frequencies [D, d]. The bandwidths share them evenly,
        and D is a multiple of their number, else an InputError is raised. The last two columns are
        an inverse multiquadratic's t.
        """
        count, scales = noise.shape[0], len(self.bandwidths)
        if count % scales:
            raise InputError(
                f"{count} frequencies cannot be shared evenly by {scales} bandwidths; draw a "
                "multiple."
            )
        shared = np.repeat(np.array(self.bandwidths, np.float32), count // scales)[:, None]
        widths = 1.0 / shared
        if not self.is_gaussian:
            widths *= ops.sum(ops.square(noise[:, -2:]), axis=1, keepdims=True)
        return noise[:, :-2] * ops.sqrt(widths)


def kernel_for_dimension(name: str, scales: Sequence[float], dimension: int) -> Kernel:
    """The kernel for codes of `dimension` dimensions, its bandwidths in proportion to `dimension`.

    Two draws of N(0, I) lie 2 d apart in mean square, so a fixed bandwidth would see nothing in
    high dimensions. A Gaussian gets sigma^2 = d s for each scale s; an inverse multiquadratic gets
    C = 2 d s.
    """
    factor = 2.0 if name == "inverse_multiquadratic" else 1.0
    return Kernel(name, tuple(factor * dimension * scale for scale in scales))


def squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Squared Euclidean distances, by one matrix product: [n, d], [m, d] -> [n, m], all >= 0."""
    # A GPU's short products (TensorFloat-32) would be off by more than a narrow kernel's bandwidth.
    x, y = ops.cast(x, "float64"), ops.cast(y, "float64")
    norms_x = ops.sum(ops.square(x), axis=-1)
    norms_y = ops.sum(ops.square(y), axis=-1)
    distances = norms_x[:, None] - 2.0 * ops.matmul(x, ops.transpose(y)) + norms_y[None, :]
    return ops.cast(ops.maximum(distances, 0.0), "float32")


def mmd_squared(
    x: tf.Tensor, y: tf.Tensor, kernel: Kernel, estimator: str = "unbiased"
) -> tf.Tensor:
    """MMD^2 between two samples [n, d] and [m, d] (Gretton et al. 2012, eq. 3, 5 and lemma 14).

    The estimator is "unbiased" (as is "auto"), "biased" or "linear_time", which leaves out the rows
    that have no partner: the last one of an odd number, and where n and m differ those that the
    other sample lacks.
    """
    if estimator == "linear_time":
        return _linear_time(x, y, kernel)
    if estimator == "random_features":
        raise InputError(
            "Estimator 'random_features' compares with N(0, I) itself; use mmd_squared_to_normal."
        )
    estimator = "unbiased" if estimator == "auto" else estimator
    within = _mean_within(kernel, x, estimator) + _mean_within(kernel, y, estimator)
    return within - 2.0 * _mean_between(kernel, x, y)


def mmd_squared_to_normal(
    x: tf.Tensor,
    kernel: Kernel,
    estimator: str = "unbiased",
    frequencies: tf.Tensor | None = None,
) -> tf.Tensor:
    """MMD^2 between a sample and N(0, I), the expectations under N(0, I) in closed form.

    For a Gaussian kernel of variance s in d dimensions (Rustamov 2019, arXiv 1901.03227):

        E k(x, y)  = (s / (s + 1))^(d/2) exp(-|x|^2 / (2 (s + 1))),   y ~ N(0, I)
        E k(y, y') = (s / (s + 2))^(d/2)

    For random features, of any kernel: E_w |E exp(i w.x) - exp(-|w|^2 / 2)|^2.

    The estimate needs no draws from the prior, and has none of their variance.

    The kernel is Gaussian, or any for "random_features". The estimators "unbiased", "biased" and
    "linear_time" take pairs within `x`; "random_features" needs `frequencies` [D, d] as
    `Kernel.frequencies` gives them, and so does "auto" unless `x` is known to have few rows.
    """
    if estimator == "auto":
        return _by_size(
            ops.shape(x)[0],
            UNBIASED_ROWS,
            lambda x: mmd_squared_to_normal(x, kernel, "unbiased"),
            lambda x: mmd_squared_to_normal(x, kernel, "random_features", frequencies),
            x,
        )
    if estimator == "random_features":
        if frequencies is None:
            raise InputError(
                "Estimator 'random_features' needs frequencies; give kernel.frequencies(noise)."
            )
        return _by_random_features(x, frequencies)
    if not kernel.is_gaussian:
        raise InputError(
            f"Kernel {kernel.name!r} has no closed form against N(0, I); draw samples, or use "
            "estimator 'random_features'."
        )
    half = 0.5 * x.shape[-1]
    norms = ops.sum(ops.square(x), axis=-1)
    cross = prior = 0.0
    for variance in kernel.bandwidths:
        shrinkage = (variance / (variance + 1.0)) ** half
        cross += shrinkage * ops.mean(ops.exp(norms * (-0.5 / (variance + 1.0))))
        prior += (variance / (variance + 2.0)) ** half
    scales = len(kernel.bandwidths)
    if estimator == "linear_time":
        within = _mean_or_zero(kernel.between_rows(*_partners(x, ops.shape(x)[0])))
    else:
        within = _mean_within(kernel, x, estimator)
    return within - 2.0 * cross / scales + prior / scales


def mmd_squared_to_prior(
    x: tf.Tensor,
    kernel: Kernel,
    estimator: str,
    prior: tf.Tensor | None = None,
    noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """MMD^2 between a sample and N(0, I): `mmd_squared` or `mmd_squared_to_normal`.

    It compares with `prior`, draws from N(0, I) [m, d]; None takes the closed form. `noise` is
    draws from N(0, I) [D, d + 2 or more] for frequencies; None for estimators without.
    """
    if prior is not None:
        return mmd_squared(x, prior, kernel, estimator)
    frequencies = None if noise is None else kernel.frequencies(noise[:, : x.shape[1] + 2])
    return mmd_squared_to_normal(x, kernel, estimator, frequencies)


def _mean_within(kernel, x, estimator):
    """The mean of k over the pairs within `x` that the estimator takes."""
    if estimator not in ("unbiased", "biased"):
        raise InputError(
            f"Estimator {estimator!r} is not known. Known: auto, unbiased, biased, linear_time, "
            "random_features."
        )

    def dense(x):
        return _mean_over_pairs(kernel, x, estimator)

    def in_blocks(x):
        count = ops.cast(ops.shape(x)[0], "float64")
        total = mmd_blocks.sum_within(kernel, x)
        if estimator == "biased":
            return ops.cast(total / (count * count), "float32")
        # k(x, x) = 1.
        return ops.cast((total - count) / (count * ops.maximum(count - 1.0, 1.0)), "float32")

    return _by_size(ops.shape(x)[0], DENSE_ROWS, dense, in_blocks, x)


def _mean_between(kernel, x, y):
    def dense(x, y):
        return ops.mean(kernel(x, y))

    def in_blocks(x, y):
        pairs = ops.cast(ops.shape(x)[0], "float64") * ops.cast(ops.shape(y)[0], "float64")
        return ops.cast(mmd_blocks.sum_between(kernel, x, y) / pairs, "float32")

    return _by_size(_rows(max, ops.maximum, x, y), DENSE_ROWS, dense, in_blocks, x, y)


def _by_size(rows, limit, few, many, *samples):
    if isinstance(rows, int):
        return few(*samples) if rows <= limit else many(*samples)
    return mmd_blocks.by_size(rows, limit, few, many, *samples)


def _rows(of_numbers, of_tensors, x, y):
    """The larger or smaller number of rows, as a plain number where a graph knows both."""
    counts = ops.shape(x)[0], ops.shape(y)[0]
    known = all(isinstance(count, int) for count in counts)
    return (of_numbers if known else of_tensors)(*counts)


def _mean_over_pairs(kernel, x, estimator):
    """The mean of k within `x` by one table, with a gradient that takes the values' own slopes.

    Derived by hand (see `mmd_blocks`), it needs fewer operations than one derived through each of
    the kernel's scales. It has no second derivative.
    """

    @ops.custom_gradient
    def mean(x):
        values, slopes = kernel.values_and_slopes(squared_distances(x, x))
        count = ops.cast(ops.shape(x)[0], values.dtype)
        if estimator == "biased":
            pairs, total = count * count, ops.sum(values)
        else:
            # k(x, x) = 1, but the product leaves the diagonal a rounding error away from it.
            pairs = count * ops.maximum(count - 1.0, 1.0)
            total = ops.sum(values) - ops.trace(values)

        def gradient(*upstream):
            # As for distances: a GPU's short products would be off.
            wide, table = ops.cast(x, "float64"), ops.cast(slopes, "float64")
            pulls = ops.sum(table, axis=1, keepdims=True) * wide - ops.matmul(table, wide)
            return ops.cast(pulls, x.dtype) * (4.0 * upstream[0] / pairs)

        return total / pairs, gradient

    return mean(x)


def _linear_time(x, y, kernel):
    """The mean of h = k(x, x') + k(y, y') - k(x, y') - k(x', y) over pairs that share no row."""
    count = _rows(min, ops.minimum, x, y)
    x, next_x = _partners(x, count)
    y, next_y = _partners(y, count)
    within = kernel.between_rows(x, next_x) + kernel.between_rows(y, next_y)
    return _mean_or_zero(within - kernel.between_rows(x, next_y) - kernel.between_rows(next_x, y))


def _partners(x, count):
    """Rows 1, 3, ... and rows 2, 4, ... of the first `count`: [n, d] -> two of [count // 2, d]."""
    even = count // 2 * 2
    return x[0:even:2], x[1:even:2]


def _mean_or_zero(values):
    count = ops.cast(ops.shape(values)[0], values.dtype)
    return ops.sum(values) / ops.maximum(count, 1.0)


def _by_random_features(x, frequencies):
    """The mean over w of |c|^2 - 2 exp(-|w|^2 / 2) Re c + exp(-|w|^2), c the mean of exp(i w.x).

    |c|^2 is the U-statistic (n |c|^2 - 1) / (n - 1), pairs of different rows only.
    """
    # As for distances: short products would turn the angles.
    angles = ops.matmul(ops.cast(x, "float64"), ops.transpose(ops.cast(frequencies, "float64")))
    angles = ops.cast(angles, "float32")
    cosine, sine = ops.mean(ops.cos(angles), axis=0), ops.mean(ops.sin(angles), axis=0)
    of_prior = ops.exp(-0.5 * ops.sum(ops.square(frequencies), axis=1))
    power = ops.square(cosine) + ops.square(sine)
    count = ops.cast(ops.shape(x)[0], "float32")
    # A small difference of large numbers would lose digits that squares of differences keep.
    diagonal = ops.where(count > 1.0, (1.0 - power) / ops.maximum(count - 1.0, 1.0), power)
    return ops.mean(ops.square(cosine - of_prior) + ops.square(sine) - diagonal)
