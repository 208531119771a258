"""Squared maximum mean discrepancy (MMD^2): kernels, estimators, closed forms against N(0, I).

For a kernel k and distributions p, q (Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 1):

    MMD^2(p, q) = E k(x, x') - 2 E k(x, y) + E k(y, y'),   x, x' ~ p;  y, y' ~ q

All functions take float32 tensors of shape [n, d], one row a sample, and work eagerly and compiled.
"""

import dataclasses

from keras import ops

from tf_mmdvlae.errors import InputError


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel with its bandwidths; values are averaged over them, so that 0 < k(x, y) <= 1.

    With r^2 = |x - y|^2:

    * "gaussian", "multiscale_gaussian": exp(-r^2 / (2 b)), b the variance sigma^2;
    * "inverse_multiquadratic": b / (b + r^2), as in Wasserstein autoencoders (Tolstikhin et al.
      2018, arXiv 1711.01558).

    Attributes:
      name: one of the three.
      bandwidths: one b or several, each above 0, in squared units of the samples.
    """

    name: str
    bandwidths: tuple[float, ...]

    def __post_init__(self):
        if self.name not in ("gaussian", "multiscale_gaussian", "inverse_multiquadratic"):
            raise InputError(
                f"Kernel {self.name!r} is not known. Known: gaussian, multiscale_gaussian, "
                "inverse_multiquadratic."
            )
        if not self.bandwidths or min(self.bandwidths) <= 0:
            raise InputError(f"Kernel bandwidths are {self.bandwidths}; they must be above 0.")

    @property
    def is_gaussian(self):
        """Whether the closed forms against N(0, I) hold."""
        return self.name != "inverse_multiquadratic"

    def __call__(self, x, y):
        """Gram matrix k(x_i, y_j): [n, d], [m, d] -> [n, m]."""
        distances = squared_distances(x, y)
        if self.is_gaussian:
            values = [ops.exp(distances * (-0.5 / b)) for b in self.bandwidths]
        else:
            values = [b / (b + distances) for b in self.bandwidths]
        return sum(values) / len(values)


def kernel_for_dimension(name, scales, dimension):
    """The kernel for codes of `dimension` dimensions, its bandwidths in proportion to `dimension`.

    Two draws of N(0, I) lie 2 d apart in mean square, so a fixed bandwidth would see nothing in
    high dimensions. A Gaussian gets sigma^2 = d s for each scale s; an inverse multiquadratic gets
    C = 2 d s.
    """
    factor = 2.0 if name == "inverse_multiquadratic" else 1.0
    return Kernel(name, tuple(factor * dimension * scale for scale in scales))


def squared_distances(x, y):
    """Squared Euclidean distances, by one matrix product: [n, d], [m, d] -> [n, m], all >= 0."""
    # A GPU's short products (TensorFloat-32) would be off by more than a narrow kernel's bandwidth.
    x, y = ops.cast(x, "float64"), ops.cast(y, "float64")
    norms_x = ops.sum(ops.square(x), axis=-1)
    norms_y = ops.sum(ops.square(y), axis=-1)
    distances = norms_x[:, None] - 2.0 * ops.matmul(x, ops.transpose(y)) + norms_y[None, :]
    return ops.cast(ops.maximum(distances, 0.0), "float32")


def mmd_squared(x, y, kernel, estimator="unbiased"):
    """MMD^2 between two samples (Gretton et al. 2012, eq. 3 and 5).

    Args:
      x: [n, d] float tensor.
      y: [m, d] float tensor.
      kernel: a `Kernel`.
      estimator: "unbiased" (U-statistic: pairs of different rows; may fall below 0; the mean over
        no pairs, with one row, counts as 0) or "biased" (V-statistic: all pairs; never below 0).

    Returns:
      A scalar.
    """
    return (
        _mean_over_pairs(kernel(x, x), estimator)
        + _mean_over_pairs(kernel(y, y), estimator)
        - 2.0 * ops.mean(kernel(x, y))
    )


def mmd_squared_to_normal(x, kernel, estimator="unbiased"):
    """MMD^2 between a sample and N(0, I), the expectations under N(0, I) in closed form.

    For a Gaussian kernel of variance s in d dimensions (Rustamov 2019, arXiv 1901.03227):

        E k(x, y)  = (s / (s + 1))^(d/2) exp(-|x|^2 / (2 (s + 1))),   y ~ N(0, I)
        E k(y, y') = (s / (s + 2))^(d/2)

    No draws from the prior are needed, and their variance is gone.

    Args:
      x: [n, d] float tensor.
      kernel: a Gaussian `Kernel`, of one bandwidth or several.
      estimator: "unbiased" or "biased", of the pairs within `x`.

    Returns:
      A scalar.

    Raises:
      InputError: if the kernel is not Gaussian.
    """
    if not kernel.is_gaussian:
        raise InputError(
            f"Kernel {kernel.name!r} has no closed form against N(0, I); draw samples."
        )
    half = 0.5 * x.shape[-1]
    norms = ops.sum(ops.square(x), axis=-1)
    cross = 0.0
    prior = 0.0
    for variance in kernel.bandwidths:
        shrinkage = (variance / (variance + 1.0)) ** half
        cross += shrinkage * ops.mean(ops.exp(norms * (-0.5 / (variance + 1.0))))
        prior += (variance / (variance + 2.0)) ** half
    scales = len(kernel.bandwidths)
    within = _mean_over_pairs(kernel(x, x), estimator)
    return within - 2.0 * cross / scales + prior / scales


def _mean_over_pairs(gram, estimator):
    count = ops.cast(ops.shape(gram)[0], gram.dtype)
    if estimator == "biased":
        return ops.sum(gram) / (count * count)
    if estimator == "unbiased":
        # k(x, x) = 1, but the matrix product leaves the diagonal a rounding error away from it.
        return (ops.sum(gram) - ops.trace(gram)) / (count * ops.maximum(count - 1.0, 1.0))
    raise InputError(f"Estimator {estimator!r} is not known. Known: unbiased, biased.")
