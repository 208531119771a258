"""Data as large as people's own: all of CelebA, a folder of a million pictures; made of a few.

python -m benchmarks.real_size celeb_a SOURCE OUT    OUT gets CelebA's files, with 202,599 images
python -m benchmarks.real_size folder SOURCE OUT     OUT gets 1,000,000 hard links to pictures

SOURCE has CelebA's files with fewer images, which come again under other names.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import zipfile

from tf_mmdvlae.data.prepare import FILES

CELEB_A = {0: 162_770, 1: 19_867, 2: 19_962}
"""CelebA's own numbers of images to train on, to validate and to test on, by their number in
list_eval_partition.txt."""

_ZIP, _ATTRIBUTES, _PARTITION, *_OTHERS = FILES["celeb_a"]
_PER_FOLDER = 10_000


def repeat_celeb_a(
    source: pathlib.Path, out: pathlib.Path, counts: dict[int, int] = CELEB_A
) -> None:
    """Writes CelebA's files to the folder `out`, with `counts` images in each part.

    The images and rows of `source` come again and again under the names 000001.jpg and so on.
    """
    names = [f"{number:06d}.jpg" for number in range(1, sum(counts.values()) + 1)]
    out.mkdir(parents=True, exist_ok=True)
    parts = itertools.chain.from_iterable([part] * count for part, count in counts.items())
    pairs = zip(names, parts, strict=True)
    (out / _PARTITION).write_text("".join(f"{name} {part}\n" for name, part in pairs))
    for file in (_ATTRIBUTES, *_OTHERS):
        lines = (source / file).read_text().splitlines()
        # The other files have no heading.
        head = [f"{len(names)}", lines[1]] if lines[0].strip().isdigit() else []
        rows = [line.partition(" ")[2] for line in lines[len(head) :]]
        lines = [f"{name} {row}" for name, row in zip(names, itertools.cycle(rows))]
        (out / file).write_text("\n".join([*head, *lines]) + "\n")
    with zipfile.ZipFile(source / _ZIP) as archive, zipfile.ZipFile(out / _ZIP, "w") as larger:
        members = [name for name in sorted(archive.namelist()) if name.endswith(".jpg")]
        pictures = [archive.read(member) for member in members]
        for name, picture in zip(names, itertools.cycle(pictures)):
            larger.writestr(f"img_align_celeba/{name}", picture)


def repeat_folder(source: pathlib.Path, out: pathlib.Path, count: int = 1_000_000) -> None:
    """Makes the folder `out` of `count` files, hard links to the pictures of CelebA's zip.

    Up to 10,000 lie in each sub-folder.
    """
    pictures = out.with_name(f"{out.name}_pictures")
    with zipfile.ZipFile(source / _ZIP) as archive:
        archive.extractall(pictures)
    files = sorted(pictures.rglob("*.jpg"))
    for number, file in zip(range(count), itertools.cycle(files)):
        folder = out / f"{number // _PER_FOLDER:03d}"
        if not number % _PER_FOLDER:
            folder.mkdir(parents=True)
        os.link(file, folder / f"{number:07d}.jpg")
    shutil.rmtree(pictures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["celeb_a", "folder"])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    make = repeat_celeb_a if given.what == "celeb_a" else repeat_folder
    make(given.source, given.out)
