"""Factors, and codes that hold them, for the tests of all scores."""

import math

import numpy as np
import pytest

from tf_mmdvlae.metrics.disentanglement.factor_table import factor_table


def _drawn_factors(rows, seed):
    random = np.random.default_rng(seed)
    return {
        "light": random.uniform(-70, 70, rows).astype(np.float32),
        "hat": random.random(rows) < 0.4,
        "hair": random.integers(0, 4, rows),
        "yaw": random.uniform(-30, 30, rows),
    }


def _copied(factors, turned=False):
    """Codes of two layers, each a copy of two factors, one a dimension or turned by 45 degrees."""
    columns = {name: np.asarray(values, float) for name, values in factors.items()}
    columns = {name: (v - v.mean()) / v.std() for name, v in columns.items()}
    turn = np.array([[1, 1], [-1, 1]]) / math.sqrt(2) if turned else np.eye(2)
    return {
        "z_1": np.stack([columns["light"], columns["hat"]], axis=1) @ turn,
        "z_2": np.stack([columns["hair"], columns["yaw"]], axis=1) @ turn,
    }


def _noise(rows, dims, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dims))


def _table_of(codes, factors, seed=0):
    return factor_table(codes, factors, 10_000, np.random.default_rng(seed))


@pytest.fixture(scope="session")
def drawn_factors():
    """`drawn_factors(rows, seed)`: two continuous factors, an attribute and four classes."""
    return _drawn_factors


@pytest.fixture(scope="session")
def copied():
    """`copied(factors, turned=False)`: two layers of two dimensions that are these factors."""
    return _copied


@pytest.fixture(scope="session")
def noise():
    """`noise(rows, dims, seed=0)`: codes from N(0, I)."""
    return _noise


@pytest.fixture(scope="session")
def table_of():
    """`table_of(codes, factors, seed=0)`: their `FactorTable`."""
    return _table_of
