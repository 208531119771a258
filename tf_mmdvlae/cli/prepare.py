"""bin/prepare: turns files that were downloaded by hand into a TFDS data set."""

from absl import flags

from tf_mmdvlae.cli.command import bars_on_terminals_only, run

_ABOUT = """turns files that were downloaded by hand into the TFDS data set, without a network.

  bin/prepare --dataset=celeb_a --source=DIR     DIR holds img_align_celeba.zip and four text files
  bin/prepare --dataset=mnist --source=DIR       DIR holds the four IDX files"""


def _define(values):
    for name, about in (
        ("dataset", "celeb_a or mnist"),
        ("source", "folder of the downloaded files"),
        ("data_dir", "root of the TFDS data sets [default: TFDS's own, ~/tensorflow_datasets]"),
    ):
        flags.DEFINE_string(name, None, about, flag_values=values)


def _call(values):
    from tf_mmdvlae.common.errors import InputError

    for name in ("dataset", "source"):
        if not values[name].value:
            raise InputError(f"Give --{name}; see bin/prepare --help.")
    from tf_mmdvlae.data.prepare import prepare

    bars_on_terminals_only()
    prepare(values.dataset, values.source, values.data_dir)


def main():
    """Runs the command; returns its exit code."""
    return run("prepare", _ABOUT, _define, _call)
