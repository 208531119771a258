"""bin/figures: draws the figures of a finished run again."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = "draws the figures of a finished run again: bin/figures --workdir=runs/mnist"


def _define(values):
    flags.DEFINE_string("workdir", None, "folder of the run", flag_values=values)
    flags.DEFINE_string(
        "data_dir", None, "root of the TFDS data sets [default: the run's]", flag_values=values
    )


def _call(values):
    from tf_mmdvlae.common.errors import InputError

    if not values.workdir:
        raise InputError("Give --workdir, the folder of a finished run such as runs/mnist.")
    from tf_mmdvlae.training.run import draw_run

    for path in draw_run(values.workdir, values.data_dir):
        print(path)


def main():
    """Runs the command; returns its exit code."""
    return run("figures", _ABOUT, _define, _call)
