"""Computes a - minus + plus in the codes of pictures.

  bin/arithmetic --export=exports/celeb_a --a=a.jpg --minus=b.jpg --plus=c.jpg --out=sum.png

Of the first picture, what the model does not draw is added back to the result: the photograph is
kept. --detail=0 shows the model's own drawing.

For several triples, give each of the three as files with commas between them, or as a folder (its
files by name); a single file serves every triple. If --out ends in .png, one picture shows a row
per triple; if it is a folder, each result is a file there.
"""

from tf_mmdvlae.cli.command import ALIGN, DETAIL, EXPORT, Command, Flag, place

FLAGS = {
    "export": EXPORT,
    "a": Flag(str, "picture to start from", required=True),
    "minus": Flag(str, "picture to subtract", required=True),
    "plus": Flag(str, "picture to add", required=True),
    "out": Flag(place, "PNG file for all results, or folder for one file each", required=True),
    "layers": Flag(str, "latent layers that take part, such as 3,4 [default: all]"),
    "align": ALIGN,
    "detail": DETAIL,
}


def _run(flags):
    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.common.progress import Progress
    from tf_mmdvlae.figures.answers import draw_arithmetic
    from tf_mmdvlae.serving.loaded import load, manifest_of

    manifest = manifest_of(flags.export)
    weights, layers = images.layer_weights(flags.layers, manifest)
    detail = images.detail(flags.detail, manifest, "arithmetic_retouched")
    paths = {name: images.find(getattr(flags, name), name) for name in ("a", "minus", "plus")}
    rows = max(map(len, paths.values()))
    if {len(files) for files in paths.values()} - {1, rows}:
        counts = ", ".join(f"--{name} {len(files)}" for name, files in paths.items())
        raise InputError(f"The pictures make no triples ({counts}); give the same number, or one.")
    one_picture = images.is_one_picture(flags.out, rows)
    served = load(flags.export)
    read = images.Reader(served, flags.align)
    progress, size = Progress(rows, "triples"), images.MOST_ROWS
    for start in range(0, rows, size):
        triple = [read(*_part(files, start, size)) for files in paths.values()]
        results = served.arithmetic(*triple, layer_weights=weights, detail=detail or None)
        if one_picture:
            triple = [np.broadcast_to(pictures, results.shape) for pictures in triple]
            print(draw_arithmetic(flags.out, *triple, results, layers, detail))
            return
        for index, result in enumerate(results, start=start):
            stem = paths["a"][index if len(paths["a"]) > 1 else 0].stem
            images.write(f"{flags.out}/{images.file_name(f'{index:05d}', stem)}", result)
        progress.update(start + len(results))
    progress.close()
    print(f"{rows:,} results in {flags.out}")


def _part(files, start, size):
    return files[start : start + size] if len(files) > 1 else files


main = Command("arithmetic", __doc__, FLAGS, _run)
