"""Pictures that move: GIF, and MP4 by ffmpeg, which the extra `video` installs."""

from __future__ import annotations

import functools
import io
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.figures.drawing import (
    DOTS_PER_INCH,
    in_a_square,
    literal_text,
    mosaic,
    mosaic_figure,
    titled,
)

# Browsers play a GIF of more frames a second slowly.
_FASTEST = 50
# Pixels: one picture is enlarged to about the first, several side by side to the second at most;
# the squares of pictures up to the third are what a person wants to see.
_SIDE, _WIDEST, _DRAWN_AS_SQUARES = 256, 1024, 32
# The longest side that programs play.
_LONGEST = 4096
_GAP = 2
_QUIET_SECONDS = 3


def is_moving(path: pathlib.Path | str) -> bool:
    """Whether a path names a moving picture, .gif or .mp4."""
    return pathlib.Path(path).suffix.lower() in (".gif", ".mp4")


def require_moving(path: pathlib.Path | str, fps: int) -> None:
    """Raises, before the work, an InputError for `fps` above 50, or where MP4 lacks ffmpeg."""
    if fps > _FASTEST:
        raise InputError(f"--fps={fps} is more than programs show; give at most {_FASTEST}.")
    if pathlib.Path(path).suffix.lower() == ".mp4":
        _ffmpeg()


def write_moving(
    path: pathlib.Path | str,
    images: np.ndarray,
    fps: int,
    back: bool = True,
    scale: int | None = None,
) -> pathlib.Path:
    """Writes frames as one moving picture, whole or not at all, and returns the path.

    A GIF repeats without end. Each of its frames has up to 256 colours of its own, undithered: in
    drawn faces and in photographs dithering flickered twice as much, and 256 colours for all frames
    more than each frame's own.

    Args:
      path: a .gif or .mp4 file.
      images: [n, H, W, C] in [0, 1], n >= 1, or uint8; or [n, k, H, W, C], k images side by side.
      fps: frames a second, from 1 to 50.
      back: whether the frames follow a second time, backwards, so that a repetition doesn't jump.
      scale: how many times larger images become; None for about 256 pixels a side. Those up to 32
        pixels keep their squares, others are enlarged smoothly.

    Raises:
      InputError: if the file can't be written, or what MP4 needs is missing.
    """
    path, side = pathlib.Path(path), max(images.shape[-3:-1])
    if images.ndim == 5:
        images = np.stack([mosaic(in_a_square(frame), _GAP).pixels for frame in images])
    pixels = images
    if images.dtype != np.uint8:
        pixels = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    order = [*range(len(pixels)), *(range(len(pixels) - 2, 0, -1) if back else ())]
    scale = scale or max(1, min(_SIDE // side, _WIDEST // max(pixels.shape[1:3])))
    longest = scale * max(pixels.shape[1:3])
    if longest > _LONGEST:
        raise InputError(
            f"--scale={scale} makes {longest:,} pixels a side; at most {_LONGEST:,} fit."
        )
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    with replacing(path) as temporary:
        write(temporary, pixels, order, fps, scale, side <= _DRAWN_AS_SQUARES)
    return path


@literal_text()
def save_moving_mosaic(
    path: pathlib.Path | str,
    frames: np.ndarray,
    title: str,
    explanation: str,
    fps: int,
    **labels: Any,
) -> pathlib.Path:
    """Writes tiles [n, rows, columns, H, W, C] that move, there and back, and returns the path.

    `labels` are those of `mosaic_figure`; the title and the labels stand still. Errors are those of
    `write_moving`.
    """
    figure = mosaic_figure(frames[0], gap=_GAP, **labels)
    box = titled(figure, title, explanation)
    pictures = []
    for tiles in frames:
        figure.axes[0].images[0].set_data(mosaic(tiles, _GAP).pixels)
        with io.BytesIO() as file:
            figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches=box)
            pictures.append(np.asarray(Image.open(file).convert("RGB")))
    return write_moving(path, np.stack(pictures), fps, scale=1)


def _write_gif(path, pixels, order, fps, scale, squares):
    frames = _gif_frames(pixels, order, scale, squares)
    # Hundredths of a second, whose sum is right.
    times = np.diff(np.round(np.arange(len(order) + 1) * 100 / fps)).astype(int) * 10
    next(frames).save(
        path,
        format="gif",
        save_all=True,
        append_images=frames,
        duration=times.tolist(),
        loop=0,
    )


def _gif_frames(pixels, order, scale, squares) -> Iterator[Image.Image]:
    method = Image.Resampling.NEAREST if squares else Image.Resampling.BICUBIC

    @functools.cache
    def frame(index):
        image = Image.fromarray(pixels[index, ..., 0] if pixels.shape[-1] == 1 else pixels[index])
        large = image.resize((image.width * scale, image.height * scale), method)
        if image.mode == "L":
            return large
        # A small image has the same colours, and they are found in it much sooner.
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.NEAREST)
        palette = image.quantize(255, kmeans=1)
        colours = palette.getpalette()[: 3 * 255]
        palette.putpalette([*colours, 255, 255, 255])
        result = large.quantize(palette=palette, dither=Image.Dither.NONE)
        # The white around images would take the shade of what is nearly white in a frame.
        white = Image.fromarray((np.asarray(large) == 255).all(axis=-1))
        result.paste(len(colours) // 3, mask=white)
        return result

    progress = Progress(len(order), "frames", delay=_QUIET_SECONDS)
    for done, index in enumerate(order, start=1):
        yield frame(index)
        progress.update(done)
    progress.close()


def _write_mp4(path, pixels, order, fps, scale, squares):
    height, width, channels = pixels.shape[1:]
    # Browsers play colours at half the size only, which needs even sides.
    sides = ":".join(str(side * scale + side * scale % 2) for side in (width, height))
    command = [
        *(_ffmpeg(), "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pixel_format", "gray" if channels == 1 else "rgb24"),
        *("-video_size", f"{width}x{height}", "-framerate", str(fps), "-i", "-"),
        *("-vf", f"scale={sides}:flags={'neighbor' if squares else 'bicubic'}"),
        *("-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-crf", "18", "-movflags", "+faststart", "-f", "mp4", str(path)),
    ]
    done = subprocess.run(command, input=pixels[order].tobytes(), capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"ffmpeg could not write the MP4: {reason[-1] if reason else 'no reason'}")


def _ffmpeg():
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"MP4 needs imageio-ffmpeg ({error}): pip install 'tf_mmdvlae[video]' (in a checkout: "
            "pip install --editable '.[video]'), or give a .gif."
        ) from error
