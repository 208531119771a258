import numpy as np

from tf_mmdvlae.config.settings import Config, ModelConfig
from tf_mmdvlae.data.pipeline import Split
from tf_mmdvlae.training import finish


def test_mixtures_are_fitted_to_posterior_samples_not_to_means():
    model = ModelConfig(
        image_shape=(4, 4, 1), latent_dims=(2, 1), blocks=(("dense4",), ("dense4",)), head_width=0
    )
    config = Config(model=model)
    images = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 1), np.uint8)
    splits = {name: Split(name, images, {}, {}, len(images)) for name in ("train", "test")}

    def encode(batch):
        rows = len(batch)
        means = {"z_1": np.zeros((rows, 2), np.float32), "z_2": np.ones((rows, 1), np.float32)}
        deviations = {
            "z_1": np.full((rows, 2), 0.5, np.float32),
            "z_2": np.full((rows, 1), 2.0, np.float32),
        }
        return means, deviations

    def decode(codes):
        return np.zeros((len(codes["z_1"]), 4, 4, 1), np.float32)

    numbers, directions, samplers = finish.measure((encode, decode), config, splits)
    assert directions is None
    assert numbers["probes"] == {}
    samples = samplers.joint.sample(5_000, seed=0)
    np.testing.assert_allclose(samples["z_1"].std(axis=0), 0.5, rtol=0.1)
    np.testing.assert_allclose(samples["z_2"].std(axis=0), 2.0, rtol=0.1)
    np.testing.assert_allclose(samples["z_2"].mean(axis=0), 1.0, atol=0.3)
