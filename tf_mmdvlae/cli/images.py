"""What the commands on exports share: pictures in, pictures out, words for layers and strengths."""

import logging
import pathlib

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data.image_folder import ENDINGS
from tf_mmdvlae.data.reading import TOLERATED

MOST_ROWS = 40
_log = logging.getLogger(__name__)


def find(text, flag):
    """The picture files that a flag names: files with commas between them, or folders.

    Args:
      text: the flag's value.
      flag: its name, for messages.

    Returns:
      A list of at least one path; a folder's files at any depth, by name.

    Raises:
      InputError: if something is missing or a folder holds no JPEG or PNG.
    """
    found = []
    whole = pathlib.Path(text).expanduser().exists()
    for part in [text] if whole else filter(None, text.split(",")):
        path = pathlib.Path(part).expanduser()
        if path.is_dir():
            inside = [
                p
                for p in path.rglob("*")
                if p.suffix.lower() in ENDINGS and not p.name.startswith(".")
            ]
            if not inside:
                raise InputError(f"--{flag}: {path} holds no image ({', '.join(ENDINGS)}).")
            found += sorted(inside)
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"--{flag}: there is no file {path}.")
    if not found:
        raise InputError(f"--{flag} names no file.")
    return found


def batches(paths, served, size=256):
    """Reads pictures batch by batch, with progress; those that can't be read are left out.

    Args:
      paths: picture files.
      served: a `Served`.
      size: pictures a batch.

    Yields:
      (paths, images [n, H, W, C]) of those that could be read, n >= 1.

    Raises:
      InputError: if more than 1% of them can't be read.
    """
    lost, progress = 0, Progress(len(paths), "pictures")
    for start in range(0, len(paths), size):
        names, images = [], []
        for path in paths[start : start + size]:
            try:
                images.append(served.read(path)[0])
                names.append(path)
            except InputError as error:
                lost += 1
                if lost > TOLERATED * len(paths):
                    raise
                _log.warning("%s It is left out.", error)
        if names:
            yield names, np.stack(images)
        progress.update(min(start + size, len(paths)))
    progress.close()


def layer_weights(text, served):
    """Weights that let only some layers take part.

    Args:
      text: the value of --layers, numbers with commas between them, or None for all.
      served: a `Served`.

    Returns:
      (weights [L] of one and zero, the layers' numbers), both None for all layers.

    Raises:
      InputError: for what is no layer.
    """
    if text is None:
        return None, None
    count = len(served.latent_dims)
    try:
        layers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        layers = []
    if not layers or not set(layers) <= set(range(1, count + 1)):
        raise InputError(
            f"--layers={text} must be numbers from 1 (lowest) to {count}, with commas between them."
        )
    return [float(layer in layers) for layer in range(1, count + 1)], layers


def strengths(text):
    """Reads --strength: a number, or start:stop:count.

    Returns:
      A list of floats.

    Raises:
      InputError: if it is neither.
    """
    parts = text.split(":")
    try:
        if len(parts) == 1:
            values = [float(text)]
        else:
            start, stop, count = parts
            values = np.linspace(float(start), float(stop), int(count)).tolist()
    except ValueError:
        values = []
    repeated = len(set(values)) < len(values)
    if not values or repeated or not np.isfinite(values).all() or len(values) > MOST_ROWS:
        raise InputError(
            f"--strength={text} must be a number, or start:stop:count such as -2:2:5 "
            f"(count from 1 to {MOST_ROWS}, start unlike stop)."
        )
    return values


def is_one_picture(out, rows):
    """Whether --out names one PNG file for all (True) or a folder (False).

    Raises:
      InputError: if so many rows are too many for one picture, or `out` is another kind of file.
    """
    suffix = pathlib.Path(out).suffix.lower()
    if suffix == ".png":
        if rows > MOST_ROWS:
            raise InputError(
                f"{rows} rows are too many for one picture (at most {MOST_ROWS}); give a folder, "
                "--out=DIR, for a file each."
            )
        return True
    if suffix in (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tiff"):
        raise InputError(f"--out={out}: pictures are written as .png; or give a folder.")
    return False


def write(path, image):
    """Writes an image [H, W, C] in [0, 1] as a PNG file, whole or not at all.

    Raises:
      InputError: if the file cannot be written.
    """
    from PIL import Image

    pixels = np.uint8(np.round(np.clip(image, 0, 1) * 255))
    with replacing(path) as temporary:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
            temporary, format="png"
        )
