"""Adds a feature to pictures, or takes it away.

  bin/edit --export=exports/celeb_a --list
  bin/edit --export=exports/celeb_a --image=a.jpg --attribute=Smiling --strength=-2:2:5 \\
    --out=strip.png

Strength 1 is the step from pictures without an attribute to those with it, or one standard
deviation of a factor; start:stop:count gives several strengths, one column each. --image takes
files with commas between them, or a folder. If --out ends in .png, one picture shows one row per
image; if it is a folder, each edited image is a file there.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag

FLAGS = {
    "export": EXPORT,
    "list": Flag(bool, "print the attributes that the export knows, and stop"),
    "image": Flag(str, "picture to edit, or folder of pictures"),
    "attribute": Flag(str, "what to add; --list prints the names"),
    "strength": Flag(str, "how much: a number, or start:stop:count", "-2:2:5"),
    "layers": Flag(str, "latent layers that take part, such as 3,4 [default: all]"),
    "out": Flag(str, "PNG file for all results, or folder for one file each"),
}


def _run(flags):
    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.figures.answers import draw_edits
    from tf_mmdvlae.serving.loaded import load

    if flags.list:
        names = load(flags.export).attributes
        print("\n".join(names) or "none: its data set has no attributes or labels")
        return
    main.require(flags, "image", "attribute", "out")
    strengths = images.strengths(flags.strength)
    paths = images.find(flags.image, "image")
    one_picture = images.is_one_picture(flags.out, len(paths))
    served = load(flags.export)
    weights, layers = images.layer_weights(flags.layers, served)
    count, attribute = 0, flags.attribute.replace("/", "_")
    for files, pictures in images.batches(paths, served, size=images.MOST_ROWS):
        edits = [served.edit(pictures, flags.attribute, by, weights) for by in strengths]
        edits = np.stack(edits, axis=1)
        if one_picture:
            print(draw_edits(flags.out, pictures, edits, flags.attribute, strengths, layers))
            return
        for path, row in zip(files, edits, strict=True):
            for strength, image in zip(strengths, row, strict=True):
                file = f"{count:05d}_{path.stem}_{attribute}_{strength:+g}.png"
                images.write(f"{flags.out}/{file}", image)
            count += 1
    files = "one file each" if len(strengths) == 1 else f"{len(strengths)} files each"
    print(f"{count:,} edited pictures in {flags.out}, {files}")


main = Command("edit", __doc__, FLAGS, _run)
