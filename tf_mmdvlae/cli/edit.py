"""bin/edit: adds a feature to pictures or takes it away, by an export."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """adds a feature to pictures, or takes it away.

  bin/edit --export=exports/celeb_a --list
  bin/edit --export=exports/celeb_a --image=a.jpg --attribute=Smiling --strength=-2:2:5 \\
    --out=strip.png

Strength 1 is from without to with the attribute, or one standard deviation of a factor; start:stop:
count makes a column each. --image takes files with commas between them, or a folder. To a .png file
everything is drawn in one picture, a row an image; to a folder each edited image by itself."""


def _define(values):
    def text(name, default, about):
        flags.DEFINE_string(name, default, about, flag_values=values)

    text("export", None, "an export, such as exports/celeb_a (its newest version)")
    text("image", None, "picture or folder of pictures to edit")
    text("attribute", None, "what to add; see --list")
    text("strength", "-2:2:5", "how much: a number, or start:stop:count")
    text("layers", None, "layers that take part, such as 3,4 [default: all]")
    text("out", None, "PNG file for all, or folder for a file each")
    flags.DEFINE_bool(
        "list", False, "name the attributes that the export knows", flag_values=values
    )


def _call(values):
    from tf_mmdvlae.cli import images as pictures

    if values["list"].value:
        pictures.required(values, "export")
        from tf_mmdvlae.serving.loaded import load

        served = load(values.export)
        print("\n".join(served.attributes) or "none: its data set has no attributes or labels")
        return
    pictures.required(values, "export", "image", "attribute", "out")
    strengths = pictures.strengths(values.strength)
    paths = pictures.find(values.image, "image")
    one_picture = pictures.is_one_picture(values.out, len(paths))

    import numpy as np

    from tf_mmdvlae.figures.answers import draw_edits
    from tf_mmdvlae.serving.loaded import load

    served = load(values.export)
    weights, layers = pictures.layer_weights(values.layers, served)
    done, attribute = 0, values.attribute.replace("/", "_")
    for names, images in pictures.batches(paths, served, size=pictures.MOST_ROWS):
        edited = np.stack(
            [served.edit(images, values.attribute, strength, weights) for strength in strengths],
            axis=1,
        )
        if one_picture:
            print(draw_edits(values.out, images, edited, values.attribute, strengths, layers))
            return
        for name, row in zip(names, edited, strict=True):
            for strength, image in zip(strengths, row, strict=True):
                file = f"{done:05d}_{name.stem}_{attribute}_{strength:+g}.png"
                pictures.write(f"{values.out}/{file}", image)
            done += 1
    files = "a file each" if len(strengths) == 1 else f"{len(strengths)} files each"
    print(f"{done:,} edited pictures in {values.out}, {files}")


def main():
    """Runs the command; returns its exit code."""
    return run("edit", _ABOUT, _define, _call)
