"""Draws the figures of a finished run again.

  bin/figures --workdir=runs/mnist

The command prints the names of the pictures.
"""

from tf_mmdvlae.cli.command import RUN_DATA_DIR, Command, Flag, place

FLAGS = {
    "workdir": Flag(place, "folder of a finished run, such as runs/mnist", required=True),
    "data_dir": RUN_DATA_DIR,
}


def _run(flags):
    from tf_mmdvlae.training.finish import draw_run

    for path in draw_run(flags.workdir, flags.data_dir):
        print(path)


main = Command("figures", __doc__, FLAGS, _run)
