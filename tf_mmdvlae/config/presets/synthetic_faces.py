"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download.

    make demo

trains the preset `demo`. With drawing the faces, figures and export it takes 5:21 minutes on two
CPU cores (x86-64 with AVX-512; TensorFlow 2.21). On the test split L1 is 0.0306 and MSE 0.0023. A
linear regression on all layers has R^2 0.94 for yaw, 0.92 for pitch, 0.94 for the distance of the
eyes, 0.93 for skin, 0.34 for the smile and 0.00 for the width of the mouth; 15 nearest neighbours
find glasses with accuracy 0.90 and beards with 0.69.

    bin/train --dataset=synthetic_faces --preset=small

made the export in `exports/synthetic_faces/2`, in 52 minutes on one busy CPU core (x86-64 with
AVX-512; TensorFlow 2.21), with seed 0. On the test split L1 is 0.0221 and MSE 0.0013. A linear
regression on the mean codes of all layers has R^2 0.95 for the light's direction, 0.85 for its
level, 0.90 for its temperature, 0.84 and 0.97 for the background's hue and brightness, 0.96 for
skin, 0.81 and 0.94 for the face's width and height, 0.95 for the distance of the eyes, 0.96 for
yaw and pitch, 0.52 for the nose, 0.43 for the smile and 0.00 for the width of the mouth. Fifteen
nearest neighbours find hair colour, hair style, glasses and beard with accuracy 0.81, 0.84, 0.90
and 0.75; layer 1 alone finds glasses with 0.95.

The preset `default`, that of `image_folder`, was not trained.
"""

from tf_mmdvlae.config.presets import image_folder

_DEFAULT = image_folder.PRESETS["default"].changed(data={"dataset": "synthetic_faces"})
# A third of the default's parameters, so that an export is small: no layer is read off 16x16 features,
# which takes most of them. L1 asks for the median of a pixel, and eyes and mouths are so few pixels
# in such varied places that the median is plain skin; hence the squared error.
_SMALL = _DEFAULT.changed(
    model={
        "blocks": (
            ("conv32/2", "conv64/2", "conv64/2"),
            ("conv128/2",),
            ("dense256",),
            ("dense256",),
        ),
        "head_width": 96,
        "reconstruction": "mse",
        "reconstruction_weight": 1000.0,
    },
    data={"flip": True},
    train={"steps": 36_000, "first_stage": 0.12, "stage": 0.06, "log_every": 50},
)

PRESETS = {
    "default": _DEFAULT,
    "small": _SMALL,
    # `make demo` may take five minutes on two cores, which is enough for many small steps.
    "demo": _SMALL.changed(train={"steps": 3400, "batch_size": 32}),
}
