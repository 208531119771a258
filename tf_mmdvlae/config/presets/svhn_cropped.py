"""Street View House Numbers, cropped: 32x32 colour digits; never flipped.

    bin/train --dataset=svhn_cropped

The preset was not trained; its settings are chosen by analogy with CelebA's.
"""

from tf_mmdvlae.config.ladders import derive

PRESETS = {
    "default": derive("svhn_cropped", (32, 32, 3)).changed(
        model={"latent_dims": (5, 5, 5, 10)}, train={"steps": 10_000, "first_stage": 0.24}
    ),
}
