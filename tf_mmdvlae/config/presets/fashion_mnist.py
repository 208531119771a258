"""Fashion-MNIST: 28x28 grey pictures of clothes; the settings of MNIST with wider layers.

    bin/train --dataset=fashion_mnist

The preset was not trained.
"""

from tf_mmdvlae.config.presets import mnist

PRESETS = {
    "default": mnist.PRESETS["default"].changed(
        model={"latent_dims": (5, 5, 5)}, data={"dataset": "fashion_mnist"}
    ),
}
