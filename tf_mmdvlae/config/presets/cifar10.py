"""CIFAR-10: 32x32 colour photographs of ten kinds of things, flipped in training.

    bin/train --dataset=cifar10

The preset was not trained; its settings are chosen by analogy with CelebA's.
"""

from tf_mmdvlae.config.ladders import BLOCKS
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

PRESETS = {
    "default": Config(
        model=ModelConfig(
            image_shape=(32, 32, 3),
            latent_dims=(16, 16, 16, 16),
            blocks=BLOCKS[32],
            head_width=256,
        ),
        data=DataConfig(dataset="cifar10", flip=True),
        train=TrainConfig(steps=20_000, batch_size=128, first_stage=0.24, stage=0.12),
    ),
}
