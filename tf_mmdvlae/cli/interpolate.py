"""Walks from picture to picture through the codes, as a moving picture, a strip or files.

  bin/interpolate --export=exports/celeb_a --images=a.jpg,b.jpg,c.jpg --out=walk.gif
  bin/interpolate --export=exports/celeb_a --images=a.jpg,b.jpg --layers=3,4 --out=walk.mp4

--images takes files with commas between them, or a folder (its files by name); name the first one
again at the end, and the walk goes round. If --out ends in .gif or .mp4, the pictures move; if it
ends in .png, one picture shows a row per leg; if it is a folder, each frame is a file there. MP4
needs the extra `video`.

What the model does not draw of the pictures is added back, fading from one to the next: the walk
goes through the photographs themselves. --detail=0 shows the model's own drawing. Codes go along
arcs, on which they stay as long as the codes of pictures are; --straight takes straight lines.
"""

from tf_mmdvlae.cli.command import ALIGN, DETAIL, EXPORT, MOVING_FLAGS, Command, Flag, place

FLAGS = {
    "export": EXPORT,
    "images": Flag(str, "two pictures or more, or a folder of pictures", required=True),
    "out": Flag(place, "GIF, MP4 or PNG file, or folder for one file a frame", required=True),
    "frames": Flag(
        int, "frames from one picture to the next [default: 30; in a PNG 8]", at_least=1
    ),
    "layers": Flag(
        str, "latent layers that take part, such as 3,4; others stay the first's [default: all]"
    ),
    "detail": DETAIL._replace(
        default=1.0, help="how much of what the model does not draw is added back, from 0 to 1"
    ),
    "align": ALIGN,
    "straight": Flag(bool, "go along straight lines, not arcs"),
    **MOVING_FLAGS,
}


# The most frames from one picture to the next in a strip, and of all frames elsewhere.
_MOST_IN_A_ROW, _MOST = 40, 2_000


def _run(flags):
    import numpy as np

    from tf_mmdvlae.cli import images
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.common.progress import Progress
    from tf_mmdvlae.figures.answers import draw_walk
    from tf_mmdvlae.figures.moving import is_moving, write_moving
    from tf_mmdvlae.serving.loaded import load, manifest_of

    manifest = manifest_of(flags.export)
    weights, layers = images.layer_weights(flags.layers, manifest)
    detail = images.detail(flags.detail, manifest, "decode")
    paths = images.find(flags.images, "images")
    legs, moving = len(paths) - 1, is_moving(flags.out)
    if not legs:
        raise InputError("--images names one picture; a walk needs two or more.")
    one_file = images.is_one_picture(flags.out, 1 if moving else legs, flags.fps)
    strip = one_file and not moving
    frames = flags.frames or (8 if strip else 30)
    count, most = (frames, _MOST_IN_A_ROW) if strip else (legs * frames + 1, _MOST)
    if count > most:
        where = "a row of the picture" if strip else f"the walk through {len(paths):,} pictures"
        raise InputError(f"--frames: {count:,} frames in {where} are too many (at most {most:,}).")
    served = load(flags.export)
    pictures = images.Reader(served, flags.align)(*paths)
    positions = np.arange(legs * frames + 1) / frames
    progress, drawn, size = Progress(len(positions), "frames", delay=3), [], 250
    for start in range(0, len(positions), size):
        part = positions[start : start + size]
        drawn.append(served.walk(pictures, part, weights, flags.straight, detail))
        progress.update(start + len(part))
    progress.close()
    drawn = np.concatenate(drawn)
    if moving:
        # A walk that closes goes round, and shows its end as its start.
        is_closed = paths[0] == paths[-1]
        drawn, back = (drawn[:-1], False) if is_closed else (drawn, flags.back)
        print(write_moving(flags.out, drawn, flags.fps, back, flags.scale))
    elif strip:
        print(draw_walk(flags.out, drawn, frames, layers, detail))
    else:
        for index, image in enumerate(drawn):
            images.write(f"{flags.out}/frame_{index:05d}.png", image)
        print(f"{len(drawn):,} frames in {flags.out}")


main = Command("interpolate", __doc__, FLAGS, _run)
