"""Similarities by hand, and pictures that were resampled by them."""

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.config.layouts import LAYOUTS, Layout
from tf_mmdvlae.data.similarity import Similarity, aligned, face_size, fit, transformed

SQUARE = Layout(9, 9, ((2.0, 2.0), (6.0, 2.0), (2.0, 6.0), (6.0, 6.0)))
POINTS = np.array(SQUARE.points)


def test_points_that_are_turned_and_twice_as_large_are_taken_back():
    # A quarter turn: (x, y) -> (-y, x), then twice as large and moved.
    photograph = np.array([[-2 * y + 50, 2 * x + 10] for x, y in POINTS])
    similarity = fit(photograph, SQUARE)
    assert similarity.turn == pytest.approx(-0.5j)
    np.testing.assert_allclose(similarity.of(photograph), POINTS, atol=1e-9)
    np.testing.assert_allclose(similarity.inverse().of(POINTS), photograph, atol=1e-9)


def test_the_fit_is_that_of_least_squares():
    """By the normal equations of x' = a x - b y + c, y' = b x + a y + d."""
    points = POINTS + np.random.default_rng(0).normal(0, 0.5, (4, 2))
    rows = [([x, -y, 1, 0], [y, x, 0, 1]) for x, y in points]
    a, b, c, d = np.linalg.lstsq(np.concatenate(rows), POINTS.ravel(), rcond=None)[0]
    similarity = fit(points, SQUARE)
    assert (similarity.turn, similarity.shift) == pytest.approx((a + 1j * b, c + 1j * d))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.ones((4, 2)), "in one place"),
        (np.full((4, 2), np.nan), "in one place"),
        (POINTS[[1, 0, 3, 2]], "mirrored"),
    ],
)
def test_points_that_fit_nothing_are_refused(points, reason):
    with pytest.raises(ValueError, match=reason):
        fit(points, SQUARE)


def test_a_face_in_profile_fits():
    line = np.array([[30.0, 20.0], [30.0, 20.0], [30.0, 60.0], [30.0, 60.0]])
    assert fit(line, LAYOUTS["celeb_a"]).turn.real > 0


def test_the_size_of_a_face_is_the_way_from_eyes_to_mouth():
    assert face_size(POINTS) == 4


def test_a_picture_that_already_lies_so_stays_and_a_quarter_turn_is_exact():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    picture = Image.fromarray(pixels)
    same = np.array(aligned(picture, fit(POINTS, SQUARE), SQUARE), int)
    # Pillow cuts what is behind the point.
    np.testing.assert_allclose(same, pixels, atol=1)
    # The left eye of the layout comes from the photograph's bottom left.
    turned = fit(POINTS[[2, 0, 3, 1]], SQUARE)
    result = np.array(aligned(picture, turned, SQUARE), int)
    np.testing.assert_allclose(result, np.rot90(pixels, -1), atol=1)


def test_what_lies_beside_the_photograph_is_its_reflection():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 8), np.uint8)
    moved = Similarity(1, 5 + 3j)
    result = np.asarray(aligned(Image.fromarray(pixels), moved, Layout(12, 15, SQUARE.points)))
    wide = np.pad(pixels, ((3, 2), (5, 2)), mode="symmetric")
    np.testing.assert_allclose(result.astype(int), wide, atol=1)


def test_a_large_photograph_is_reduced_with_a_filter():
    """Lines of one pixel become grey, where taking every eighth pixel would leave one colour."""
    lines = np.zeros((400, 400), np.uint8)
    lines[:, ::2] = 200
    picture = Image.fromarray(lines)
    result = np.asarray(aligned(picture, fit(POINTS * 40, SQUARE), SQUARE), int)
    assert abs(result[:, 1:-1] - 100).max() < 12


def test_a_photograph_of_which_nothing_is_seen_is_refused():
    with pytest.raises(ValueError, match="outside"):
        aligned(Image.new("L", (9, 9)), Similarity(1, 1000), SQUARE)


def test_a_small_part_of_a_photograph_is_enlarged_smoothly():
    ramp = Image.fromarray(np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1)))
    result = np.asarray(aligned(ramp, fit(POINTS / 4 + 40, SQUARE), SQUARE), float)
    np.testing.assert_allclose(result[4], 2 * (40 + np.arange(9) / 4), atol=1)


def test_a_pixel_comes_from_its_place():
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    result = transformed(Image.fromarray(pixels), lambda x, y: np.array([x + 1, y + 2]), (3, 2))
    np.testing.assert_array_equal(result, pixels[2:4, 1:4])
