"""Turns files that were downloaded by hand into a TFDS data set.

  bin/prepare --dataset=celeb_a --source=DIR     DIR holds img_align_celeba.zip and four text files
  bin/prepare --dataset=mnist --source=DIR       DIR holds the four IDX files

The command needs no network.
"""

from tf_mmdvlae.cli.command import DATA_DIR, Command, Flag, place

FLAGS = {
    "dataset": Flag(str, "celeb_a or mnist", required=True, choices=("celeb_a", "mnist")),
    "source": Flag(place, "folder of the downloaded files", required=True),
    "data_dir": DATA_DIR,
}


def _run(flags):
    from tf_mmdvlae.data.prepare import prepare

    prepare(flags.dataset, flags.source, flags.data_dir)


main = Command("prepare", __doc__, FLAGS, _run)
