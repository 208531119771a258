"""Directions of named features: found with the others held constant."""

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import Directions, find_directions

ROWS = 4000


@pytest.fixture(scope="module")
def generator():
    return np.random.default_rng(0)


def codes_of(*parts, generator, noise=0.01):
    """Codes of two layers, [n, 2] and [n, 1], that are sums of (column [n], direction [3])."""
    joined = sum(np.outer(column, direction) for column, direction in parts)
    joined = joined + noise * generator.standard_normal(joined.shape)
    return {"z_1": joined[:, :2].astype(np.float32), "z_2": joined[:, 2:].astype(np.float32)}


def test_an_attribute_is_found_with_its_companions_held_constant(generator):
    male = generator.random(ROWS) < 0.5
    # Women smile more often here.
    smiling = generator.random(ROWS) < np.where(male, 0.2, 0.8)
    codes = codes_of((male, [1, 0, 2]), (smiling, [0, 3, -1]), generator=generator)
    directions = find_directions(codes, {"Male": male, "Smiling": smiling})
    assert directions.names == ("Male", "Smiling")
    np.testing.assert_allclose(latents.join(directions.of("Smiling"))[0], [0, 3, -1], atol=0.01)
    np.testing.assert_allclose(latents.join(directions.of("Male"))[0], [1, 0, 2], atol=0.01)
    # The plain difference of means drags the other along.
    plain = codes["z_1"][smiling].mean(axis=0) - codes["z_1"][~smiling].mean(axis=0)
    assert plain[0] < -0.3


def test_a_factor_steps_by_its_deviation_whatever_its_unit(generator):
    yaw = generator.normal(7, 3, ROWS)
    codes = codes_of(((yaw - 7) / 3, [0.5, 0, 1]), generator=generator)
    for factor in (yaw, 1000 * yaw - 4):
        directions = find_directions(codes, {"yaw": factor.astype(np.float32)})
        np.testing.assert_allclose(latents.join(directions.of("yaw"))[0], [0.5, 0, 1], atol=0.02)


def test_a_class_steps_from_the_other_classes_to_itself(generator):
    digit = generator.integers(0, 3, ROWS)
    centres = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 3]], float)
    parts = [(digit == number, centre) for number, centre in enumerate(centres)]
    directions = find_directions(
        codes_of(*parts, generator=generator), {"label": digit}, {"label": ["nil", "one", "two"]}
    )
    assert directions.names == ("label=nil", "label=one", "label=two")
    shares = np.bincount(digit) / ROWS
    others = (shares[0] * centres[0] + shares[2] * centres[2]) / (shares[0] + shares[2])
    expected = centres[1] - others
    np.testing.assert_allclose(latents.join(directions.of("label=one"))[0], expected, atol=0.01)


def test_what_does_not_vary_has_no_direction(generator, caplog):
    codes = codes_of((generator.random(ROWS), [1, 1, 1]), generator=generator)
    labels = {
        "all": np.ones(ROWS, bool),
        "same": np.full(ROWS, 2.5, np.float32),
        "nothing": np.full(ROWS, np.nan, np.float32),
        "one_class": np.zeros(ROWS, np.int64),
    }
    assert find_directions(codes, labels).names == ()
    for name in labels:
        assert f"{name} does not vary" in caplog.text


def test_of_two_features_of_one_name_the_first_has_the_direction(generator, caplog):
    attribute, classes = generator.random(ROWS) < 0.5, generator.integers(0, 2, ROWS)
    means = codes_of((attribute, [1, 0, 0]), generator=generator)
    labels = {"c=x": attribute, "c": classes}
    directions = find_directions(means, labels, {"c": ["x", "y"]})
    assert directions.names == ("c=x", "c=y")
    np.testing.assert_allclose(directions.vectors["z_1"][0], [1, 0], atol=0.02)
    assert "Two features are called c=x" in caplog.text


