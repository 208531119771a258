"""A folder of pictures: the largest centre square of each, at the size that most of them have.

    bin/train --dataset=image_folder --image_dir=DIR

For pictures of 64x64 pixels, network and training are those of CelebA's preset `default`, whose
head gives results.
"""

from tf_mmdvlae.config.ladders import derive

PRESETS = {
    "default": derive("image_folder", (64, 64, 3)).changed(
        train={"steps": 6000, "learning_rate": 2e-3, "decay_start": 0.5, "first_stage": 0.24}
    ),
}
