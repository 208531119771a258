"""Fields that a person typed, and what is refused."""

import shlex

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.overrides import as_flags, override
from tf_mmdvlae.config.settings import Config


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model.latent_dims", "2,3", (2, 3)),
        ("model.latent_dims", "4", (4,)),
        ("model.mmd_weights", "5", 5.0),
        ("model.mmd_weights", "1,2,3,4", (1.0, 2.0, 3.0, 4.0)),
        ("model.reconstruction_weight", "None", None),
        ("train.learning_rate", "1e-4", 1e-4),
        ("train.progressive", "false", False),
        ("data.listing", "0.2", "0.2"),
        ("data.labels", "7", "7"),
        ("data.train_split", "train[:50000]", "train[:50000]"),
        (
            "model.blocks",
            "(('conv8/2',),('conv8/2','dense9'),('dense3',),('dense3',))",
            (("conv8/2",), ("conv8/2", "dense9"), ("dense3",), ("dense3",)),
        ),
        (
            "model.blocks",
            "conv8/2 | conv8/2 dense9 | dense3|dense3 ",
            (("conv8/2",), ("conv8/2", "dense9"), ("dense3",), ("dense3",)),
        ),
    ],
)
def test_override(path, text, value):
    config = override(Config(), [(path, text)])
    section, field = path.split(".")
    assert getattr(getattr(config, section), field) == value


@pytest.mark.parametrize("name", ["paper", "default"])
def test_settings_as_flags_are_read_as_they_are(name):
    config = get_config("mnist", name).changed(
        model={"mmd_weights": (1.0, 2.0, 3.5), "reconstruction_weight": None},
        data={"image_dir": "my pictures/a'b"},
        train={"learning_rate": 1e-5, "progressive": False},
    )
    words = shlex.split(" ".join(as_flags(config)))
    changes = [word.removeprefix("--config.").partition("=")[::2] for word in words]
    assert override(Config(), changes) == config


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("train.lr", "1", "Known: steps, batch_size, learning_rate"),
        ("learning_rate", "1", "Known: model.image_shape, .*train.learning_rate"),
        ("train.steps", "1.5", "must be a whole number"),
        ("train.steps", "0", "at least 1"),
        ("train.learning_rate", "-1", "above 0"),
        ("train.learning_rate", "nan", "must be a finite number"),
        ("train.learning_rate", "1e999", "must be a finite number"),
        ("train.learning_rate", "1" + "0" * 400, "must be a finite number"),
        ("model.mmd_weights", "1,1e999", "a finite number or numbers with commas between them"),
        ("model.reconstruction_weight", "much", "must be a finite number or None"),
        ("model.latent_dims", "{[1]}", "must be whole numbers with commas"),
        ("model.latent_dims", "(" * 5000, "must be whole numbers with commas"),
        ("model.latent_dims", "-" * 5000 + "1", "must be whole numbers with commas"),
        ("train.batch_size", "1", "at least 2"),
        ("data.flip", "yes", "must be true or false"),
        ("data.crop", "0", "in \\(0, 1\\]"),
        ("data.cache", "ram", "auto, memory, disk, none"),
        ("model.kernel", "rbf", "gaussian, multiscale_gaussian"),
        ("model.mmd_weights", "-1", "not be below 0"),
        ("model.mmd_weights", "1,2", "2 numbers for 4 latent layers"),
        ("model.latent_dims", "2,3,4,5,6", "5 layers .* only 4 blocks.*--latent_dims=3,4,5,6"),
        ("model.image_shape", "28,28,1", "--image_size brings blocks that fit"),
        ("model.image_shape", "30,30,3", "all strides divide"),
        ("model.blocks", "conv8/2 | | dense9 | dense9", "have an operation in each block"),
        (
            "model.blocks",
            "conv8 | dense9 | dense9 | dense9",
            "blocks holds 'conv8'; it takes conv<filters>/<stride>",
        ),
        ("model.blocks", "3", 'must be blocks, such as "conv16/2 conv32/2 . dense256"'),
        ("model.image_shape", "64,64,2", "1 or 3 channels"),
        ("model.kernel", "inverse_multiquadratic", "prior=sampled or .*estimator=random_features"),
        ("model.estimator", "exact", "auto, unbiased, biased, linear_time, random_features"),
        ("model.random_features", "0", "at least 1"),
        ("model.kernel_scales", "0", "above 0"),
        ("model.info_vae_alpha", "0.5", "given together"),
        ("model.kernel", "3", "must be one of gaussian"),
        ("train.seed", "-1", "at least 0"),
        ("train.seed", "4294967296", "below 2\\*\\*32"),
        ("train.decay_start", "1.1", "in \\[0, 1\\]"),
        ("data.test_fraction", "1", "in \\(0, 1\\)"),
        ("train.first_stage", "0.9", "leave layer 1 no step"),
    ],
)
def test_what_is_refused(path, text, message):
    with pytest.raises(InputError, match=message):
        override(Config(), [(path, text)]).train.fade_in(4)


def test_fields_that_fit_only_each_other_change_together():
    changes = [
        ("model.image_shape", "8,8,1"),
        ("model.latent_dims", "2"),
        ("model.blocks", "(('conv4/2',),)"),
    ]
    assert override(Config(), changes).model.image_shape == (8, 8, 1)


@pytest.mark.parametrize("text", ["1_0", "0x10", "\N{ARABIC-INDIC DIGIT ONE}0"])
def test_what_only_python_takes_for_a_number(text):
    with pytest.raises(InputError, match=f"train.steps is '{text}'; it must be a whole number"):
        override(Config(), [("train.steps", text)])
    assert override(Config(), [("data.image_dir", "2024_05")]).data.image_dir == "2024_05"
