"""Fashion-MNIST: 28x28 grey pictures of clothes; the settings of MNIST with wider layers.

    bin/train --dataset=fashion_mnist

Not run.
"""

import dataclasses

from tf_mmdvlae.config.presets import mnist
from tf_mmdvlae.config.settings import DataConfig

_MNIST = mnist.PRESETS["default"]

PRESETS = {
    "default": dataclasses.replace(
        _MNIST,
        model=dataclasses.replace(_MNIST.model, latent_dims=(5, 5, 5)),
        data=DataConfig(dataset="fashion_mnist"),
    ),
}
