"""Writes the codes of a folder of pictures.

  bin/encode --export=exports/celeb_a --image_dir=DIR --out=codes.npz

A .npz file holds `picture` [n] (names), `z_1` ... `z_L` [n, d_l] (posterior means) and `std_1` ...
`std_L` (posterior deviations). A .csv file holds the same numbers, one row per picture, in columns
z_<layer>_<dimension>; layers and dimensions count from 1.
"""

from tf_mmdvlae.cli.command import ALIGN, EXPORT, Command, Flag, place

FLAGS = {
    "export": EXPORT,
    "image_dir": Flag(
        place, "folder of JPEG, PNG and WebP pictures, read at any depth", required=True
    ),
    "align": ALIGN,
    "out": Flag(place, "file for the codes, ending in .npz or .csv", required=True),
}


def _run(flags):
    import pathlib

    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.common.files import replacing, require_file, write_arrays
    from tf_mmdvlae.model import latents
    from tf_mmdvlae.serving.loaded import load, manifest_of

    if not flags.out.endswith((".npz", ".csv")):
        raise InputError(f"--out={flags.out} must end in .npz or .csv.")
    paths = images.find(flags.image_dir, "image_dir")
    manifest_of(flags.export)
    require_file(flags.out)
    served, root = load(flags.export), pathlib.Path(flags.image_dir)
    names, means, deviations = [], [], []
    for files, pictures in images.batches(paths, images.Reader(served, flags.align)):
        names += [str(file.relative_to(root)) if root.is_dir() else str(file) for file in files]
        mean, deviation = served.encode(pictures)
        means.append(mean)
        deviations.append(deviation)
    columns = latents.concatenate(means)
    for name, deviation in latents.concatenate(deviations).items():
        columns[name.replace("z_", "std_")] = deviation
    if flags.out.endswith(".npz"):
        write_arrays(flags.out, {"picture": np.array(names)} | columns)
    else:
        with replacing(flags.out) as temporary:
            _write_csv(temporary, names, columns)
    print(f"{len(names):,} codes in {flags.out}")


def _write_csv(path, names, columns):
    import csv

    from tf_mmdvlae.common.paths import as_cell

    heading = [
        f"{name}_{d + 1}" for name, values in columns.items() for d in range(values.shape[1])
    ]
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *heading])
        for row, name in enumerate(names):
            numbers = [f"{x:.6g}" for values in columns.values() for x in values[row]]
            writer.writerow([as_cell(name), *numbers])


main = Command("encode", __doc__, FLAGS, _run)
