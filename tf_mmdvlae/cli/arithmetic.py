"""bin/arithmetic: a - minus + plus on pictures, by an export."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """computes a - minus + plus in the codes of pictures.

  bin/arithmetic --export=exports/celeb_a --a=a.jpg --minus=b.jpg --plus=c.jpg --out=sum.png

Several triples: files with commas between them, or folders (by name); one file serves all rows.
To a .png file everything is drawn in one picture, a row a triple; to a folder each result by
itself."""


def _define(values):
    def text(name, about):
        flags.DEFINE_string(name, None, about, flag_values=values)

    text("export", "an export, such as exports/celeb_a (its newest version) or exports/celeb_a/3")
    text("a", "picture to start from")
    text("minus", "picture to subtract")
    text("plus", "picture to add")
    text("out", "PNG file for all, or folder for a file each")
    text("layers", "layers that take part, such as 3,4 [default: all]")


def _call(values):
    from tf_mmdvlae.cli import images as pictures
    from tf_mmdvlae.common.errors import InputError

    pictures.required(values, "export", "a", "minus", "plus", "out")
    names = ("a", "minus", "plus")
    paths = [pictures.find(values[name].value, name) for name in names]
    rows = max(map(len, paths))
    if {len(found) for found in paths} - {1, rows}:
        counts = ", ".join(f"--{n} {len(found)}" for n, found in zip(names, paths, strict=True))
        raise InputError(
            f"The pictures do not make triples ({counts}); give the same number, or one."
        )
    one_picture = pictures.is_one_picture(values.out, rows)

    import numpy as np

    from tf_mmdvlae.common.progress import Progress
    from tf_mmdvlae.figures.answers import draw_arithmetic
    from tf_mmdvlae.serving.loaded import load

    served = load(values.export)
    weights, layers = pictures.layer_weights(values.layers, served)
    progress, size = Progress(rows, "triples"), pictures.MOST_ROWS
    for start in range(0, rows, size):
        triple = [served.read(*_some(found, start, size)) for found in paths]
        results = served.arithmetic(*triple, layer_weights=weights)
        if one_picture:
            triple = [np.broadcast_to(images, results.shape) for images in triple]
            print(draw_arithmetic(values.out, *triple, results, layers))
            return
        for index, result in enumerate(results, start=start):
            stem = paths[0][index if len(paths[0]) > 1 else 0].stem
            pictures.write(f"{values.out}/{index:05d}_{stem}.png", result)
        progress.update(start + len(results))
    progress.close()
    print(f"{rows:,} results in {values.out}")


def _some(paths, start, size):
    return paths[start : start + size] if len(paths) > 1 else paths


def main():
    """Runs the command; returns its exit code."""
    return run("arithmetic", _ABOUT, _define, _call)
