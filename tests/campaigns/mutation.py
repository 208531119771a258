"""Pictures of every kind, damaged in the ways that files are damaged, or that people forge them."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}


def picture(generator, format):
    """The bytes of a smooth picture of random size, mode and options."""
    sizes = generator.choice([1, 2, 7, 8, 9, 16, 31, 64, 150], 2)
    mode = str(generator.choice(MODES[format]))
    coarse = generator.integers(0, 256, (4, 4, 4 if mode in ("RGBA", "LA", "CMYK") else 3))
    image = Image.fromarray(np.uint8(coarse)).resize(sizes, Image.Resampling.BICUBIC)
    options = {}
    if mode == "CMYK":
        image = Image.merge("CMYK", image.split())
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    else:
        image = image.convert(mode)
    if format == "JPEG":
        options = {
            "quality": int(generator.integers(30, 100)),
            "progressive": bool(generator.integers(2)),
            "subsampling": int(generator.integers(3)),
            "restart_marker_blocks": int(generator.integers(3)),
        }
        options = {name: value for name, value in options.items() if value}
    elif format == "WEBP":
        options = {"lossless": bool(generator.integers(2))}
    elif mode in ("1", "L", "P", "RGB") and generator.integers(3) == 0:
        options = {"transparency": (9, 9, 9) if mode == "RGB" else int(generator.integers(2))}
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def mutated(content, generator):
    """Damages the bytes of a picture once to three times."""
    for _ in range(generator.choice([1, 1, 1, 2, 3])):
        content = WAYS[generator.integers(len(WAYS))](content, generator)
    return content


def parts(content):
    """Splits a picture into its header and the chunks or segments that follow; joined, the same."""
    if content.startswith(PNG):
        ends = [8]
        while ends[-1] + 12 <= len(content):
            (length,) = struct.unpack_from(">I", content, ends[-1])
            ends.append(ends[-1] + 12 + length)
    elif content.startswith(JPEG):
        # Entropy-coded data belongs to the segment before it.
        ends = [found.start() for found in re.finditer(rb"\xff[\xc0-\xcf\xda-\xfe]", content)]
    else:
        ends = [12]
        while ends[-1] + 8 <= len(content):
            (length,) = struct.unpack_from("<I", content, ends[-1] + 4)
            ends.append(ends[-1] + 8 + length + length % 2)
    ends = [end for end in ends if end < len(content)]
    return [content[a:b] for a, b in zip([0, *ends], [*ends, len(content)], strict=True)]


def flip_bits(content, generator):
    numbers = np.frombuffer(content, np.uint8).copy()
    if len(numbers):
        places = generator.integers(0, len(numbers), generator.integers(1, 9))
        numbers[places] ^= np.uint8(1) << generator.integers(0, 8, len(places), np.uint8)
    return numbers.tobytes()


def cut(content, generator):
    return content[: generator.integers(len(content) + 1)]


def replace_run(content, generator):
    """Other bytes, more or fewer, in place of a run."""
    first, second = np.sort(generator.integers(0, len(content) + 1, 2))
    second = min(second, first + generator.integers(40))
    return content[:first] + generator.bytes(generator.integers(40)) + content[second:]


def move_parts(content, generator):
    """A part is dropped, doubled or changes places with another."""
    pieces = parts(content)
    a, b = generator.integers(0, len(pieces), 2)
    way = generator.integers(3)
    if way == 0:
        del pieces[a]
    elif way == 1:
        pieces.insert(b, pieces[a])
    else:
        pieces[a], pieces[b] = pieces[b], pieces[a]
    return b"".join(pieces)


def change_header(content, generator):
    """Another size, number of bits, colour type or number of components; the checksum is right."""
    numbers = bytearray(content)
    if content.startswith(PNG) and len(content) >= 33:
        first, sides, more = 16, ">II", (24, 25, 28)
    elif content.startswith(JPEG) and (found := re.search(rb"\xff[\xc0-\xc2]..", content, re.S)):
        first, sides = found.end() + 1, ">HH"
        more = (first - 1, first + 4, first + 5, first + 6, first + 7, first - 4)
    elif b"VP8 " in content[:40]:
        first, sides, more = content.index(b"VP8 ") + 14, "<HH", (20, 23)
    else:
        first, sides, more = 21, "<HH", (20, 24)
    if first + 8 >= len(content):
        return content
    if generator.integers(2):
        # Most claims are small; some are of more than 50 megapixels.
        claims = [int(2 ** generator.uniform(0, 9 if generator.integers(9) else 16)) - 1] * 2
        claims[generator.integers(2)] = int(generator.integers(0, 200))
        struct.pack_into(sides, numbers, first, *claims)
    else:
        value = int(generator.choice([0, 1, 2, 3, 4, 6, 8, 16, 17, 255]))
        numbers[generator.choice([place for place in more if place < len(content)])] = value
    return _summed(bytes(numbers), 8)


def change_chunk(content, generator):
    """Bits of one chunk of a PNG change, and its checksum with them."""
    pieces = parts(content)
    # Packed pixels have a checksum of their own, which Pillow does not read.
    places = [n for n, piece in enumerate(pieces) if n and piece[4:8] != b"IDAT"]
    if not content.startswith(PNG) or not places:
        return flip_bits(content, generator)
    place = generator.choice(places)
    chunk = pieces[place]
    pieces[place] = _summed(chunk[:8] + flip_bits(chunk[8:-4], generator) + chunk[-4:], 0)
    return b"".join(pieces)


def repack(content, generator):
    """The pixels of a PNG, or how they are packed, change; all checksums are right."""
    pieces = parts(content)
    places = [n for n, piece in enumerate(pieces) if piece[4:8] == b"IDAT"]
    if not content.startswith(PNG) or not places:
        return flip_bits(content, generator)
    data = b"".join(pieces[place][8:-4] for place in places)
    change = (flip_bits, cut, replace_run)[generator.integers(3)]
    if generator.integers(4):
        try:
            data = zlib.compress(change(zlib.decompress(data), generator))
        except zlib.error:
            return content
    else:
        data = change(data, generator)
    middle = generator.integers(len(data) + 1)
    chunks = [
        _summed(struct.pack(">I", len(part)) + b"IDAT" + part + bytes(4), 0)
        for part in (data[:middle], data[middle:])
    ]
    return b"".join([*pieces[: places[0]], *chunks, *pieces[places[-1] + 1 :]])


def splice(content, generator):
    """The beginning of one picture and the end of another."""
    other = picture(generator, str(generator.choice(list(MODES))))
    return cut(content, generator) + other[generator.integers(len(other)) :]


def _summed(content, first):
    """The same with the right checksum of a PNG's chunk that begins at `first`."""
    if first and not content.startswith(PNG):
        return content
    length = int.from_bytes(content[first : first + 4], "big")
    end = first + 8 + length
    return (
        content[:end] + struct.pack(">I", zlib.crc32(content[first + 4 : end])) + content[end + 4 :]
    )


WAYS = (flip_bits, cut, replace_run, move_parts, change_header, change_chunk, repack, splice)
