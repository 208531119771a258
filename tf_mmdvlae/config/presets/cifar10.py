"""CIFAR-10: 32x32 colour photographs of ten kinds of things, flipped in training.

    bin/train --dataset=cifar10

The preset was not trained; its settings are chosen by analogy with CelebA's.
"""

from tf_mmdvlae.config.ladders import derive

PRESETS = {
    "default": derive("cifar10", (32, 32, 3)).changed(
        model={"latent_dims": (16, 16, 16, 16)},
        data={"flip": True},
        train={"steps": 20_000, "first_stage": 0.24},
    ),
}
