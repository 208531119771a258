"""A folder of photographs -> a folder of pictures in which every face lies at the same place."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import csv
import itertools
import json
import os
import pathlib
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.paths import as_cell, expanded
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.config import unversioned
from tf_mmdvlae.config.layouts import LAYOUTS, Layout, from_json
from tf_mmdvlae.data import detector
from tf_mmdvlae.data.decode import decode_whole
from tf_mmdvlae.data.label_columns import as_number, is_missing
from tf_mmdvlae.data.label_file import finder, read_table
from tf_mmdvlae.data.listing import ENDINGS, list_pictures, warn_once
from tf_mmdvlae.data.reading import processors
from tf_mmdvlae.data.similarity import aligned, face_size, fit

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig

TABLE, RECORD = "align.csv", "align.json"
"""What an aligned folder holds beside its pictures: what was found, and the layout."""

ALIGNED, NO_FACE, NO_POINTS, SMALLER = "aligned", "no face", "no points", "smaller"
"""Results of a picture, or of one of its faces; others say why a picture could not be read."""

_POINTS = [
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "left_mouth", "right_mouth")
    for axis in "xy"
]
_HEADING = ["file", "face", *_POINTS, "score", "result"]
# What was done, as the command itself left it; people may correct the table.
_DONE, _LOCK = ".align.csv", ".lock"
_LASTING = (ALIGNED, SMALLER, NO_FACE, NO_POINTS)
_FEW = 64
_TABLE_SECONDS = 20.0


class Row(NamedTuple):
    """A row of the table: a face of a picture, or a picture without one.

    Attributes:
      file: the picture's name within its folder.
      face: 1 is the largest of the picture; 0 stands for none.
      points: (x, y) of the points in the order of `Layout.points`, to two decimals; () without.
      score: how sure the detector is, from 0 to 1; None where the points were given.
      result: `ALIGNED` or why there is no aligned picture.
    """

    file: str
    face: int
    points: tuple[float, ...]
    score: float | None
    result: str

    @property
    def out(self) -> str:
        """The name of the aligned picture: the photograph's, numbered from the second face on."""
        stem, ending = os.path.splitext(self.file)
        return self.file if self.face == 1 else f"{stem}_face{self.face}{ending}"


def align_folder(
    image_dir: pathlib.Path | str,
    out: pathlib.Path | str,
    layout: Layout,
    faces: str = "largest",
    points: str | None = None,
) -> collections.Counter[str]:
    """Aligns the photographs of a folder, and goes on where an earlier call stopped.

    `out` gets a picture per face, under the photograph's name and in the sub-folder of the same
    name, `TABLE` and `RECORD`. A photograph is done again if it is newer than its result, or if
    other points are given for it.

    Args:
      image_dir: the photographs, listed as for training.
      out: a folder that is empty, missing or an earlier result with the same layout and faces.
      faces: "largest" or "all" of each photograph.
      points: a CSV file of points, with the columns of `TABLE` from "file" to "right_mouth_y", in
        place of those that the detector finds; photographs without a row are left out.

    Returns:
      How many rows of the table have each result, up to a colon.

    Raises:
      InputError: for folders and files that can't be used, and where [align] is needed and missing.
    """
    root, out = expanded(image_dir), expanded(out)
    if not root.is_dir():
        raise InputError(f"--image_dir={root} is {'not a folder' if root.exists() else 'missing'}.")
    _require_apart(root, out)
    names = list_pictures(root).names
    if not names:
        raise InputError(f"{root} holds no image ({', '.join(ENDINGS)}) at any depth.")
    given = None if points is None else _read_points(points, names)
    files.require_folder(out)
    record = {"layout": layout._asdict(), "faces": faces}
    _require_own(out, record)
    if given is None:
        detector.require()
    with files.made_folder(out), files.locked(out / _LOCK, f"Waiting for {out} ...", wait=True):
        files.write_json(out / RECORD, record)
        return _align_all(root, out, names, layout, faces == "all", given)


def in_words(results: collections.Counter[str]) -> str:
    """What `align_folder` returns, as text."""
    return ", ".join(f"{result}: {count:,}" for result, count in sorted(results.items()))


def layout_of_data(data: DataConfig) -> Layout | None:
    """Where the faces of a data set's images lie; None where that is not known."""
    if not data.image_dir:
        return LAYOUTS.get(unversioned(data.dataset))
    with contextlib.suppress(InputError):
        return from_json(files.read_json(expanded(data.image_dir) / RECORD).get("layout"))
    return None


def _require_apart(root, out):
    ours, theirs = out.resolve(), root.resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise InputError(
            f"--out={out} and --image_dir={root} lie one within the other; choose another --out."
        )


def _require_own(out, record):
    """Refuses a folder of other files, or of pictures that were aligned otherwise."""
    if (out / RECORD).exists():
        if files.read_json(out / RECORD) != json.loads(json.dumps(record)):
            raise InputError(
                f"{out} holds pictures with another layout or another choice of faces (its "
                f"{RECORD} says which); choose another --out."
            )
    elif out.is_dir() and any(path.name != _LOCK for path in out.iterdir()):
        raise InputError(f"{out} holds other files; choose another --out.")


