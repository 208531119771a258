"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download.

    make demo

trains the preset `demo`. With drawing the faces, figures and export it takes 3:58 minutes on two
CPU cores (x86-64 with AVX-512; TensorFlow 2.21). On the test split L1 is 0.0343 and MSE 0.0033. A
linear regression on all layers has R^2 0.93 for the light's direction, 0.95 for the background's
brightness, 0.91 for skin and 0.29 for yaw; 15 nearest neighbours find the hair style with accuracy
0.66 (chance 0.16).

    bin/train --dataset=synthetic_faces --preset=small --workdir=runs/faces
    bin/train --dataset=synthetic_faces --preset=small --steps=15000 --init_from=runs/faces \\
      --workdir=runs/faces_more

made the export in `exports/synthetic_faces/1`, in 16 and 26 minutes on busy cores. On the test
split L1 is 0.0226 and MSE 0.0017. A linear regression reads the light's level and temperature off
layer 1 (R^2 0.69 and 0.80), the head's yaw off layer 3 (0.80), and the light's direction, the
background and skin off layer 4 (0.92, 0.95, 0.82), where 15 nearest neighbours find the hair style
with accuracy 0.76. All layers together give skin 0.94, yaw 0.82 and pitch 0.59. The model has not
learned mouth and nose.

The preset `default`, that of `image_folder`, was not trained.
"""

from tf_mmdvlae.config.presets import image_folder

_DEFAULT = image_folder.PRESETS["default"].changed(data={"dataset": "synthetic_faces"})
# A third of the default's parameters, so that an export is small. L1 asks for the median of a
# pixel, and eyes and mouths are so few pixels in such varied places that the median is plain skin;
# hence the squared error.
_SMALL = _DEFAULT.changed(
    model={
        "latent_dims": (32, 32, 32, 32),
        "blocks": (("conv16/2",), ("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense256",)),
        "head_width": 48,
        "reconstruction": "mse",
        "reconstruction_weight": 1000.0,
    },
    train={"steps": 25_000, "first_stage": 0.12, "stage": 0.06, "log_every": 50},
)

PRESETS = {
    "default": _DEFAULT,
    "small": _SMALL,
    # `make demo` may take five minutes on two cores, which is enough for many small steps.
    "demo": _SMALL.changed(train={"steps": 4500, "batch_size": 32}),
}
