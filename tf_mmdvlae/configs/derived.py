"""Settings for an image set that has no config file, derived from the shape of its images."""

from tf_mmdvlae.config import Config, DataConfig, ModelConfig, TrainConfig
from tf_mmdvlae.configs.ladders import BLOCKS


def derive(dataset, shape):
    """Settings for images of `shape`.

    The side is the largest of 28, 32, 64 and 128 that the images have (28 if they are smaller
    still); where sizes vary, 64. There are as many latent layers as blocks, at most four.

    Args:
      dataset: the set's TFDS name.
      shape: (height, width, channels), None where it varies.

    Returns:
      A `Config`.
    """
    height, width, channels = shape
    side = 64
    if height and width:
        side = max([s for s in BLOCKS if s <= min(height, width)], default=min(BLOCKS))
    layers = min(4, len(BLOCKS[side]))
    return Config(
        model=ModelConfig(
            image_shape=(side, side, 1 if channels == 1 else 3),
            latent_dims=(10,) * layers,
            blocks=BLOCKS[side],
            head_width=256 if side < 64 else 64,
        ),
        data=DataConfig(dataset=dataset),
        train=TrainConfig(batch_size=128 if side < 64 else 64, stage=0.15 if layers < 4 else 0.12),
    )
