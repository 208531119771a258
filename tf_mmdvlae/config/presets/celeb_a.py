"""CelebA: aligned faces, the centre 148 pixels of 178x218 taken to 64x64, four layers of 64.

    bin/train --dataset=celeb_a

The preset `default` was trained on one CPU core (x86-64 with AVX-512; TensorFlow 2.21), on 8,000
training and 1,000 test images at half size, with seed 0. The whole run took 20 minutes. On the test
split L1 is 0.0455 and MSE 0.0044. A logistic regression on the mean codes of all layers has these
areas under the ROC curve (standard errors 0.006 to 0.03): Smiling 0.956, Male 0.978, Bangs 0.943,
Pale_Skin 0.919, Eyeglasses 0.938, Blond_Hair 0.941.

The presets `large` and `large_128` are for a GPU and the whole of CelebA. They have 63.9 and 64.0
million parameters; a step of 256 images is 1.9 and 2.1 TFLOP (three times the forward pass, as
TensorFlow's profiler counts it) and takes 3.9 and 5.2 GB of memory in float32 on a CPU. Each was
trained for 200 steps of 16 on 2,000 images, measured, drawn and exported, which shows that it runs;
the quality of a whole run was not measured. After 10,000 of its 200,000 steps `paper`, whose crop
is another, has an L1 of 0.0747 on the test split and of 0.0530 on training images.
"""

from tf_mmdvlae.config.ladders import PAPER
from tf_mmdvlae.config.presets import image_folder

_LARGE_BLOCKS = (
    ("conv64/2",),
    ("conv128/1", "conv128/2"),
    ("conv256/1", "conv256/2"),
    ("conv512/1", "conv512/2"),
    ("dense1024",),
)
# 25,000 steps of 256 are 39 epochs of all 162,770 training images.
_LARGE = image_folder.PRESETS["default"].changed(
    model={"latent_dims": (128, 128, 128, 128), "blocks": _LARGE_BLOCKS, "head_width": 256},
    data={"dataset": "celeb_a", "crop": 148 / 178, "flip": True},
    train={
        "steps": 25_000,
        "batch_size": 256,
        "learning_rate": 1e-3,
        "precision": "mixed_bfloat16",
    },
)

PRESETS = {
    "default": image_folder.PRESETS["default"].changed(
        data={"dataset": "celeb_a", "crop": 148 / 178, "flip": True}
    ),
    "large": _LARGE,
    "large_128": _LARGE.changed(
        model={"image_shape": (128, 128, 3), "blocks": (("conv32/2",), *_LARGE_BLOCKS)}
    ),
    # The network is vladder_large.py, with the two convolutions of the lowest generative block in
    # mirror order.
    "paper": PAPER.changed(
        model={
            "image_shape": (64, 64, 3),
            "latent_dims": (10, 10, 10, 10),
            "blocks": (
                ("conv64/2", "conv64/1"),
                ("conv128/2", "conv128/1", "conv256/2"),
                ("conv256/1", "conv512/2", "conv512/1"),
                ("dense1024", "dense1024"),
            ),
            "merge": "concatenate",
            "kernel_scales": (5.0,),
        },
        data={"dataset": "celeb_a", "crop": 108 / 178},
        train={"steps": 200_000},
    ),
}
