"""Draws the figures of a finished run again.

  bin/figures --workdir=runs/mnist
  bin/figures --workdir=runs/mnist --out=runs/mnist/figures/layers.gif

The command prints the names of the pictures. With --out it draws one that moves instead: what each
dimension of every layer changes.
"""

from tf_mmdvlae.cli.command import RUN_DATA_DIR, Command, Flag, place

FLAGS = {
    "workdir": Flag(place, "folder of a finished run, such as runs/mnist", required=True),
    "data_dir": RUN_DATA_DIR,
    "out": Flag(place, "GIF or MP4 file (the extra video) for a picture that moves"),
}


def _run(flags):
    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.figures.moving import is_moving
    from tf_mmdvlae.training.workdir import Workdir

    Workdir(flags.workdir).read_finished_config()
    if flags.out is not None:
        if not is_moving(flags.out):
            raise InputError(f"--out={flags.out} must end in .gif or .mp4.")
        images.is_one_picture(flags.out, 1, fps=1)
    from tf_mmdvlae.training.finish import draw_run

    for path in draw_run(flags.workdir, flags.data_dir, flags.out):
        print(path)


main = Command("figures", __doc__, FLAGS, _run)
