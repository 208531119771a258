"""Settings for an image set that has no config file, derived from the shape of its images."""

from tf_mmdvlae.config.ladders import BLOCKS
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig


def derive(dataset, shape, splits):
    """Settings for images of `shape` in `splits`.

    The side is the largest of 28, 32, 64 and 128 that the images have (28 if they are smaller
    still); where sizes vary, 64. There are as many latent layers as blocks, at most four.

    Args:
      dataset: the set's TFDS name.
      shape: (height, width, channels), None where it varies.
      splits: names of its splits. The test split is "test" or "validation"; a set with neither
        keeps a tenth of "train" for it.

    Returns:
      A `Config`.
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
