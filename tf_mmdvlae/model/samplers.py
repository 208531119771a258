"""Where new codes are drawn from: the prior, or mixtures fitted to the codes of training images.

However well a model is trained, its codes do not fill the prior evenly, and a draw from a region
without codes decodes to a poor image. A density fitted to the codes after training draws where the
images lie, and the model stays as it is ("ex-post density estimation": Ghosh et al. 2020, From
variational to deterministic autoencoders, arXiv 1903.12436).
"""

from __future__ import annotations

import dataclasses
import pathlib
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_arrays, write_arrays
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

# A fit takes at most this many codes, drawn by lot.
MOST_CODES = 20_000
# The numbers of components that are tried where none is given.
COMPONENTS = (1, 4, 12, 36)
# The likelihood grows most in the first steps, and a finished run must not wait long for its fits.
_ITERATIONS = 30
# Least variance along any direction, in units of the widest dimension's: a component that shrank
# onto one code would have a likelihood without bound.
_LEAST_VARIANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A mixture of K Gaussians over all dimensions, D = d_1 + ... + d_L, lowest layer first.

    Attributes:
      weights: of the components [K], float64, which sum to one.
      means: of the components [K, D], float32.
      factors: lower Cholesky factors of their covariances [K, D, D], float32.
    """

    latent_dims: tuple[int, ...]
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def check(self) -> None:
        """Raises a ValueError for arrays of other shapes, or that describe no mixture."""
        size, total = len(self.weights), sum(self.latent_dims)
        shapes = {"weights": (size,), "means": (size, total), "factors": (size, total, total)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{name} are {array.dtype} {list(array.shape)}, not {list(shape)}")
        if not (size and min(self.weights) >= 0 and np.isclose(self.weights.sum(), 1)):
            raise ValueError("the weights do not sum to one")

    def sample(self, n: int, seed: int | np.random.Generator, temperature: float = 1.0) -> Latents:
        """Draws codes [n, d_l]: component k by its weight, then mean_k + temperature * factor_k e.

        A seed, a whole number >= 0, gives the same draws each time; a NumPy generator goes on from
        where it is. The temperature scales the deviations e ~ N(0, I) from the means: at 0 only
        means are drawn, and one below 0 or not finite is an InputError.
        """
        if not 0 <= temperature < np.inf:
            raise InputError(f"The temperature is {temperature}; it must be a number from 0 up.")
        generator = np.random.default_rng(seed)
        components = generator.choice(len(self.weights), n, p=self.weights)
        noise = generator.standard_normal((n, sum(self.latent_dims)), np.float32)
        deviations = np.float32(temperature) * noise
        codes = self.means[components]
        for component in np.unique(components):
            rows = components == component
            codes[rows] += deviations[rows] @ self.factors[component].T
        return latents.split(codes, self.latent_dims)


@dataclasses.dataclass(frozen=True)
class LayerMixtures:
    """A mixture for each layer, lowest first, independent of each other as layers of the prior."""

    mixtures: tuple[Mixture, ...]

    def sample(self, n: int, seed: int | np.random.Generator, temperature: float = 1.0) -> Latents:
        """Draws codes, each layer on its own; otherwise as `Mixture.sample`."""
        generator = np.random.default_rng(seed)
        samples = [mixture.sample(n, generator, temperature)["z_1"] for mixture in self.mixtures]
        return {f"z_{layer}": codes for layer, codes in enumerate(samples, start=1)}


@dataclasses.dataclass(frozen=True)
class Samplers:
    """The mixtures fitted to the codes of one model.

    `joint` is over all layers joined, so that it keeps their dependence on each other; `layers` is
    over each layer by itself.
    """

    joint: Mixture
    layers: LayerMixtures

    @property
    def latent_dims(self) -> tuple[int, ...]:
        """The dimensions of the layers, lowest first."""
        return self.joint.latent_dims

    @property
    def prior(self) -> Mixture:
        """The prior N(0, I) of the same layers, as a `Mixture` of one component."""
        return prior(self.latent_dims)

    def save(self, path: pathlib.Path | str) -> None:
        """Writes them to a .npz file, whole or not at all."""
        dims, mixtures = self.joint.latent_dims, [self.joint, *self.layers.mixtures]
        arrays = {
            f"{name}_{part}": getattr(mixture, part)
            for (name, _), mixture in zip(_names_and_dims(dims), mixtures, strict=True)
            for part in _PARTS
        }
        write_arrays(path, {"latent_dims": np.array(dims)} | arrays)

    @classmethod
    def load(cls, path: pathlib.Path | str) -> Samplers:
        """Reads what `save` wrote; raises an InputError for a file that cannot be read."""
        arrays = read_arrays(path)
        try:
            dims = tuple(map(int, arrays["latent_dims"]))
            joint, *layers = (
                Mixture(of, *(arrays[f"{name}_{part}"] for part in _PARTS))
                for name, of in _names_and_dims(dims)
            )
            for mixture in (joint, *layers):
                mixture.check()
        except KeyError as error:
            raise InputError(f"{path} cannot be read: it has no {error}") from error
        except (TypeError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        return cls(joint, LayerMixtures(tuple(layers)))


def prior(latent_dims: tuple[int, ...]) -> Mixture:
    """The prior N(0, I) of layers of `latent_dims` as a `Mixture` of one component."""
    total = sum(latent_dims)
    mean, factor = np.zeros(total, np.float32), np.eye(total, dtype=np.float32)
    return Mixture(latent_dims, np.ones(1), mean[None], factor[None])


_PARTS = ("weights", "means", "factors")


def _names_and_dims(latent_dims):
    """What each mixture is called in a file, and the layers that it is over."""
    layers = [(f"layer_{layer}", (dim,)) for layer, dim in enumerate(latent_dims, start=1)]
    return [("joint", latent_dims), *layers]


def fit_samplers(codes: Latents, components: int | None = None, seed: int = 0) -> Samplers:
    """Fits a mixture to all layers joined, and one to each layer by itself.

    Expectation maximisation with full covariances starts from k-means and takes at most 30 steps,
    on at most `MOST_CODES` codes. Without a number of components, each fit tries those of
    `COMPONENTS` in rising order and takes the mixture with the smallest BIC; it stops after two
    that are worse than the best, and before a mixture that has more parameters than there are
    codes. In no direction is a deviation below a hundredth of the widest dimension's.

    Args:
      codes: posterior samples of the training images [n, d_l], n >= 2. (Means lie closer together
        than the codes that the decoder was trained on.)
      components: how many components each mixture has; None leaves it to BIC (Schwarz 1978).
      seed: of the lot and of k-means; the same seed gives the same mixtures.

    Raises:
      InputError: for fewer codes, codes that are not finite, or components that are not 1 to n.
    """
    codes = latents.check(codes)
    rows = latents.row_count(codes)
    if rows < 2:
        raise InputError(f"A mixture needs at least 2 codes to be fitted to; there is {rows}.")
    most = min(rows, MOST_CODES)
    if components is not None and not 1 <= components <= most:
        raise InputError(f"components={components} for {rows} codes; give 1 to {most}.")
    generator = np.random.default_rng(seed)
    if rows > MOST_CODES:
        codes = latents.take(codes, generator.choice(rows, MOST_CODES, replace=False))
    if not all(np.isfinite(layer).all() for layer in codes.values()):
        raise InputError("The codes hold values that are not finite.")
    dims = latents.dimensions(codes)

    def fit(part, of):
        return _fit(part, of, components, int(generator.integers(2**32)))

    # Two threads that wait for each other on busy cores take longer than one, and the sums of one
    # thread do not depend on the number of cores.
    with threadpool_limits(1):
        joint = fit(latents.join(codes), dims)
        layers = [fit(layer, layer.shape[1:]) for layer in codes.values()] if dims[1:] else [joint]
    return Samplers(joint, LayerMixtures(tuple(layers)))


def _fit(codes, latent_dims, components, seed):
    # One unit for all dimensions, so that k-means sees which of them are wide.
    centre = codes.mean(axis=0, dtype=np.float64)
    scale = codes.std(axis=0, dtype=np.float64).max() or 1.0
    codes = (codes - centre) / scale
    best, lowest, worse = None, np.inf, 0
    for count in _candidates(codes) if components is None else [components]:
        mixture = GaussianMixture(
            count, max_iter=_ITERATIONS, reg_covar=_LEAST_VARIANCE, random_state=seed
        )
        with warnings.catch_warnings():
            # Its steps are capped on purpose, and equal codes make fewer clusters than asked for.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(codes)
        bic = mixture.bic(codes)
        if bic < lowest:
            best, lowest, worse = mixture, bic, 0
        else:
            worse += 1
        if worse == 2:
            break
    return Mixture(
        latent_dims,
        best.weights_ / best.weights_.sum(),
        (centre + scale * best.means_).astype(np.float32),
        (scale * np.linalg.cholesky(best.covariances_)).astype(np.float32),
    )


def _candidates(codes):
    rows, dimensions = codes.shape
    parameters = 1 + dimensions + dimensions * (dimensions + 1) // 2
    return [count for count in COMPONENTS if count == 1 or count * parameters <= rows]
