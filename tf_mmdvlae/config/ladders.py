"""What the presets share, and settings for image sets that have no presets."""

from __future__ import annotations

from collections.abc import Container

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

_BLOCKS_64 = (("conv16/2",), ("conv48/2",), ("conv96/2",), ("conv192/2",), ("dense512",))
BLOCKS: dict[int, tuple[tuple[str, ...], ...]] = {
    28: (("conv16/2", "conv32/2", "dense256"), ("dense256",), ("dense256", "dense256")),
    32: (("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense256",)),
    64: _BLOCKS_64,
    128: (("conv8/2",), *_BLOCKS_64),
}
"""Side of the (square) image in pixels -> the blocks of `ModelConfig`, lowest first."""

_CERTAIN = 0.018  # sigmoid(-4)

PAPER = Config(
    model=ModelConfig(
        shared_trunk=False,
        head_width=0,
        reconstruction="l1",
        reconstruction_weight=100.0,
        mmd_weights=100.0,
        joint_mmd_weight=0.0,
        kernel="gaussian",
        estimator="biased",
        prior="sampled",
        deviation_floor=0.0,
    ),
    train=TrainConfig(batch_size=100, learning_rate=2e-4, decay_start=1.0, progressive=False),
)
"""What the presets `paper` share: the objective and the training of Xu 2018.

Their networks are those of the published code
(github.com/ermongroup/Variational-Ladder-Autoencoder). The paper's kernel exp(-|x - y|^2 / d^2) is
a Gaussian with sigma^2 = d^2 / 2, so its scale is d / 2. Three faults of the published code are
mended: every mean is linear, generation uses the moving averages of batch normalization in place of
the batch's statistics, and a stopped run can resume.
"""


def derive(
    dataset: str,
    shape: tuple[int | None, int | None, int | None],
    splits: Container[str] = ("train", "test"),
) -> Config:
    """Settings for a data set, derived from the shape of its images.

    The side is that of `side_for`. There are as many latent layers as blocks, at most four.

    Args:
      dataset: the set's TFDS name.
      shape: height, width and channels, None where they vary.
      splits: names of its splits. The test split is "test" or "validation"; a set with neither
        keeps a tenth of "train" for it.
    """
    test_split = next((name for name in ("test", "validation") if name in splits), "train[90%:]")
    train_split = "train[:90%]" if test_split == "train[90%:]" else "train"
    side = side_for(shape)
    blocks = blocks_for(side)
    layers = min(4, len(blocks))
    return Config(
        model=ModelConfig(
            image_shape=(side, side, 1 if shape[2] == 1 else 3),
            latent_dims=(_dimensions(side),) * layers,
            blocks=blocks,
            head_width=_head_width(side),
            deviation_floor=0.02,
            initial_deviation=_CERTAIN,
        ),
        data=DataConfig(dataset=dataset, train_split=train_split, test_split=test_split),
        train=TrainConfig(batch_size=_batch_size(side), stage=0.15 if layers < 4 else 0.12),
    )


def side_for(shape: tuple[int | None, int | None, int | None]) -> int:
    """The side in pixels to train at: the largest of 28, 32, 64 and 128 that the images have.

    It is 28 if they are smaller still, and 64 where height or width vary (None).
    """
    height, width, _ = shape
    if not height or not width:
        return 64
    return max([side for side in BLOCKS if side <= min(height, width)], default=min(BLOCKS))


def blocks_for(side: int) -> tuple[tuple[str, ...], ...]:
    """The blocks for square images of a side in pixels; an InputError lists the sides that fit.

    A side that is not in `BLOCKS` has the convolutions of 64 and 128, as many as halve it to four,
    five, six or seven pixels.
    """
    halvings = _halvings(side)
    if side not in (sides := [s for s in range(16, 257) if s % 2 ** _halvings(s) == 0]):
        raise InputError(
            f"There are no blocks for images of {side}x{side} pixels; give a size of "
            f"{', '.join(map(str, sides[:-1]))} or {sides[-1]}. Blocks of your own, by "
            "--config.model.image_shape and --config.model.blocks, take others."
        )
    return BLOCKS.get(side) or (("conv4/2",), *BLOCKS[128])[6 - halvings :]


def fitted(config: Config, side: int | None = None, channels: int | None = None) -> Config:
    """`config` for square images of another side in pixels, another number of channels, or both.

    Another side brings its blocks, which may be fewer: then the lowest latent layers go.
    Dimensions, head width and batch size that are usual for the old side become the usual ones for
    the new side.
    """
    height, width, old_channels = config.model.image_shape
    if side is None or (side, side) == (height, width):
        return config.changed(model={"image_shape": (height, width, channels or old_channels)})

    def usual(value, of_side):
        return of_side(side) if value == of_side(height) else value

    blocks = blocks_for(side)
    model = {
        "image_shape": (side, side, channels or old_channels),
        "latent_dims": tuple(
            usual(dimension, _dimensions) for dimension in config.model.latent_dims[-len(blocks) :]
        ),
        "blocks": blocks,
        "head_width": usual(config.model.head_width, _head_width),
    }
    train = {"batch_size": usual(config.train.batch_size, _batch_size)}
    return config.changed(model=model, train=train)


def _halvings(side):
    """How often a side is halved until four to seven pixels are left."""
    return (side // 4).bit_length() - 1


def _head_width(side):
    return {28: 0, 32: 256}.get(side, 128)


def _dimensions(side):
    return 10 if side < 64 else 64


def _batch_size(side):
    return 128 if side < 64 else 64
