"""L1, mean squared error, PSNR and SSIM of reconstructions."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import correlate1d

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.reconstruction import reconstruction_errors, reconstruction_quality


def test_reconstruction_by_hand_with_a_short_last_batch():
    images = np.zeros((3, 2, 2, 1), np.float32)
    outputs = images.copy()
    outputs[0] = 0.5
    outputs[1, 0, 0, 0] = 1.0
    served = iter([outputs[:2], outputs[2:]])
    result = reconstruction_errors(lambda batch: next(served), [images[:2], images[2:]])
    # Images' L1: 1/2, 1/4, 0; squared: 1/4, 1/4, 0.
    assert result["l1"]["value"] == pytest.approx(0.25)
    assert result["l1"]["standard_error"] == pytest.approx(stats.sem([0.5, 0.25, 0.0]))
    assert result["mse"]["value"] == pytest.approx(1 / 6)
    assert result["mse"]["standard_error"] == pytest.approx(stats.sem([0.25, 0.25, 0.0]))
    assert result["l1"]["count"] == result["mse"]["count"] == 3


def test_reconstruction_of_a_perfect_model_and_of_a_constant():
    images = np.random.default_rng(0).random((400, 4, 4, 3), np.float32)
    batches = np.array_split(images, 7)
    perfect = reconstruction_errors(lambda batch: batch, batches)
    assert perfect["l1"]["value"] == perfect["mse"]["value"] == 0
    # |u - 1/2| of a uniform u is 1/4 on average, its square 1/12.
    grey = reconstruction_errors(lambda batch: np.full_like(batch, 0.5), batches)
    assert grey["l1"]["value"] == pytest.approx(1 / 4, abs=4 * grey["l1"]["standard_error"])
    assert grey["mse"]["value"] == pytest.approx(1 / 12, abs=4 * grey["mse"]["standard_error"])
    assert 0 < grey["l1"]["standard_error"] < 0.01
    json.dumps(grey, allow_nan=False)


def test_reconstruction_of_one_image_has_no_standard_error():
    result = reconstruction_errors(lambda batch: batch, [np.ones((1, 2, 2, 1))])
    assert math.isnan(result["l1"]["standard_error"])
    assert "one image" in result["l1"]["note"]


def test_reconstruction_refuses():
    with pytest.raises(InputError, match="no images"):
        reconstruction_errors(lambda batch: batch, [])
    with pytest.raises(InputError, match="shape"):
        reconstruction_errors(lambda batch: batch[:1], [np.ones((2, 2, 2, 1))])


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
    quality = reconstruction_quality(lambda images: worse[: len(images)], [pictures])
    expected = [slow_similarity(*pair) for pair in zip(pictures, worse, strict=True)]
    assert quality["ssim"]["value"] == pytest.approx(np.mean(expected), abs=1e-4)
    error = np.std(expected, ddof=1) / np.sqrt(6)
    assert quality["ssim"]["standard_error"] == pytest.approx(error, rel=1e-2)


def test_a_tenth_off_everywhere_is_twenty_decibels(pictures):
    quality = reconstruction_quality(lambda images: images + 0.1, [pictures])
    assert quality["psnr"]["value"] == pytest.approx(20, abs=1e-4)
    assert quality["psnr"]["count"] == 6
    errors = reconstruction_errors(lambda images: images + 0.1, [pictures])
    assert {name: quality[name] for name in errors} == errors


def test_equal_images_have_a_similarity_of_one_and_no_finite_decibels(pictures):
    quality = reconstruction_quality(lambda images: images, [pictures])
    assert quality["ssim"]["value"] == pytest.approx(1, abs=1e-6)
    assert np.isnan(quality["psnr"]["value"])
    assert "6 of 6" in quality["psnr"]["note"]


def test_the_perfect_images_alone_are_left_out_of_the_decibels(pictures):
    def reconstruct(images):
        return np.concatenate([images[:2], images[2:] + 0.1])

    quality = reconstruction_quality(reconstruct, [pictures])["psnr"]
    assert quality["value"] == pytest.approx(20, abs=1e-4)
    assert quality["count"] == 4
    assert "2 of 6" in quality["note"]


def test_grey_in_place_of_noise_has_hardly_any_similarity(pictures):
    quality = reconstruction_quality(lambda images: np.full_like(images, 0.5), [pictures])
    assert abs(quality["ssim"]["value"]) < 0.1


def test_images_smaller_than_the_window_are_compared_too():
    small = np.random.default_rng(1).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    assert reconstruction_quality(lambda images: images, [small])["ssim"]["value"] == 1
