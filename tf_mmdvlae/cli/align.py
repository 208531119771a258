"""Turns photographs of faces into pictures in which all faces lie at the same place.

  bin/align --image_dir=PHOTOS --out=ALIGNED
  bin/align --image_dir=PHOTOS --out=ALIGNED --export=exports/celeb_a --faces=all
  bin/align --image_dir=PHOTOS --out=ALIGNED --points=ALIGNED/align.csv

Eyes and corners of the mouth are found (by the extra [align]), and each photograph is turned and
scaled so that they lie where a layout has them. ALIGNED gets a picture per photograph, of the same
name in the same sub-folder, and align.csv, a table of what was found: correct it, or write one with
points from elsewhere, and give it as --points. The same command again goes on after a stop, and
does new photographs only.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag, place
from tf_mmdvlae.config.layouts import LAYOUTS

FLAGS = {
    "image_dir": Flag(place, "folder of photographs, read at any depth", required=True),
    "out": Flag(place, "folder for the aligned pictures", required=True),
    "layout": Flag(
        str,
        f"where faces are to lie: {', '.join(LAYOUTS)} [default: celeb_a]",
        choices=tuple(LAYOUTS),
    ),
    "export": EXPORT._replace(
        help="an export, or one on the Hub, in place of --layout: faces lie as in its training "
        "images",
        required=False,
    ),
    "faces": Flag(str, "largest or all of each photograph", "largest", choices=("largest", "all")),
    "points": Flag(place, "CSV file of points, with the columns of align.csv, that are taken"),
}


def _run(flags):
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.data.align import ALIGNED, TABLE, align_folder, in_words
    from tf_mmdvlae.serving.faces import require_layout
    from tf_mmdvlae.serving.loaded import manifest_of

    if flags.export and flags.layout:
        raise InputError("--export and --layout both say where faces are to lie; give one.")
    layout = LAYOUTS[flags.layout or "celeb_a"]
    if flags.export:
        layout = require_layout(flags.export, manifest_of(flags.export))
    results = align_folder(flags.image_dir, flags.out, layout, flags.faces, flags.points)
    words = f"{in_words(results)}; {flags.out}/{TABLE} lists all"
    if not results[ALIGNED]:
        raise InputError(f"There is no aligned picture. {words}.")
    print(words)


main = Command("align", __doc__, FLAGS, _run)
