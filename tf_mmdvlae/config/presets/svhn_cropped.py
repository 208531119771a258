"""Street View House Numbers, cropped: 32x32 colour digits; never flipped.

    bin/train --dataset=svhn_cropped

The preset was not trained; its settings are chosen by analogy with CelebA's.
"""

from tf_mmdvlae.config.ladders import BLOCKS
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

PRESETS = {
    "default": Config(
        model=ModelConfig(
            image_shape=(32, 32, 3),
            latent_dims=(5, 5, 5, 10),
            blocks=BLOCKS[32],
            head_width=256,
        ),
        data=DataConfig(dataset="svhn_cropped"),
        train=TrainConfig(steps=10_000, batch_size=128, first_stage=0.24, stage=0.12),
    ),
}
