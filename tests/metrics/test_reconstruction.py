"""PSNR and SSIM of reconstructions."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from tf_mmdvlae.metrics.reconstruction import reconstruction_errors, reconstruction_quality


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(size=(6, 16, 16, 3)).astype(np.float32)


def slow_similarity(image, other):
    """Wang et al. 2004, equation 13, channel by channel, in float64 with SciPy's correlation."""
    window = np.exp(-np.square(np.arange(11) - 5) / (2 * 1.5**2))
    window /= window.sum()

    def blurred(values):
        return correlate1d(correlate1d(values, window, axis=0), window, axis=1)[5:-5, 5:-5]

    channels = []
    for x, y in zip(np.moveaxis(image, -1, 0), np.moveaxis(other, -1, 0), strict=True):
        x, y = np.float64(x), np.float64(y)
        mean_x, mean_y = blurred(x), blurred(y)
        variance_x, variance_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
        covariance = blurred(x * y) - mean_x * mean_y
        light = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        structure = (2 * covariance + 9e-4) / (variance_x + variance_y + 9e-4)
        channels.append((light * structure).mean())
    return np.mean(channels)


def test_similarity_is_that_of_the_published_formula(pictures):
    worse = np.clip(pictures + np.float32(0.1) * np.sin(np.arange(16))[:, None], 0, 1)
    found = reconstruction_quality(lambda images: worse[: len(images)], [pictures])
    expected = [slow_similarity(*pair) for pair in zip(pictures, worse, strict=True)]
    assert found["ssim"]["value"] == pytest.approx(np.mean(expected), abs=1e-4)
    error = np.std(expected, ddof=1) / np.sqrt(6)
    assert found["ssim"]["standard_error"] == pytest.approx(error, rel=1e-2)


def test_a_tenth_off_everywhere_is_twenty_decibels(pictures):
    found = reconstruction_quality(lambda images: images + 0.1, [pictures])
    assert found["psnr"]["value"] == pytest.approx(20, abs=1e-4)
    assert found["psnr"]["count"] == 6
    errors = reconstruction_errors(lambda images: images + 0.1, [pictures])
    assert {name: found[name] for name in errors} == errors


def test_equal_images_have_a_similarity_of_one_and_no_finite_decibels(pictures):
    found = reconstruction_quality(lambda images: images, [pictures])
    assert found["ssim"]["value"] == pytest.approx(1, abs=1e-6)
    assert np.isnan(found["psnr"]["value"])
    assert "6 of 6" in found["psnr"]["note"]


def test_the_perfect_images_alone_are_left_out_of_the_decibels(pictures):
    def reconstruct(images):
        return np.concatenate([images[:2], images[2:] + 0.1])

    found = reconstruction_quality(reconstruct, [pictures])["psnr"]
    assert found["value"] == pytest.approx(20, abs=1e-4)
    assert found["count"] == 4
    assert "2 of 6" in found["note"]


def test_grey_in_place_of_noise_has_hardly_any_similarity(pictures):
    found = reconstruction_quality(lambda images: np.full_like(images, 0.5), [pictures])
    assert abs(found["ssim"]["value"]) < 0.1


def test_images_smaller_than_the_window_are_compared_too():
    small = np.random.default_rng(1).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    assert reconstruction_quality(lambda images: images, [small])["ssim"]["value"] == 1
