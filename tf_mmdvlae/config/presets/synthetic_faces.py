"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download.

    make demo

trains the preset `demo`. With drawing the faces, figures and export it takes 4:45 minutes on two
CPU cores (x86-64 with AVX-512; TensorFlow 2.21). On the test split L1 is 0.0306 and MSE 0.0023. A
linear regression on all layers has R^2 0.94 for yaw, 0.92 for pitch, 0.94 for the distance of the
eyes, 0.93 for skin, 0.34 for the smile and 0.00 for the width of the mouth; 15 nearest neighbours
find glasses with accuracy 0.90 and beards with 0.69.

    bin/train --dataset=synthetic_faces --preset=small

takes 78 minutes with `--precision=mixed_bfloat16`, on one CPU core and, for the last quarter, two.
On the test split L1 is 0.0197 and MSE 0.00099.

    bin/train --dataset=synthetic_faces --preset=long

is for a GPU. Its training step was compiled by XLA and run by JAX on one NVIDIA H200, which three
other runs shared, in five minutes; weights and the order of the images were NumPy's draws. The
package then measured the model, drew its figures and wrote `exports/synthetic_faces/2`. On the test
split L1 is 0.0139 and MSE 0.00053. A linear regression on the mean codes of all layers has R^2 0.97
for the light's direction, 0.94 for its level, 0.94 for its temperature, 0.85 and 0.97 for the
background's hue and brightness, 0.97 for skin, 0.93 and 0.98 for the face's width and height, 0.97
for the distance of the eyes, 0.98 for yaw, 0.99 for pitch, 0.81 for the nose, 0.76 for the smile
and 0.24 for the width of the mouth. A linear classifier finds hair colour, hair style, glasses and
beard with accuracy 0.99, 0.99, 1.00 and 0.82; 15 nearest neighbours with 0.78, 0.91, 0.81 and 0.72.

The preset `default`, that of `image_folder`, was not trained.
"""

from tf_mmdvlae.config.presets import image_folder

_DEFAULT = image_folder.PRESETS["default"].changed(data={"dataset": "synthetic_faces"})
# A third of the default's parameters, so that an export is small: no layer is read off 16x16
# features, which takes most of them. L1 asks for the median of a pixel, and eyes and mouths are so
# few pixels in such varied places that the median is plain skin; hence the squared error.
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
    # An export of 15 MB has room for three million parameters. On a GPU they do more as wide
    # convolutions than as heads.
    "long": _SMALL.changed(
        model={
            "blocks": (
                ("conv64/2", "conv128/2", "conv64/2"),
                ("conv128/2",),
                ("dense256",),
                ("dense256",),
            ),
            "head_width": 64,
        },
        train={
            "steps": 39_250,
            "batch_size": 256,
            "learning_rate": 3e-3,
            "decay_start": 0.363,
            "first_stage": 0.102,
            "stage": 0.051,
            "precision": "mixed_bfloat16",
        },
    ),
    # `make demo` may take five minutes on two cores, which is enough for many small steps of a
    # narrow network.
    "demo": _SMALL.changed(
        model={
            "latent_dims": (32, 32, 32, 32),
            "blocks": (("conv16/2",), ("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense256",)),
            "head_width": 48,
        },
        data={"flip": False},
        train={"steps": 4500, "batch_size": 32},
    ),
}
