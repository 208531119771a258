"""Settings are read from files, and their fields are compared with what they may hold."""

import json
import typing

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

# config.json of a run of version 0.1.0.
VERSION_0_1 = """{
  "model": {"image_shape": [28, 28, 1], "latent_dims": [2, 2, 2],
    "blocks": [["conv16/2", "conv32/2", "dense256"], ["dense256"], ["dense256", "dense256"]],
    "shared_trunk": true, "head_width": 0, "merge": "gated_add", "normalization": "batch",
    "deviation_floor": 0.02, "nested_dropout": 0.25, "reconstruction": "l1",
    "reconstruction_weight": 100.0, "mmd_weights": 100.0, "joint_mmd_weight": 30.0,
    "kl_weights": 0.0, "info_vae_alpha": null, "info_vae_lambda": null,
    "kernel": "multiscale_gaussian", "kernel_scales": null, "estimator": "auto",
    "random_features": 1024, "prior": "closed_form"},
  "data": {"dataset": "mnist", "data_dir": "/data", "train_split": "train", "test_split": "test",
    "image_dir": null, "labels": null, "test_fraction": 0.1, "crop": 1.0, "flip": false,
    "cache": "auto"},
  "train": {"steps": 13000, "batch_size": 128, "learning_rate": 0.0015, "decay_start": 0.35,
    "seed": 0, "progressive": true, "first_stage": 0.15, "stage": 0.08, "fade": 1.0,
    "init_from": null, "log_every": 100, "checkpoint_every": 500, "keep_checkpoints": 2,
    "precision": "float32", "xla": "auto", "steps_per_execution": 1, "distribute": "none",
    "on_divergence": "stop"}
}"""


def test_a_file_of_version_0_1_is_read():
    stored = json.loads(VERSION_0_1)
    config = Config.from_dict(stored)
    # A setting that the file lacks means what it meant then.
    stored["model"]["initial_deviation"] = 0.5
    stored["data"]["listing"] = "0.3"
    stored["train"]["ancestors"] = []
    stored["train"]["continued_from"] = 0
    stored["train"]["batch_statistics"] = "auto"
    stored["train"]["exchange_precision"] = "auto"
    stored["train"]["stop_after"] = 0
    assert json.loads(json.dumps(config.to_dict())) == stored
    stored = json.loads(VERSION_0_1)
    stored["train"]["distribute"] = "multi_worker"
    train = Config.from_dict(stored).train
    assert (train.batch_statistics, train.exchange_precision) == ("whole", "float32")


@pytest.mark.parametrize(
    ("choice", "whole"),
    [("auto", (False, False, True)), ("own", (False,) * 3), ("whole", (False, True, True))],
)
def test_small_parts_of_a_batch_are_normalized_together(choice, whole):
    train = TrainConfig(batch_size=124, batch_statistics=choice)
    assert tuple(map(train.sees_whole_batch, (1, 3, 4))) == whole


@pytest.mark.parametrize("cls", [ModelConfig, DataConfig, TrainConfig])
def test_every_choice_of_every_field_is_taken_and_no_other(cls):
    # What one field takes may need another: these fields fit each other.
    fitting = {"inverse_multiquadratic": {"prior": "sampled"}}
    hints = typing.get_type_hints(cls).items()
    fields = {name: typing.get_args(hint) for name, hint in hints if "Literal" in str(hint)}
    assert fields
    for name, choices in fields.items():
        for choice in choices:
            assert getattr(cls(**{name: choice}, **fitting.get(choice, {})), name) == choice
        with pytest.raises(InputError, match=f"{name} is 'other'; it must be one of"):
            cls(**{name: "other"})


def test_unknown_key_in_a_file_is_refused():
    values = Config().to_dict()
    values["train"]["learning_rat"] = 1.0
    with pytest.raises(InputError, match="config.train.learning_rat is not known"):
        Config.from_dict(values)


@pytest.mark.parametrize("values", [[], None, 3, {"data": None}, {"model": ["conv8/2"]}])
def test_a_file_that_holds_no_settings_is_refused(values):
    with pytest.raises(InputError, match="config.* is .*; it must hold .* by name"):
        Config.from_dict(values)