def test_missing_values_of_a_factor_do_not_spoil_the_others(generator):
    light, attribute = generator.normal(size=ROWS), generator.random(ROWS) < 0.3
    codes = codes_of((light, [1, 0, 0]), (attribute, [0, 2, 0]), generator=generator)
    light[:40] = np.nan
    directions = find_directions(codes, {"light": light.astype(np.float32), "attribute": attribute})
    np.testing.assert_allclose(latents.join(directions.of("attribute"))[0], [0, 2, 0], atol=0.05)
    np.testing.assert_allclose(latents.join(directions.of("light"))[0], [1, 0, 0], atol=0.05)


def test_missing_values_of_attributes_and_classes_do_not_spoil_the_others(generator):
    """As if the images without them were not there, but for what these know of other labels."""
    smiling, digit = generator.random(ROWS) < 0.3, generator.integers(0, 3, ROWS)
    parts = (smiling, [0, 2, 0]), (digit == 1, [3, 0, 0]), (digit == 2, [0, 0, 3])
    codes = codes_of(*parts, generator=generator)
    whole = find_directions(codes, {"smiling": smiling, "digit": digit})
    unknown = smiling.astype(np.int8)
    unknown[:40] = digit[20:60] = -1
    partial = find_directions(codes, {"smiling": unknown, "digit": digit})
    assert partial.names == ("smiling", "digit=0", "digit=1", "digit=2")
    for name in whole.names:
        wanted, found = (latents.join(one.of(name)) for one in (whole, partial))
        np.testing.assert_allclose(found, wanted, atol=0.15)


def test_they_survive_the_disk_and_name_what_is_known(generator, tmp_path):
    attribute = generator.random(ROWS) < 0.3
    codes = codes_of((attribute, [0, 2, 0]), generator=generator)
    directions = find_directions(
        codes, {"a": attribute, "b": ~attribute & (generator.random(ROWS) < 0.5)}
    )
    directions.save(tmp_path / "directions.npz")
    read = Directions.load(tmp_path / "directions.npz")
    assert read.names == directions.names
    for name, vectors in directions.vectors.items():
        assert np.array_equal(read.vectors[name], vectors)
    with pytest.raises(InputError, match="Known: a, b"):
        read.of("c")
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "two_names.npz", names=["a", "b"], z_1=np.ones((1, 2)))
    np.savez(tmp_path / "words.npz", names=["a"], z_1=[["x"]])
    np.savez(tmp_path / "no_layer.npz", names=["a"])
    for name in ("broken", "two_names", "words", "no_layer"):
        with pytest.raises(InputError, match=f"{name}.npz cannot be read"):
            Directions.load(tmp_path / f"{name}.npz")


def test_labels_of_another_length_are_refused(generator):
    codes = codes_of((generator.random(10), [1, 1, 1]), generator=generator)
    with pytest.raises(InputError, match="for 10 codes"):
        find_directions(codes, {"a": np.ones(9, bool)})


def test_editing_adds_the_direction_in_the_layers_asked_for(generator):
    codes = codes_of((generator.random(6), [1, 1, 1]), generator=generator)
    direction = {"z_1": np.array([[1, 2]], np.float32), "z_2": np.array([[3]], np.float32)}
    edited = latents.edit(codes, direction, strength=np.arange(6), layer_weights=[0, 0.5])
    assert np.array_equal(edited["z_1"], codes["z_1"])
    np.testing.assert_allclose(edited["z_2"][:, 0], codes["z_2"][:, 0] + 1.5 * np.arange(6))
    weights = np.eye(2)[[0, 1, 0, 1, 0, 1]]
    by_row = latents.edit(codes, direction, layer_weights=weights)
    np.testing.assert_allclose(by_row["z_1"][0], codes["z_1"][0] + [1, 2])
    assert np.array_equal(by_row["z_1"][1], codes["z_1"][1])
    with pytest.raises(
        InputError, match=r"shape \[1, 3\]; 2 latent layers need \[2\] or \[rows, 2\]"
    ):
        latents.edit(codes, direction, layer_weights=[1, 1, 1])
