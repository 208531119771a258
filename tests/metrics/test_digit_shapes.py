import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.digit_shapes import digit_shapes

# How far a measure may lie from what was drawn. Edges along the grid move by up to an eighth of a
# pixel each.
TOLERANCES = {"thickness": 0.25, "slant": 0.5, "width": 0.5, "height": 0.3, "area": 4.5}


def stroke(inside, size=28, points=16):
    """One image [size, size, 1]: the share of each pixel's points that lie inside the stroke.

    `inside` takes x (to the right) and y (down) from the image's centre, in pixels.
    """
    along = (np.arange(size * points) + 0.5) / points - size / 2
    y, x = np.meshgrid(along, along, indexing="ij")
    cells = inside(x, y).reshape(size, points, size, points)
    return cells.mean(axis=(1, 3)).astype(np.float32)[..., None]


def bar(width, height, slant, right=0.0, down=0.0):
    """An upright bar with level ends, sheared to the right."""
    shear = np.tan(np.radians(slant))

    def inside(x, y):
        x, y = x - right, y - down
        return (np.abs(x + shear * y) < width / 2) & (np.abs(y) < height / 2)

    return stroke(inside)


def ring(thickness, radius, right=0.0, down=0.0):
    return stroke(lambda x, y: np.abs(np.hypot(x - right, y - down) - radius) < thickness / 2)


def assert_shapes(images, **expected):
    for name, values in digit_shapes(images).items():
        assert values.dtype == np.float32
        assert values.shape == (len(images),)
        assert values == pytest.approx(expected[name], abs=TOLERANCES[name]), name


@pytest.mark.parametrize("width", [2.0, 3.0, 4.25])
@pytest.mark.parametrize("slant", [-35.0, -10.0, 0.0, 20.0, 35.0])
def test_bars_measure_what_was_drawn(width, slant):
    places = np.random.default_rng(0).uniform(-2, 2, (4, 2))
    assert_shapes(
        np.stack([bar(width, 17.0, slant, *place) for place in places]),
        # The bar's sides are `width` apart along the level, less at right angles.
        thickness=width * np.cos(np.radians(slant)),
        slant=slant,
        width=width,
        height=17.0,
        area=width * 17.0,
    )


def test_rings_measure_what_was_drawn():
    thicknesses = np.array([2.0, 2.7, 3.5, 5.0])
    radii = np.array([8.0, 5.5, 7.2, 6.0])
    assert_shapes(
        np.stack([ring(*sizes, 0.3, -0.4) for sizes in zip(thicknesses, radii, strict=True)]),
        thickness=thicknesses,
        slant=np.zeros(4),
        width=2 * radii + thicknesses,
        height=2 * radii + thicknesses,
        area=2 * np.pi * radii * thicknesses,
    )


def test_a_cross_is_as_thick_as_its_strokes():
    def inside(x, y):
        return (np.maximum(abs(x), abs(y)) < 9) & (np.minimum(abs(x), abs(y)) < 1.5)

    cross = digit_shapes(stroke(inside)[None])
    assert cross["thickness"] == pytest.approx(3, abs=0.25)
    assert cross["area"] == pytest.approx(4 * 9 * 3 - 9, abs=2)


def test_shapes_do_not_change_with_brightness_or_a_grey_background():
    image = bar(3.0, 15.0, 12.0, 0.4, 0.2)[None]
    full, faint = digit_shapes(image), digit_shapes(0.2 + 0.5 * image)
    for name, values in full.items():
        assert faint[name] == pytest.approx(values, abs=0.05)


def test_a_mirrored_image_leans_the_other_way():
    image = bar(3.0, 15.0, 25.0, 1.3, 0.2)[None]
    there, mirrored = digit_shapes(image), digit_shapes(image[:, :, ::-1])
    assert mirrored["slant"] == pytest.approx(-there["slant"], abs=1e-3)
    assert mirrored["thickness"] == pytest.approx(there["thickness"], abs=1e-3)


def test_strokes_at_the_border_and_images_that_are_not_square():
    image = np.zeros((1, 12, 20, 1), np.float32)
    image[0, :, :3] = 1
    shapes = digit_shapes(image)
    assert shapes["height"] == pytest.approx(12, abs=0.3)
    assert shapes["width"] == pytest.approx(3, abs=0.3)
    assert shapes["thickness"] == pytest.approx(3, abs=0.25)


def test_a_single_pixel_is_a_short_upright_stroke():
    image = np.zeros((1, 9, 9, 1), np.float32)
    image[0, 4, 5] = 1
    shapes = digit_shapes(image)
    assert shapes["slant"] == pytest.approx(0, abs=1e-6)
    for name in ("width", "height", "thickness"):
        assert 0.5 <= shapes[name][0] <= 1.6


def test_images_of_one_brightness_have_no_shape():
    images = np.stack([np.zeros((28, 28, 1)), bar(3.0, 15.0, 0.0), np.ones((28, 28, 1))])
    for values in digit_shapes(images).values():
        assert np.isnan(values).tolist() == [True, False, True]
    assert [len(values) for values in digit_shapes(images[:0]).values()] == [0] * 5


def test_images_that_cannot_be_measured_are_refused():
    with pytest.raises(InputError, match=r"shape \[2, 28, 28, 3\]"):
        digit_shapes(np.zeros((2, 28, 28, 3)))
    with pytest.raises(InputError, match="not finite"):
        digit_shapes(np.full((1, 8, 8, 1), np.nan))
