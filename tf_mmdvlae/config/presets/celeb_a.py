"""CelebA: aligned faces, the centre 148 pixels of 178x218 taken to 64x64, four layers of ten.

    bin/train --dataset=celeb_a

on one CPU core (x86-64 with AVX-512; TensorFlow 2.21), on a subset of 8,000 training and 1,000
test images at half size, seed 0: 18 minutes in all. Test split: L1 .0668, MSE .0096; area under the
ROC curve of a logistic regression on the mean codes of all layers: Smiling .928, Male .868, Bangs
.928, Pale_Skin .906, Eyeglasses .886, Blond_Hair .908 (standard errors .01 to .03; before the
step's operations were fused, with other rounding, a run had .935, .863, .930, .905, .870, .902, in
14 minutes on two cores). The preset `paper` was not trained to its end.
"""

from tf_mmdvlae.config.ladders import PAPER_OBJECTIVE
from tf_mmdvlae.config.presets import image_folder
from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

_CROP = 148 / 178
_PAPER_CROP = 108 / 178

PRESETS = {
    "default": image_folder.PRESETS["default"].changed(
        data={"dataset": "celeb_a", "crop": _CROP, "flip": True}
    ),
    # The networks of the published code (github.com/ermongroup/Variational-Ladder-Autoencoder,
    # vladder_large.py; the lowest generative block here has its two convolutions in mirror order)
    # and the settings of Xu 2018. The kernel exp(-|x - y|^2 / d^2) is a Gaussian with
    # sigma^2 = d^2 / 2, so a scale of d / 2 = 5. Three faults of that code are mended: every mean
    # is linear, generation uses the moving averages of batch normalization instead of the batch's
    # statistics, and a run resumes.
    "paper": Config(
        model=ModelConfig(
            image_shape=(64, 64, 3),
            latent_dims=(10, 10, 10, 10),
            blocks=(
                ("conv64/2", "conv64/1"),
                ("conv128/2", "conv128/1", "conv256/2"),
                ("conv256/1", "conv512/2", "conv512/1"),
                ("dense1024", "dense1024"),
            ),
            shared_trunk=False,
            head_width=0,
            merge="concatenate",
            kernel_scales=(5.0,),
            **PAPER_OBJECTIVE,
        ),
        data=DataConfig(dataset="celeb_a", crop=_PAPER_CROP),
        train=TrainConfig(
            steps=200_000, batch_size=100, learning_rate=2e-4, decay_start=1.0, progressive=False
        ),
    ),
}