def _align_all(root, out, names, layout, every, given):
    done = _read_done(out / _DONE)
    since = os.path.getmtime(out / _DONE) if done else 0.0
    todo = [
        name
        for name in names
        if not _is_done(root / name, out, done.get(name, []), since, given and given.get(name, []))
    ]
    if len(todo) < len(names):
        print(f"{len(names) - len(todo):,} of {len(names):,} pictures are done.", flush=True)
    taken, progress, written = set(names), Progress(len(todo), "pictures"), time.monotonic()

    def work(name):
        photograph, points = root / name, given and given.get(name, [])
        return _align(photograph, name, out, layout, every, points, taken)

    try:
        with contextlib.closing(_in_threads(work, todo)) as results:
            for count, rows in enumerate(results, 1):
                name = rows[0].file
                _remove_stale(out, done.get(name, []), rows)
                done[name] = rows
                progress.update(count)
                if time.monotonic() - written > _TABLE_SECONDS:
                    _write_table(out / _DONE, done)
                    written = time.monotonic()
    finally:
        for table in (TABLE, _DONE):
            _write_table(out / table, done)
    progress.close()
    rows = itertools.chain.from_iterable(done.values())
    return collections.Counter(row.result.partition(":")[0] for row in rows)


def _is_done(photograph, out, rows, since, points):
    """Whether the rows of a photograph hold: nothing is newer, and `points`, if any, are theirs."""
    if not rows or rows[0].result not in _LASTING:
        return False
    if points is None and rows[0].result == NO_POINTS:
        return False
    if points is not None and points != [row.points for row in rows if row.points]:
        return False
    results = [out / row.out for row in rows if row.result == ALIGNED]
    try:
        made = min((result.stat().st_mtime for result in results), default=since)
        return made >= photograph.stat().st_mtime
    except OSError:
        return False


def _align(photograph, name, out, layout, every, points, taken):
    """Aligns one photograph by points, or by those that are found if they are None; its rows."""
    try:
        picture = decode_whole(photograph, 3)
    except Exception as error:  # Pillow raises whatever its decoders ran into.
        return [Row(name, 0, (), None, f"can't be read: {first_line(error)}")]
    if points is None:
        found = detector.find_faces(picture, small=every)
    else:
        found = [detector.Face(np.reshape(point, (4, 2)), None) for point in points]
    if not found:
        return [Row(name, 0, (), None, NO_FACE if points is None else NO_POINTS)]
    rows = []
    for number, face in enumerate(found, 1):
        row = Row(name, number, tuple(face.points.round(2).ravel().tolist()), face.score, ALIGNED)
        if number > 1 and not every:
            row = row._replace(result=SMALLER)
        elif number > 1 and row.out in taken:
            row = row._replace(result=f"left out: another picture is called {row.out}")
        else:
            try:
                result = aligned(picture, fit(face.points, layout), layout)
            except ValueError as error:
                row = row._replace(result=f"left out: {error}")
            else:
                _write(out / row.out, result)
        rows.append(row)
    return rows


def _write(path, picture):
    # A folder of grey photographs stays one.
    red, green, blue = (np.asarray(band) for band in picture.split())
    if (red == green).all() and (red == blue).all():
        picture = picture.convert("L")
    kind = {".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
    settings = {"PNG": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
    with files.replacing(path) as temporary:
        profile = picture.info.get("icc_profile")
        picture.save(temporary, format=kind, icc_profile=profile, **settings[kind])


def _remove_stale(out, before, rows):
    """Removes the aligned pictures of an earlier call that are none any more."""
    kept = {row.out for row in rows if row.result == ALIGNED}
    for row in before:
        if row.result == ALIGNED and row.out not in kept:
            (out / row.out).unlink(missing_ok=True)


def _in_threads(work, names):
    with concurrent.futures.ThreadPoolExecutor(processors()) as pool:
        try:
            for start in range(0, len(names), _FEW):
                yield from pool.map(work, names[start : start + _FEW])
        finally:
            pool.shutdown(cancel_futures=True)


def _read_points(path, names):
    """The points of each picture that has a row, the largest face first."""
    find = finder(names)
    heading, rows, separator, _ = read_table(path, find, "--points")
    if lacking := [name for name in _POINTS if name not in heading[1:]]:
        raise InputError(
            f"{path} lacks the column {lacking[0]!r}; besides the file it needs "
            f"{', '.join(_POINTS)}."
        )
    columns = [heading.index(name, 1) for name in _POINTS]
    given = collections.defaultdict(list)
    strangers = []
    for line, fields in rows:
        name, texts = find(fields[0]), [fields[column] for column in columns]
        if name is None:
            strangers.append(line)
        elif not all(map(is_missing, texts)):
            numbers = [as_number(text, separator != "commas") for text in texts]
            if None in numbers:
                word = texts[numbers.index(None)]
                raise InputError(f"{path}, line {line}: {word!r} is no number; a face has eight.")
            given[name].append(tuple(round(number, 2) for number in numbers))
    if not given:
        raise InputError(f"No row of {path} has points for a picture of the folder.")
    if strangers:
        warn_once(
            f"{len(strangers)} rows of {path} name no picture (or several) and are left out, the "
            f"first in line {strangers[0]}."
        )
    for points in given.values():
        points.sort(key=lambda point: -face_size(np.reshape(point, (4, 2))))
    return dict(given)


def _read_done(path) -> dict[str, list[Row]]:
    done = collections.defaultdict(list)
    # What can't be read is done again.
    with (
        contextlib.suppress(OSError, ValueError, TypeError, KeyError, csv.Error),
        open(path, newline="", encoding="utf-8") as file,
    ):
        for fields in csv.DictReader(file):
            points = tuple(float(fields[name]) for name in _POINTS if fields[name])
            score = float(fields["score"]) if fields["score"] else None
            name = fields["file"].removeprefix("./")
            done[name].append(Row(name, int(fields["face"]), points, score, fields["result"]))
    return dict(done)


def _write_table(path, done):
    with (
        files.replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_HEADING)
        for row in itertools.chain.from_iterable(done[name] for name in sorted(done)):
            points = [f"{number:.2f}" for number in row.points] or [""] * len(_POINTS)
            score = "" if row.score is None else f"{row.score:.4f}"
            writer.writerow([as_cell(row.file), row.face, *points, score, row.result])
