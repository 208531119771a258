"""Adds a feature to pictures, or takes it away.

  bin/edit --export=exports/celeb_a --list
  bin/edit --export=exports/celeb_a --image=a.jpg --attribute=Smiling --strength=-2:2:5 \\
    --out=strip.png
  bin/edit --export=exports/celeb_a --image=a.jpg --attribute=Smiling --out=smile.gif
  bin/edit --export=exports/celeb_a --image=a.jpg --attribute=Smiling --strength=2 --full_size \\
    --out=smiling.png

Strength 1 is the step from pictures without an attribute to those with it, or one standard
deviation of a factor; start:stop:count gives several strengths, one column each. --image takes
files with commas between them, or a folder. If --out ends in .png, one picture shows one row per
image; if it ends in .gif or .mp4, the images change side by side, a frame per strength; if it is a
folder, each edited image is a file there.

What the model does not draw of a picture, such as glasses and background, is added back: where the
edit changes nothing, the photograph stays. --detail=0 shows the model's own drawing. --full_size
enlarges the change and adds it to the whole photograph at its own size, with faded borders.
"""

from tf_mmdvlae.cli.command import ALIGN, DETAIL, EXPORT, MOVING_FLAGS, Command, Flag, place
from tf_mmdvlae.cli.output import printable

FLAGS = {
    "export": EXPORT,
    "list": Flag(bool, "print the attributes that the export knows, and stop"),
    "image": Flag(str, "picture to edit, or folder of pictures"),
    "attribute": Flag(str, "what to add; --list prints the names"),
    "strength": Flag(
        str,
        "how much: a number, or start:stop:count [default: -2:2:5; for moving pictures -2:2:33]",
    ),
    "layers": Flag(str, "latent layers that take part, such as 3,4 [default: all]"),
    "align": ALIGN,
    "detail": DETAIL,
    "full_size": Flag(bool, "write whole photographs at their own size"),
    "out": Flag(place, "PNG, GIF or MP4 file for all results, or folder for one file each"),
    **MOVING_FLAGS,
}


def _run(flags):
    from tf_mmdvlae.serving.loaded import load, manifest_of

    if flags.list:
        names = manifest_of(flags.export)["attributes"]
        print("\n".join(map(printable, names)) or "none: its data set has no attributes or labels")
        return
    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.figures.answers import draw_edits
    from tf_mmdvlae.figures.moving import is_moving, write_moving
    from tf_mmdvlae.serving.faces import require_layout
    from tf_mmdvlae.serving.full_size import in_photograph, in_photograph_of_face
    from tf_mmdvlae.serving.functions import require_attributes

    main.require(flags, "image", "attribute", "out")
    moving = is_moving(flags.out)
    strengths = images.strengths(flags.strength or ("-2:2:33" if moving else "-2:2:5"))
    manifest = manifest_of(flags.export)
    layout = require_layout(flags.export, manifest) if flags.align else None
    weights, layers = images.layer_weights(flags.layers, manifest)
    detail = images.detail(flags.detail, manifest, "retouch", needed=flags.full_size)
    attribute = _as_known(flags.attribute, manifest["attributes"])
    signatures = manifest.get("signatures", ())
    require_attributes(flags.export, signatures, manifest["attributes"], [attribute])
    paths = images.find(flags.image, "image")
    one_picture = images.is_one_picture(flags.out, len(paths), flags.fps)
    if moving and (len(strengths) == 1 or flags.full_size):
        raise InputError(
            "A moving picture needs several strengths, such as --strength=-2:2:33, and has no "
            "--full_size."
        )
    if flags.full_size:
        _require_photographs(flags, paths, strengths, one_picture)
    served = load(flags.export)
    change = (lambda *inputs: served.retouch(*inputs, detail)) if detail else served.edit
    read, count = images.Reader(served, flags.align), 0
    for files, pictures in images.batches(paths, read, size=images.MOST_ROWS):
        edits = [change(pictures, attribute, by, weights) for by in strengths]
        edits = np.stack(edits, axis=1)
        if moving:
            frames = np.swapaxes(edits, 0, 1)
            print(write_moving(flags.out, frames, flags.fps, flags.back, flags.scale))
            return
        if one_picture and not flags.full_size:
            captions = (attribute, strengths, layers, detail)
            print(draw_edits(flags.out, pictures, edits, *captions))
            return
        for path, picture, row in zip(files, pictures, edits, strict=True):
            results = row
            if flags.full_size:
                inputs = (path, row - picture, manifest["crop"])
                results = (
                    in_photograph_of_face(*inputs, read.similarities[path], layout)
                    if flags.align
                    else in_photograph(*inputs)
                )
            for strength, result in zip(strengths, results, strict=True):
                words = (f"{count:05d}", path.stem, attribute, f"{strength:+.12g}")
                file = images.file_name(*words)
                images.write(flags.out if one_picture else f"{flags.out}/{file}", result)
            count += 1
    if one_picture:
        print(flags.out)
        return
    files = "one file each" if len(strengths) == 1 else f"{len(strengths)} files each"
    print(f"{count:,} edited pictures in {flags.out}, {files}")


def _as_known(name, known):
    """The attribute's name with its accents written as the export writes them."""
    import unicodedata

    return name if name in known else unicodedata.normalize("NFC", name)


def _require_photographs(flags, paths, strengths, one_picture):
    from tf_mmdvlae.common.errors import InputError

    if one_picture and (len(paths) > 1 or len(strengths) > 1):
        raise InputError(
            "--full_size writes one file per photograph and strength: give a folder, --out=DIR, or "
            "one --image and one number as --strength."
        )


main = Command("edit", __doc__, FLAGS, _run)
