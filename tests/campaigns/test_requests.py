"""Signatures with extreme numbers, unknown words and bad rows among good ones."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.campaigns import mutation
from tf_mmdvlae.serving.loaded import load

EXTREMES = np.float32(
    [np.nan, np.inf, -np.inf, 1e20, -1e20, 3e38, -3e38, 1e-45, 1e-38, -0.0, 0, 1, -1, 2, 0.5, 255]
)
WORDS = [b"", b"\xff\xfe", b"class=oddly", b"class=odd ", "größe".encode(), b"$x^2$" * 900, b"\0"]


@pytest.fixture(scope="module")
def served(finished_run):
    return load(finished_run[1])


def a_good_row(spec, served, generator):
    shape = spec.shape[1:]
    if spec.name == "attribute":
        return str(generator.choice(served.attributes)).encode()
    if spec.dtype == tf.string:
        return mutation.picture(generator, str(generator.choice(["PNG", "JPEG"])))
    if spec.dtype == tf.int64:
        return np.int64(generator.integers(-(2**63), 2**63 - 1))
    if len(shape) == 3 or spec.name in ("detail", "t", "temperature"):
        return generator.uniform(0, 1, shape).astype(np.float32)
    return generator.normal(size=shape).astype(np.float32)


def an_odd_row(spec, good, generator):
    """The good row with one value or more that may be wrong."""
    if spec.name == "attribute":
        return WORDS[generator.integers(len(WORDS))]
    if spec.dtype == tf.string:
        return mutation.mutated(good, generator)
    if spec.dtype == tf.int64:
        return np.int64(generator.choice([-(2**63), 2**63 - 1, 0, -1]))
    odd = np.array(good)
    places = generator.random(odd.shape) < generator.choice([0.02, 0.5, 1.0])
    extreme = generator.choice(EXTREMES, odd.shape).astype(np.float32)
    return np.where(places, extreme, odd)


def called(function, rows):
    """The outputs for rows, a list of dicts of inputs."""
    inputs = {name: [row[name] for row in rows] for name in rows[0]}
    inputs = {
        name: tf.constant(values if isinstance(values[0], bytes) else np.stack(values))
        for name, values in inputs.items()
    }
    return {name: value.numpy() for name, value in function(**inputs).items()}


def require_whole(outputs):
    """No NaN without a reason, no reason without NaN."""
    errors = outputs["error"]
    for name, values in outputs.items():
        if name == "error":
            continue
        for value, error in zip(values, errors, strict=True):
            is_empty = np.array([value == b""] if values.dtype == object else np.isnan(value))
            assert is_empty.all() if error else not is_empty.any(), f"{name}: {error}"
            if not error and values.dtype != object:
                assert np.isfinite(value).all(), f"{name} is infinite"
    for error in errors:
        assert len(error.decode("ascii")) < 1000


@pytest.mark.slow
def test_requests(campaign, served):
    functions = {name: each for name, each in served.signatures.items() if "serving" not in name}

    def attempt(generator):
        name = str(generator.choice(list(functions)))
        function = functions[name]
        specification = function.structured_input_signature[1].values()
        count = int(generator.integers(1, 6))
        good = [
            {spec.name: a_good_row(spec, served, generator) for spec in specification}
            for _ in range(count)
        ]
        among = [dict(row) for row in good]
        is_odd = generator.random(count) < 0.5
        for row in itertools.compress(among, is_odd):
            spec = generator.choice(list(specification))
            row[spec.name] = an_odd_row(spec, row[spec.name], generator)
        expected, outputs = called(function, good), called(function, among)
        require_whole(expected)
        require_whole(outputs)
        assert not any(expected["error"]), expected["error"]
        for key, values in outputs.items():
            for row in np.flatnonzero(~is_odd):
                assert np.array_equal(values[row], expected[key][row]), (
                    f"{name}: {key} of row {row}"
                )
        return any(outputs["error"])

    campaign(attempt, short=30, minutes=3)
