"""Draws images from the prior, or from the mixture fitted to training images' codes.

  bin/sample --export=exports/mnist --count=64 --seed=0 --out=grid.png
  bin/sample --export=exports/mnist --count=64 --fitted --out=fitted.png

Image i has the seed --seed + i. If --out ends in .png, one picture shows all images; if it is a
folder, each image is a file there.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag, place

FLAGS = {
    "export": EXPORT,
    "count": Flag(int, "number of images", 64),
    "seed": Flag(int, "seed of the first image", 0),
    "temperature": Flag(float, "factor on the deviation; 0 draws the means alone", 1.0),
    "fitted": Flag(bool, "draw from the fitted mixture, not from the prior"),
    "out": Flag(place, "PNG file for all images, or folder for one file each", required=True),
}

_MOST_IN_A_GRID = 1024


def _run(flags):
    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.common.files import require_space_for_files
    from tf_mmdvlae.common.progress import Progress
    from tf_mmdvlae.figures.answers import draw_draws
    from tf_mmdvlae.serving.functions import require_sampler
    from tf_mmdvlae.serving.loaded import load, manifest_of

    if flags.count < 1:
        raise InputError(f"--count={flags.count} must be at least 1.")
    if not -(2**63) <= flags.seed <= 2**63 - flags.count:
        raise InputError(
            f"--seed={flags.seed} must be from {-(2**63)} to {2**63 - flags.count}, so that the "
            "seed of every image fits in 64 bits."
        )
    if not 0 <= flags.temperature <= images.LARGEST:
        raise InputError(f"--temperature={flags.temperature:g} must be a number of at least 0.")
    one_picture = images.is_one_picture(flags.out, 1)
    if one_picture and flags.count > _MOST_IN_A_GRID:
        raise InputError(
            f"--count={flags.count} is too many for one picture (at most {_MOST_IN_A_GRID}); give "
            "a folder, --out=DIR."
        )
    if not one_picture:
        require_space_for_files(flags.out, flags.count)
    known = manifest_of(flags.export).get("signatures", ())
    require_sampler(flags.export, known, flags.fitted)
    served = load(flags.export)

    def draw(seeds):
        return served.sample(seeds, flags.temperature, flags.fitted)

    if one_picture:
        seeds = np.arange(flags.seed, flags.seed + flags.count)
        print(draw_draws(flags.out, draw(seeds), flags.seed, flags.temperature))
        return
    progress, size = Progress(flags.count, "samples"), 256
    for start in range(0, flags.count, size):
        seeds = flags.seed + np.arange(start, min(start + size, flags.count))
        for seed, image in zip(seeds, draw(seeds), strict=True):
            images.write(f"{flags.out}/sample_{seed:06d}.png", image)
        progress.update(int(seeds[-1]) - flags.seed + 1)
    progress.close()
    print(f"{flags.count:,} samples in {flags.out}")


main = Command("sample", __doc__, FLAGS, _run)
