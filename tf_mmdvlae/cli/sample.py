"""bin/sample: images drawn from the prior, or from the fitted mixture, by an export."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """draws images from the prior, or from the mixture fitted to training images' codes.

  bin/sample --export=exports/mnist --count=64 --seed=0 --out=grid.png
  bin/sample --export=exports/mnist --count=64 --fitted --out=fitted.png

Image i has the seed --seed + i. To a .png file all are drawn in one picture; to a folder each by
itself."""

_MOST_IN_A_GRID = 1024


def _define(values):
    flags.DEFINE_string(
        "export", None, "an export, such as exports/mnist (its newest version)", flag_values=values
    )
    flags.DEFINE_integer("count", 64, "how many images", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the first image", flag_values=values)
    flags.DEFINE_float(
        "temperature", 1.0, "scales the deviation; 0 draws centres alone", flag_values=values
    )
    flags.DEFINE_bool(
        "fitted", False, "draw from the fitted mixture, not from the prior", flag_values=values
    )
    flags.DEFINE_string(
        "out", None, "PNG file for all, or folder for a file each", flag_values=values
    )


def _call(values):
    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError

    images.required(values, "export", "out")
    if values.count < 1:
        raise InputError(f"--count={values.count} must be at least 1.")
    if not -(2**63) <= values.seed <= 2**63 - values.count:
        raise InputError(f"--seed={values.seed} to --seed + --count must lie within 64 bits.")
    one_picture = images.is_one_picture(values.out, 1)
    if one_picture and values.count > _MOST_IN_A_GRID:
        raise InputError(
            f"--count={values.count} is too many for one picture (at most {_MOST_IN_A_GRID}); give "
            "a folder, --out=DIR."
        )

    import numpy as np

    from tf_mmdvlae.common.progress import Progress
    from tf_mmdvlae.figures.answers import draw_draws
    from tf_mmdvlae.serving.loaded import load

    served = load(values.export)

    def draw(seeds):
        return served.sample(seeds, values.temperature, values.fitted)

    if one_picture:
        seeds = np.arange(values.seed, values.seed + values.count)
        print(draw_draws(values.out, draw(seeds), values.seed, values.temperature))
        return
    progress, size = Progress(values.count, "samples"), 256
    for start in range(0, values.count, size):
        seeds = values.seed + np.arange(start, min(start + size, values.count))
        for seed, image in zip(seeds, draw(seeds), strict=True):
            images.write(f"{values.out}/sample_{seed:06d}.png", image)
        progress.update(int(seeds[-1]) - values.seed + 1)
    progress.close()
    print(f"{values.count:,} samples in {values.out}")


def main():
    """Runs the command; returns its exit code."""
    return run("sample", _ABOUT, _define, _call)
