"""What a person chose in place of what a preset says, and the settings that follow from both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config, known_datasets, unversioned
from tf_mmdvlae.config.ladders import fitted, side_for
from tf_mmdvlae.config.settings import Config, DataConfig, TrainConfig

# 40 epochs are what the subset of CelebA has, 28 those of MNIST. Fewer steps than the floor teach
# no set of pictures, however few they are; more than the ceiling are left to the person.
_EPOCHS = 40
_FEWEST_STEPS, _MOST_STEPS = 1_500, 20_000
_ROUND = 100


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a person chose. None chooses nothing.

    Attributes:
      image_size: side of the images in pixels, which brings blocks that fit.
      channels: 1 for grey, 3 for colour.
      latent_dims: dimensions of the latent layers, lowest first; one number is for all of them.
      epochs: how often the run sees each training image, in place of `train.steps`.
      fields: any fields, as in `{"train": {"seed": 3}}`; these win over all other choices.
    """

    image_size: int | None = None
    channels: int | None = None
    latent_dims: tuple[int, ...] | None = None
    epochs: float | None = None
    fields: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise InputError(f"--epochs is {self.epochs}; it must be a number above 0.")


def settings_for(
    dataset: str, preset: str, choices: Choices, describe: Callable[[DataConfig], Any]
) -> Config:
    """The settings of a run on a data set.

    A preset says what the person did not choose, but for an image folder its pictures decide on
    size, channels and the share of the test split. The pictures of an image folder, and of a TFDS
    set without presets, also decide on the batch, which the training images fill, and on the steps:
    40 epochs, but from 1,500 to 20,000.

    Args:
      dataset, preset: as for `get_config`.
      describe: returns what a data set holds, as `data.description.Description`; called only where
        something depends on it, and perhaps twice. It may prepare the data set.

    Raises:
      InputError: for an unknown preset, and for choices that can't be or do not fit each other.
    """
    fields = _fields(choices)
    data = DataConfig(**{"dataset": dataset, **fields["data"]})
    config = get_config(dataset, preset, lambda: describe(data))
    side, channels = choices.image_size, choices.channels
    if dataset == "image_folder":
        pictures = describe(data)
        fields["data"].setdefault("test_fraction", pictures.test_fraction)
        if "image_shape" not in fields["model"]:
            side = side or side_for(pictures.image_shape)
            channels = channels or pictures.image_shape[2]
    config = fitted(config, side, channels)
    pictures_decide = dataset == "image_folder" or unversioned(dataset) not in known_datasets()
    return _chosen(config, choices, fields, lambda: describe(data), pictures_decide)


def settings_from(
    config: Config, choices: Choices, describe: Callable[[DataConfig], Any]
) -> Config:
    """The settings of a run on those of another, which say what the person did not choose.

    `choices`, `describe` and the InputError are those of `settings_for`, but pictures decide on
    nothing.
    """
    fields = _fields(choices)
    data = config.changed(data=fields["data"]).data
    config = fitted(config, choices.image_size, choices.channels)
    return _chosen(config, choices, fields, lambda: describe(data), False)


def _chosen(config, choices, fields, describe, pictures_decide):
    """`config` with what the person chose; `describe` needs no arguments here."""
    # The highest layers that the blocks have room for.
    latent_dims = config.model.latent_dims[
        -len(fields["model"].get("blocks", config.model.blocks)) :
    ]
    if choices.latent_dims:
        one = len(choices.latent_dims) == 1
        latent_dims = choices.latent_dims * (len(latent_dims) if one else 1)
    fields["model"].setdefault("latent_dims", latent_dims)
    if pictures_decide or choices.epochs:
        images = describe().count(config.changed(data=fields["data"]).data.train_split)
        train = {**vars(config.train), **fields["train"]}
        if pictures_decide and "batch_size" not in fields["train"]:
            # A power of two can be shared between devices.
            largest = 2 ** int(math.log2(max(images, 2)))
            train["batch_size"] = min(train["batch_size"], largest)
        if "steps" not in fields["train"]:
            train["steps"] = _steps(images, train, choices.epochs)
        fields["train"] = train
    return config.changed(**fields)


def _fields(choices):
    """A copy of the chosen fields; refuses what can be refused before a long download."""
    fields = {name: dict(choices.fields.get(name, {})) for name in ("model", "data", "train")}
    if choices.epochs and "steps" in fields["train"]:
        raise InputError("--epochs and --steps both say how long the run is; give one of them.")
    TrainConfig(**{**fields["train"], "steps_per_execution": 1})
    return fields


def _steps(images, train, epochs):
    each = train["steps_per_execution"]
    if epochs:
        return each * math.ceil(epochs * images / train["batch_size"] / each)
    steps = min(max(_EPOCHS * images / train["batch_size"], _FEWEST_STEPS), _MOST_STEPS)
    return math.ceil(steps / (unit := math.lcm(_ROUND, each))) * unit
