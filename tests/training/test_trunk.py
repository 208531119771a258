"""A run with an encoder of one's own: its folder keeps it, and whatever reads the folder has it."""

import keras
import numpy as np
import pytest
from keras import layers

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation.evaluate import run_subject
from tf_mmdvlae.serving.loaded import load
from tf_mmdvlae.training.run import Run, load_run
from tf_mmdvlae.training.train import train


@pytest.fixture
def trunk():
    images = keras.Input((8, 8, 1))
    low = layers.Conv2D(3, 3, strides=2, activation="relu")(images)
    return keras.Model(images, [low, layers.Flatten()(low)], name="sketch")


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_run_keeps_its_trunk(run_config, replace, trunk, images, tmp_path, capsys):
    work, start = tmp_path / "work", trunk.get_weights()
    config = replace(run_config, "train.steps", 4)
    result = train(config, work, tmp_path / "export", trunk=trunk)
    assert "encoder sketch, 30 parameters" in capsys.readouterr().out
    model, served = load_run(work), load(result.export)
    assert model.trunk.name == "sketch" == served.manifest["trunk"]
    assert "the Keras model `sketch`" in (result.export / "assets.extra/README.md").read_text()
    for code, given in zip(model.encode(images), served.encode(images), strict=True):
        np.testing.assert_allclose(given["z_1"], code["z_1"], atol=1e-6)
    assert result.metrics["parameters"] == model.count_params()
    # An untrained encoder of the config's blocks would be no measure for this one.
    assert run_subject(work).seed is None

    # Who goes on need not give it again; it begins as it was given.
    longer = Run(run_config, work)
    longer.admit_trunk()
    for kept in (trunk, longer.trunk, longer.make_model().trunk):
        assert all(map(np.array_equal, kept.get_weights(), start))
    assert longer.restore(again := longer.make_model()) == 4
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))
    assert not np.array_equal(again.trunk.get_weights()[0], start[0])

    dense = layers.Dense(2)(layers.Flatten()(trunk.inputs[0]))
    other = keras.Model(trunk.inputs, [dense, dense])
    with pytest.raises(InputError, match="holds a run with another trunk, or with none"):
        train(config, work, tmp_path / "export", trunk=other)


def test_a_run_without_a_trunk_stays_without(finished_run, run_config, trunk):
    with pytest.raises(InputError, match="holds a run with another trunk, or with none"):
        train(run_config, *finished_run[:2], trunk=trunk)
