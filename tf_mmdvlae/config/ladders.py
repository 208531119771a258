"""What the presets share, and settings for image sets that have no presets."""

from __future__ import annotations

from collections.abc import Container

from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

_BLOCKS_64 = (("conv24/2",), ("conv48/2",), ("conv96/2",), ("conv192/2",), ("dense256",))
BLOCKS: dict[int, tuple[tuple[str, ...], ...]] = {
    28: (("conv16/2", "conv32/2", "dense256"), ("dense256",), ("dense256", "dense256")),
    32: (("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense256",)),
    64: _BLOCKS_64,
    128: (("conv12/2",), *_BLOCKS_64),
}
"""Side of the (square) image in pixels -> the blocks of `ModelConfig`, lowest first."""

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

    The side is the largest of 28, 32, 64 and 128 that the images have (28 if they are smaller
    still); where sizes vary, 64. There are as many latent layers as blocks, at most four.

    Args:
      dataset: the set's TFDS name.
      shape: height, width and channels, None where they vary.
      splits: names of its splits. The test split is "test" or "validation"; a set with neither
        keeps a tenth of "train" for it.
    """
    height, width, channels = shape
    test_split = next((name for name in ("test", "validation") if name in splits), "train[90%:]")
    train_split = "train[:90%]" if test_split == "train[90%:]" else "train"
    side = 64
    if height and width:
        side = max([s for s in BLOCKS if s <= min(height, width)], default=min(BLOCKS))
    layers = min(4, len(BLOCKS[side]))
    return Config(
        model=ModelConfig(
            image_shape=(side, side, 1 if channels == 1 else 3),
            latent_dims=(10,) * layers,
            blocks=BLOCKS[side],
            head_width={28: 0, 32: 256}.get(side, 64),
        ),
        data=DataConfig(dataset=dataset, train_split=train_split, test_split=test_split),
        train=TrainConfig(batch_size=128 if side < 64 else 64, stage=0.15 if layers < 4 else 0.12),
    )
