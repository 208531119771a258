"""A change of a small image, enlarged and added to the whole photograph."""

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.decode import decode
from tf_mmdvlae.serving.full_size import in_photograph


@pytest.fixture
def photograph(tmp_path):
    """A grey photograph 240 wide and 160 high, as a colour file that lies on its side."""
    path, turned = tmp_path / "photograph.png", Image.Exif()
    turned[0x0112] = 6
    upright = Image.new("RGB", (240, 160), (100, 110, 120))
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=turned, icc_profile=b"profile")
    return path


def added(path, changes, crop=0.5):
    """The photographs with the changes, less the photograph without any: levels."""
    results = [np.asarray(image, int) for image in in_photograph(path, changes, crop)]
    return [result - np.array([100, 110, 120]) for result in results]


def test_a_constant_change_fills_the_centre_and_fades_at_its_borders(photograph):
    (difference,) = added(photograph, np.full((1, 16, 16, 3), 0.2, np.float32))
    assert difference.shape == (160, 240, 3)
    # Of the shorter edge, 160, the half is kept: rows 40 to 120 and columns 80 to 160.
    outside = difference.copy()
    outside[40:120, 80:160] = 0
    assert not outside.any()
    # An eighth of 80 pixels on each side fades.
    inner = difference[55:105, 95:145]
    # The filter may overshoot by a level.
    assert np.abs(inner - 51).max() <= 1
    across = difference[80, 80:160, 0]
    assert across[0] == 0
    assert np.abs(np.diff(across)).max() <= 8
    assert np.array_equal(across, across[::-1])


def test_a_change_lies_where_the_small_image_has_it(photograph):
    change = np.zeros((2, 16, 16, 3), np.float32)
    change[0, 5, 10, 1] = 0.4
    change[1, 5, 10, 1] = -0.6
    for difference, sign in zip(added(photograph, change), (1, -1), strict=True):
        place = np.unravel_index(np.argmax(np.abs(difference)), difference.shape)
        # A pixel of the small image is five wide: rows 65 to 69 and columns 130 to 134.
        assert (place[0] - 67) ** 2 + (place[1] - 132) ** 2 <= 2
        assert place[2] == 1
        assert np.sign(difference[place]) == sign
    with Image.open(photograph) as image:
        small, _ = decode(str(photograph), (16, 16, 3), 0.5, upright=True)
        assert image.size == (160, 240)
        assert small.shape == (16, 16, 3)


def test_no_change_gives_the_photograph_to_the_bit(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (31, 47, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png", icc_profile=b"profile")
    (result,) = in_photograph(tmp_path / "noise.png", np.zeros((1, 8, 8, 3), np.float32), 1.0)
    assert np.array_equal(np.asarray(result), pixels)
    assert result.info["icc_profile"] == b"profile"


def test_the_photographs_own_edges_do_not_fade(tmp_path):
    Image.new("L", (90, 60), 100).save(tmp_path / "wide.png")
    change = np.full((1, 8, 8, 1), 0.2, np.float32)
    (result,) = in_photograph(tmp_path / "wide.png", change, 1.0)
    assert np.abs(np.asarray(result, int)[:, 30:60] - 151).max() <= 1
    assert np.asarray(result)[30, 15] <= 101
    # A model of grey images makes the photograph grey.
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    (result,) = in_photograph(tmp_path / "red.png", change, 1.0)
    assert result.mode == "L"


def test_levels_end_at_black_and_white(tmp_path):
    Image.new("RGB", (32, 32), (10, 128, 250)).save(tmp_path / "x.png")
    change = np.full((2, 8, 8, 3), 0.5, np.float32) * np.float32([1, -1])[:, None, None, None]
    results = in_photograph(tmp_path / "x.png", change, 1.0)
    assert [image.getpixel((16, 16)) for image in results] == [(138, 255, 255), (0, 0, 122)]


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.png can't be read as a picture"):
        next(in_photograph(tmp_path / "x.png", np.zeros((1, 8, 8, 3), np.float32), 1.0))
