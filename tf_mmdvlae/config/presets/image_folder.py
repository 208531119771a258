"""A folder of pictures: the largest centre square of each, taken to 64x64, four layers of ten.

    bin/train --dataset=image_folder --image_dir=DIR

Network and training are those of CelebA's preset `default`, whose head gives results.
"""

from tf_mmdvlae.config.ladders import BLOCKS
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

PRESETS = {
    "default": Config(
        model=ModelConfig(
            image_shape=(64, 64, 3),
            latent_dims=(10, 10, 10, 10),
            blocks=BLOCKS[64],
            head_width=64,
        ),
        data=DataConfig(dataset="image_folder"),
        train=TrainConfig(
            steps=5000,
            batch_size=64,
            learning_rate=2e-3,
            decay_start=0.5,
            first_stage=0.24,
            stage=0.12,
        ),
    ),
}
