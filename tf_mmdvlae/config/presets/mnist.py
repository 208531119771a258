"""MNIST: 28x28 grey digits, three latent layers of two dimensions.

    bin/train --dataset=mnist

The preset `default` was trained on one CPU core (x86-64 with AVX-512; TensorFlow 2.21), with seed
0. The whole run took 9 minutes. On the test split L1 is 0.0464 and MSE 0.0236. Fifteen nearest
neighbours find the digit from the mean codes of layers 1, 2, 3 and of all layers joined with
accuracy 0.248, 0.201, 0.758 and 0.896 (standard errors 0.003 to 0.004).

Layer 3 varies from run to run: on two cores, which round differently and took 6:15 minutes, L1 was
0.0473 and the accuracies 0.191, 0.274, 0.714 and 0.890. After training on `train[:50000]`, the rest
of `train` gave 0.831 for layer 3 and 0.874 for all.

`docs/decisions.md` lists what was tried. The preset `paper`, trained to its end on one
NVIDIA H200, has an L1 of 0.0419 on the test split and accuracies of 0.182, 0.292, 0.705 and 0.927.
"""

from tf_mmdvlae.config.ladders import PAPER, derive

PRESETS = {
    "default": derive("mnist", (28, 28, 1)).changed(
        model={
            "latent_dims": (2, 2, 2),
            "deviation_floor": 0.02,
            "initial_deviation": 0.5,
            "joint_mmd_weight": 30.0,
            "nested_dropout": 0.25,
        },
        train={
            "steps": 13_000,
            "learning_rate": 1.5e-3,
            "decay_start": 0.35,
            "first_stage": 0.15,
            "stage": 0.08,
            "fade": 1.0,
        },
    ),
    # The network is vladder_small.py.
    "paper": PAPER.changed(
        model={
            "image_shape": (28, 28, 1),
            "latent_dims": (2, 2, 2),
            "blocks": (
                ("conv64/2", "conv128/2", "dense1024"),
                ("dense1024", "dense1024", "dense1024"),
                ("dense1024", "dense1024"),
            ),
            "kernel_scales": (1.0,),
        },
        data={"dataset": "mnist"},
        train={"steps": 50_000},
    ),
}
