"""bin/encode: the codes of a folder of pictures, by an export."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """writes the codes of a folder of pictures.

  bin/encode --export=exports/celeb_a --image_dir=DIR --out=codes.npz

A .npz file holds `picture` [n] (names), `z_1` ... `z_L` [n, d_l] (posterior means) and `std_1` ...
`std_L`; a .csv file the same with a row a picture, columns z_<layer>_<dimension>, dimensions from
1."""


def _define(values):
    def text(name, about):
        flags.DEFINE_string(name, None, about, flag_values=values)

    text("export", "an export, such as exports/celeb_a (its newest version)")
    text("image_dir", "folder of JPEG and PNG pictures, read at any depth")
    text("out", "file for the codes, ending in .npz or .csv")


def _call(values):
    from tf_mmdvlae.cli import images as pictures
    from tf_mmdvlae.common.errors import InputError

    pictures.required(values, "export", "image_dir", "out")
    if not values.out.endswith((".npz", ".csv")):
        raise InputError(f"--out={values.out} must end in .npz or .csv.")
    paths = pictures.find(values.image_dir, "image_dir")

    import pathlib

    import numpy as np

    from tf_mmdvlae.common.files import replacing, write_arrays
    from tf_mmdvlae.model import latents
    from tf_mmdvlae.serving.loaded import load

    served, root = load(values.export), pathlib.Path(values.image_dir).expanduser()
    files, means, deviations = [], [], []
    for names, images in pictures.batches(paths, served):
        files += [str(name.relative_to(root)) if root.is_dir() else str(name) for name in names]
        mean, deviation = served.encode(images)
        means.append(mean)
        deviations.append(deviation)
    means, deviations = latents.concatenate(means), latents.concatenate(deviations)
    columns = means | {n.replace("z_", "std_"): d for n, d in deviations.items()}
    if values.out.endswith(".npz"):
        write_arrays(values.out, {"picture": np.array(files)} | columns)
    else:
        with replacing(values.out) as temporary:
            _write_csv(temporary, files, columns)
    print(f"{len(files):,} codes in {values.out}")


def _write_csv(path, files, columns):
    import csv

    heading = [
        f"{name}_{d + 1}" for name, values in columns.items() for d in range(values.shape[1])
    ]
    with open(path, "w", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *heading])
        for row, name in enumerate(files):
            numbers = [f"{x:.6g}" for values in columns.values() for x in values[row]]
            writer.writerow([name, *numbers])


def main():
    """Runs the command; returns its exit code."""
    return run("encode", _ABOUT, _define, _call)
