"""Synthetic faces of known factors, drawn by this package: 64x64 colour, no download.

    make demo

is the preset `demo`: 3:58 minutes on two CPU cores (x86-64 with AVX-512; TensorFlow 2.21), drawing
the faces, figures and export included. Test split: L1 .0343, MSE .0033; R^2 of a linear regression
on all layers: light direction .93, background's brightness .95, skin .91, yaw .29; hair style .66
by 15 nearest neighbours (chance .16).

    bin/train --dataset=synthetic_faces --preset=small --workdir=runs/faces
    bin/train --dataset=synthetic_faces --preset=small --steps=15000 --init_from=runs/faces \\
      --workdir=runs/faces_more

made the export in `exports/synthetic_faces/1`, in 16 and 26 minutes on busy cores. Test split: L1
.0226, MSE .0017. Layer 1 holds the light's level and temperature (R^2 of a linear regression .69
and .80), layer 3 the head's yaw (.80), layer 4 the light's direction, background, skin and hair
(.92, .95, .82; hair style .76 by 15 nearest neighbours); all layers together: skin .94, yaw .82,
pitch .59. Mouth and nose are not learned.

The preset `default`, that of `image_folder`, was not run.
"""

from tf_mmdvlae.config.presets import image_folder

_DEFAULT = image_folder.PRESETS["default"].changed(data={"dataset": "synthetic_faces"})
# A third of the default's parameters, so that an export is small. L1 asks for the median of a
# pixel, and eyes and mouths are so few pixels in such varied places that the median is plain skin;
# hence the squared error.
_SMALL = _DEFAULT.changed(
    model={
        "blocks": (("conv16/2",), ("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense128",)),
        "head_width": 32,
        "deviation_floor": 0.05,
        "reconstruction": "mse",
        "reconstruction_weight": 1000.0,
    },
    train={"steps": 10_000, "first_stage": 0.16, "stage": 0.08, "log_every": 50},
)

PRESETS = {
    "default": _DEFAULT,
    "small": _SMALL,
    # `make demo` may take five minutes on two cores, which is enough for many small steps.
    "demo": _SMALL.changed(train={"steps": 2000, "batch_size": 32}),
}
