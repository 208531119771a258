"""The presets: the networks and kernels that they describe, and their way through JSON."""

import itertools
import json

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config, known_datasets, presets_of, unversioned
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.model import mmd
from tf_mmdvlae.model.mmdvlae import MMDVLAE

EVERY_PRESET = [(dataset, preset) for dataset in known_datasets() for preset in presets_of(dataset)]


@pytest.mark.parametrize(("dataset", "preset"), EVERY_PRESET)
def test_every_preset_makes_a_network_of_the_right_shape(dataset, preset):
    config = presets_of(dataset)[preset]
    layers = len(config.model.latent_dims)
    model = MMDVLAE(config.model, fade_in=config.train.fade_in(layers))
    image = np.full((1, *config.model.image_shape), 0.5, np.float32)
    means, deviations = model.encode(image)
    for codes in (means, deviations):
        assert list(codes) == [f"z_{layer + 1}" for layer in range(layers)]
        assert [code.shape[1] for code in codes.values()] == list(config.model.latent_dims)
    again = model.decode(means)
    assert again.shape == image.shape
    assert np.isfinite(again).all()


@pytest.mark.parametrize("dataset", [d for d in known_datasets() if "paper" in presets_of(d)])
def test_the_paper_s_kernel(dataset):
    """exp(-|x - y|^2 / d^2), Xu 2018."""
    model = presets_of(dataset)["paper"].model
    for dimension in model.latent_dims:
        x, y = np.random.default_rng(0).standard_normal((2, 5, dimension)).astype(np.float32)
        kernel = mmd.kernel_for_dimension(model.kernel, model.scales, dimension)
        squared = np.square(x[:, None] - y[None]).sum(axis=-1)
        np.testing.assert_allclose(kernel(x, y), np.exp(-squared / dimension**2), rtol=1e-5)


@pytest.mark.parametrize(("dataset", "preset"), EVERY_PRESET)
def test_every_preset_survives_json_and_fades_in(dataset, preset):
    config = get_config(dataset, preset)
    assert unversioned(config.data.dataset) == dataset
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    layers = len(config.model.latent_dims)
    fade_in = config.train.fade_in(layers)
    if config.train.progressive:
        assert len(fade_in) == layers
        assert fade_in[-1] == (0, 0)
        assert all(low[0] >= high[1] for low, high in itertools.pairwise(fade_in))
        assert fade_in[0][1] < config.train.steps


def test_every_dataset_of_the_design_has_presets():
    named = {"mnist", "fashion_mnist", "celeb_a", "svhn_cropped", "cifar10"}
    assert named | {"synthetic_faces", "image_folder"} <= set(known_datasets())


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(InputError, match="Known: default, paper"):
        get_config("mnist", "best")


def test_a_version_of_a_data_set_has_the_presets_of_the_data_set():
    config = get_config("synthetic_faces:1.0.0", "small")
    small = get_config("synthetic_faces", "small")
    assert config == small.changed(data={"dataset": "synthetic_faces:1.0.0"})
    with pytest.raises(InputError, match=r"Known: default, small, long, demo"):
        get_config("synthetic_faces:1.0.0", "paper")
