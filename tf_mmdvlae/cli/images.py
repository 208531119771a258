"""What the commands on exports share: picture files, layers and strengths, read and written.

The functions raise an InputError for a flag or a file that they can't use.
"""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing, require_file, require_folder
from tf_mmdvlae.common.numbers import number, whole_number
from tf_mmdvlae.common.paths import expanded
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data.listing import ENDINGS, list_pictures
from tf_mmdvlae.data.reading import TOLERATED

if TYPE_CHECKING:
    from PIL import Image

    from tf_mmdvlae.data.similarity import Similarity
    from tf_mmdvlae.serving.loaded import Served

MOST_ROWS = 40
"""The most rows of one picture."""
LARGEST = float(np.finfo(np.float32).max)
"""The largest number that an export takes."""

_OTHER_FORMATS = (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tiff", ".mp4", ".webm", ".mov")
_LONGEST_PART = 80
_log = logging.getLogger(__name__)


def find(text: str, flag: str) -> list[pathlib.Path]:
    """The picture files that a flag names: files with commas between them, or folders.

    A folder's pictures are those of `list_pictures`, sorted by name; `flag` is the flag's name, for
    messages.
    """
    files: list[pathlib.Path] = []
    for part in [text] if os.path.exists(expanded(text)) else filter(None, text.split(",")):
        path = expanded(part)
        # A name that is too long is an error of `Path.exists`.
        if not os.path.exists(path):
            raise InputError(f"--{flag}: there is no file {path}.")
        if path.is_dir():
            pictures = list_pictures(path).names
            if not pictures:
                raise InputError(f"--{flag}: {path} holds no image ({', '.join(ENDINGS)}).")
            files += sorted(path / name for name in pictures)
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"--{flag}: {path} is neither a file nor a folder.")
    if not files:
        raise InputError(f"--{flag} names no file.")
    return files


class Reader:
    """Reads picture files for an export: their centres, or with --align their faces.

    Attributes:
      tolerated: the share of pictures that may be left out.
      similarities: with --align, what laid each photograph that was read, by path.
    """

    def __init__(self, served: Served, align: bool = False) -> None:
        self._served, self._align = served, align
        # Photographs without a face are nothing unusual.
        self.tolerated = 1.0 if align else TOLERATED
        self.similarities: dict[pathlib.Path, Similarity] = {}

    def __call__(self, *paths: pathlib.Path) -> np.ndarray:
        """The images [n, H, W, C] of files; an InputError for one that can't be read."""
        if not self._align:
            return self._served.read(*paths)
        from tf_mmdvlae.serving.faces import read_face

        images = []
        for path in paths:
            image, self.similarities[path] = read_face(self._served, path)
            images.append(image)
        return np.stack(images)


def batches(
    paths: list[pathlib.Path], read: Reader, size: int = 256
) -> Iterator[tuple[list[pathlib.Path], np.ndarray]]:
    """Reads pictures batch by batch, with progress, and leaves out those that can't be read.

    If these are all, or more than the reader tolerates, the last one's InputError is raised.

    Yields:
      The n >= 1 paths of a batch that could be read, and their images [n, H, W, C].
    """
    unreadable, progress = 0, Progress(len(paths), "pictures")
    for start in range(0, len(paths), size):
        files, images = [], []
        for path in paths[start : start + size]:
            try:
                images.append(read(path)[0])
                files.append(path)
            except InputError as error:
                unreadable += 1
                if unreadable > read.tolerated * len(paths) or unreadable == len(paths):
                    raise
                _log.warning("%s It is left out.", error)
        if files:
            yield files, np.stack(images)
        progress.update(min(start + size, len(paths)))
    progress.close()


def layer_weights(
    text: str | None, manifest: dict[str, Any]
) -> tuple[list[float] | None, list[int] | None]:
    """Reads --layers: numbers with commas between them, or None for all layers of the export.

    Returns:
      The weight of each layer, 1 or 0, and the numbers of those with 1; both None for all layers.
    """
    if text is None:
        return None, None
    count = len(manifest["latent_dims"])
    try:
        layers = sorted(set(map(whole_number, text.split(","))))
    except ValueError:
        layers = []
    if not layers or not set(layers) <= set(range(1, count + 1)):
        raise InputError(
            f"--layers={text} must be numbers from 1 (lowest) to {count}, with commas between them."
        )
    return [float(layer in layers) for layer in range(1, count + 1)], layers


def detail(
    value: float | None, manifest: dict[str, Any], signature: str, needed: bool = False
) -> float:
    """Reads --detail: None is 1, but 0 for exports older than the signature, unless it's needed."""
    if value is None:
        return float(needed or signature in manifest.get("signatures", ()))
    if not 0 <= value <= 1:
        raise InputError(f"--detail={value:g} must lie in [0, 1].")
    return value


def strengths(text: str) -> list[float]:
    """Reads --strength: a number, or start:stop:count."""
    try:
        if ":" in text:
            start, stop, count = text.split(":")
            most = min(whole_number(count), MOST_ROWS + 1)
            with np.errstate(all="ignore"):
                values = np.linspace(number(start), number(stop), most).tolist()
        else:
            values = [number(text)]
    except ValueError:
        values = []
    is_repeated = len(set(values)) < len(values)
    is_finite = all(abs(value) <= LARGEST for value in values)
    if not 0 < len(values) <= MOST_ROWS or is_repeated or not is_finite:
        raise InputError(
            f"--strength={text} must be a number, or start:stop:count such as -2:2:5 "
            f"(count from 1 to {MOST_ROWS}, start unlike stop)."
        )
    return values


def is_one_picture(out: str, rows: int, fps: int | None = None) -> bool:
    """Whether --out names one file for all results (True) or a folder (False).

    The file is a PNG; or a GIF or MP4, where the command gives `fps`, the frames a second of moving
    pictures. A place that can't be written is an InputError, and so are too many rows.
    """
    from tf_mmdvlae.figures.moving import is_moving, require_moving

    suffix = pathlib.Path(out).suffix.lower()
    moving = fps is not None and is_moving(out)
    if suffix in _OTHER_FORMATS and not moving:
        kinds = ".png" if fps is None else ".png, .gif or .mp4"
        raise InputError(f"--out={out}: pictures are written as {kinds}; or give a folder.")
    is_one = moving or suffix == ".png"
    if is_one and rows > MOST_ROWS:
        raise InputError(
            f"{rows} rows are too many for one picture (at most {MOST_ROWS}); give a folder, "
            "--out=DIR, for one file each."
        )
    (require_file if is_one else require_folder)(out)
    if moving and fps is not None:
        require_moving(out, fps)
    return is_one


def file_name(*parts: str) -> str:
    """The name of a PNG file: parts with "_" between them, each cut to 80 bytes."""
    cut = [os.fsencode(part)[:_LONGEST_PART].decode("utf-8", "ignore") for part in parts]
    return "".join(c if c.isprintable() and c != "/" else "_" for c in "_".join(cut)) + ".png"


def write(path: pathlib.Path | str, image: np.ndarray | Image.Image) -> None:
    """Writes an image, [H, W, C] in [0, 1] or Pillow's, as a PNG file, whole or not at all."""
    picture = _picture(image) if isinstance(image, np.ndarray) else image
    with replacing(path) as temporary:
        picture.save(temporary, format="png")


def _picture(image):
    from PIL import Image

    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
