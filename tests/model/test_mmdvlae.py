"""The ladder, its objective and its life as a Keras model."""

import dataclasses
import inspect
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model import layers, mmd
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE, kl_to_normal


@pytest.fixture(scope="module")
def batches(images):
    """Three batches of 16, a size that the graph knows, as in training: it is traced faster."""
    return tf.data.Dataset.from_tensor_slices(images).batch(16, drop_remainder=True)


@pytest.fixture(scope="module")
def model(tiny_config, batches):
    """A tiny model after a few steps, so that batch normalization has statistics."""
    keras.utils.set_random_seed(0)
    model = MMDVLAE(tiny_config, seed=3)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(batches, epochs=3, verbose=0)
    return model


def normal(shape, step, seed, stream=0):
    """The noise of a step: stream 0 in training, 1 in evaluation, 2 in sampling."""
    return np.asarray(tf.random.stateless_normal(shape, [step, 3 * seed + stream], alg="philox"))


def codes_of(model, images, noise):
    """Posterior samples, all layers joined: [n, d_1 + ... + d_L]."""
    means, deviations = (np.concatenate(list(part.values()), 1) for part in model.encode(images))
    return means + noise * deviations


def mmd_of(config, codes):
    kernel = mmd.kernel_for_dimension(config.kernel, config.scales, codes.shape[1])
    return float(mmd.mmd_squared_to_normal(codes, kernel))


def fresh(config, **kwargs):
    keras.utils.set_random_seed(0)
    model = MMDVLAE(config, **kwargs)
    # As in training; it is traced in half the time of Keras's own.
    model.compile(FusedAdam(1e-3))
    return model


def test_shapes_and_ranges(model, images):
    means, deviations = model.encode(images[:5])
    assert {name: tuple(code.shape) for name, code in means.items()} == {
        "z_1": (5, 2),
        "z_2": (5, 3),
    }
    for deviation in deviations.values():
        assert np.min(deviation) > 0.08
        assert np.max(deviation) < 1.08
    for pictures in (model.decode(means), model.reconstruct(images[:5]), model.sample(5, seed=1)):
        assert pictures.shape == (5, 8, 8, 1)
        assert 0 <= np.min(pictures) <= np.max(pictures) <= 1


@pytest.mark.parametrize(
    ("shape", "blocks", "latent_layers", "shared_trunk", "merge"),
    [
        ((28, 28, 1), (("conv4/2",), ("conv4/2",), ("dense8",)), 3, True, "gated_add"),
        ((32, 32, 3), (("conv4/2",), ("conv4/2", "dense8")), 1, True, "concatenate"),
        ((32, 32, 3), (("conv4/2",), ("conv4/2", "dense8")), 2, False, "gated_add"),
        ((128, 128, 3), (("conv2/4",), ("conv2/4",), ("conv2/2", "conv3/1")), 2, False,
         "concatenate"),
    ],
)  # fmt: skip
def test_sizes_taps_and_merges(shape, blocks, latent_layers, shared_trunk, merge):
    config = ModelConfig(
        image_shape=shape,
        blocks=blocks,
        latent_dims=(2,) * latent_layers,
        shared_trunk=shared_trunk,
        merge=merge,
        head_width=0,
    )
    model = MMDVLAE(config)
    with tf.GradientTape() as tape:
        terms = model.losses(tf.random.stateless_uniform((3, *shape), (0, 1)), training=True)
    gradients = tape.gradient(terms["loss"], model.trainable_variables)
    untrained = [
        v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None
    ]
    assert not untrained


def test_each_layer_reaches_the_picture_and_the_number_of_blocks_does_not_depend_on_layers(
    model, images, tiny_config
):
    means, _ = model.encode(images[:4])
    whole = np.asarray(model.decode(means))
    for name in means:
        moved = {**means, name: means[name] + 2.0}
        assert np.abs(np.asarray(model.decode(moved)) - whole).max() > 1e-4
    one_layer = MMDVLAE(dataclasses.replace(tiny_config, latent_dims=(3,)))
    assert len(one_layer.trunk_blocks) == len(one_layer.generators) == len(tiny_config.blocks)
    assert one_layer.heads[0].mean.kernel.shape[0] == tiny_config.head_width


@pytest.mark.parametrize("prior", ["closed_form", "sampled"])
@pytest.mark.parametrize("reconstruction", ["l1", "mse", "bce"])
def test_the_loss_is_the_weighted_sum_of_its_terms(tiny_config, images, reconstruction, prior):
    config = dataclasses.replace(
        tiny_config,
        reconstruction=reconstruction,
        prior=prior,
        reconstruction_weight=7.0,
        mmd_weights=(2.0, 3.0),
        joint_mmd_weight=5.0,
        kl_weights=(0.1, 0.2),
    )
    terms = {k: float(v) for k, v in fresh(config).losses(images[:16]).items()}
    expected = 7 * terms["reconstruction"] + 2 * terms["mmd_1"] + 3 * terms["mmd_2"]
    expected += 5 * terms["mmd_joint"] + 0.1 * terms["kl_1"] + 0.2 * terms["kl_2"]
    assert terms["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_terms_against_numpy(model, images, tiny_config):
    """Each term from the codes that the noise of this step gives."""
    step = 11
    codes = codes_of(model, images[:16], normal((16, 5), step, model.seed))
    terms = model.losses(images[:16], step=step)
    decoded = np.asarray(model.decode({"z_1": codes[:, :2], "z_2": codes[:, 2:]}))
    assert float(terms["reconstruction"]) == pytest.approx(
        np.abs(decoded - images[:16]).mean(), abs=1e-6
    )
    for name, part in (("mmd_1", codes[:, :2]), ("mmd_2", codes[:, 2:]), ("mmd_joint", codes)):
        assert float(terms[name]) == pytest.approx(mmd_of(tiny_config, part), abs=1e-6)
    deviations = model.encode(images[:16])[1]
    assert float(terms["deviation_1"]) == pytest.approx(np.mean(deviations["z_1"]), abs=1e-6)


@pytest.mark.parametrize("estimator", ["linear_time", "random_features"])
def test_another_estimator_changes_the_mmd_alone(tiny_config, images, estimator):
    """Frequencies are drawn from streams of their own, anew for each step."""
    config = dataclasses.replace(tiny_config, estimator=estimator)
    usual = fresh(dataclasses.replace(tiny_config, estimator="unbiased")).losses(images, step=5)
    model = fresh(config)
    terms = model.losses(images, step=5)
    for name, value in terms.items():
        changes = name.startswith("mmd") or name == "loss"
        assert (float(value) != float(usual[name])) == changes, name
        if name.startswith("mmd"):
            assert float(value) == pytest.approx(float(usual[name]), abs=0.2)
    again = model.losses(images, step=5)
    assert {n: float(v) for n, v in again.items()} == {n: float(v) for n, v in terms.items()}


def test_frequencies_are_drawn_anew_each_step_and_for_each_purpose(
    tiny_config, images, monkeypatch
):
    model = MMDVLAE(dataclasses.replace(tiny_config, estimator="random_features"), seed=2)
    draws, frequencies = [], mmd.Kernel.frequencies

    def spy(kernel, noise):
        draws.append(np.asarray(noise))
        return frequencies(kernel, noise)

    monkeypatch.setattr(mmd.Kernel, "frequencies", spy)
    for noise in ({"step": 0}, {"step": 1}, {"draw": 0}):
        model.losses(images[:8], **noise)
    # The last kernel of each call is that of all layers joined; the layers share its draws.
    low, high, *_ = draws
    draws = draws[2::3]
    np.testing.assert_array_equal(low, draws[0][:, :4])
    np.testing.assert_array_equal(high, draws[0][:, :5])
    shape = (tiny_config.frequencies, 7)
    assert draws[0].shape == shape
    draws += [normal(shape, 0, model.seed, stream) for stream in (0, 1, 2)]
    assert len({draw.tobytes() for draw in draws}) == 6


@pytest.mark.parametrize(("rows", "estimator"), [(48, "unbiased"), (47, "random_features")])
def test_auto_is_chosen_by_the_batch(tiny_config, images, monkeypatch, rows, estimator):
    monkeypatch.setattr(mmd, "UNBIASED_ROWS", rows)

    def terms(name):
        model = fresh(dataclasses.replace(tiny_config, estimator=name))
        return {key: float(value) for key, value in model.losses(images).items()}

    assert terms("auto") == terms(estimator)


def test_kl_in_nats():
    assert float(kl_to_normal(np.zeros((3, 2)), np.ones((3, 2)))) == pytest.approx(0.0)
    mean, deviation = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.5, 1.0], [1.0, 2.0]])
    rows = [0.5 * (1 + 0.25 - 1 - 2 * math.log(0.5)), 0.5 * (4 + 4 - 1 - 2 * math.log(2))]
    assert float(kl_to_normal(mean, deviation)) == pytest.approx(np.mean(rows), rel=1e-6)


def test_info_vae_of_alpha_0_lambda_1_is_a_vae(tiny_config, images):
    """Its loss is the ELBO in nats for an L1 likelihood, and nothing else."""
    config = dataclasses.replace(
        tiny_config, latent_dims=(3,), info_vae_alpha=0.0, info_vae_lambda=1.0
    )
    terms = {name: float(value) for name, value in fresh(config).losses(images[:16]).items()}
    assert terms["loss"] == pytest.approx(64 * terms["reconstruction"] + terms["kl_1"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"latent_dims": (3,), "mmd_weights": 0.0, "kl_weights": 1.0,
         "reconstruction_weight": None},
        {"latent_dims": (3,), "info_vae_alpha": 0.5, "info_vae_lambda": 10.0},
        {"mmd_weights": 0.0, "joint_mmd_weight": 0.0, "kl_weights": 1.0},
        {"kernel": "inverse_multiquadratic", "prior": "sampled", "estimator": "biased"},
    ],
    ids=["vae", "info_vae", "vlae", "mmd_vlae"],
)  # fmt: skip
def test_the_relatives_train(tiny_config, batches, changes):
    model = fresh(dataclasses.replace(tiny_config, **changes))
    history = model.fit(batches, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_fit_learns_from_arrays_and_from_a_dataset_with_labels(tiny_config, images, batches):
    model = fresh(tiny_config)
    model.optimizer.learning_rate = 0.01
    history = model.fit(images, batch_size=16, epochs=25, verbose=0).history
    assert history["reconstruction"][-1] < 0.8 * history["reconstruction"][0]
    labelled = batches.map(lambda pictures: (pictures, tf.zeros(16)))
    model = fresh(tiny_config)
    history = model.fit(labelled, validation_data=labelled, epochs=1, verbose=0).history
    assert {"loss", "mmd_1", "mmd_2", "mmd_joint", "deviation_2", "val_mmd_1"} <= set(history)


@pytest.mark.slow
def test_fit_is_a_function_of_the_seed(tiny_config, batches):
    model, other = fresh(tiny_config, seed=1), fresh(tiny_config, seed=2)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.weights, *model.optimizer.variables]
    start = [variable.numpy() for variable in variables]
    one = model.fit(batches, verbose=0).history["loss"]
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    assert model.fit(batches, verbose=0).history["loss"] == one
    assert other.fit(batches, verbose=0).history["loss"] != one


def test_noise_differs_by_step_stream_and_seed(model, images, tiny_config):
    other = MMDVLAE(tiny_config, seed=4)
    other.set_weights(model.get_weights())
    terms = [
        model.losses(images, step=1),
        model.losses(images, step=2),
        model.losses(images, draw=1),
        other.losses(images, step=1),
    ]
    for name in ("reconstruction", "mmd_1", "mmd_2", "mmd_joint"):
        assert len({float(each[name]) for each in terms}) == 4, name
    assert len({np.asarray(model.sample(2, seed)).tobytes() for seed in (1, 2)}) == 2


@pytest.mark.parametrize(("step", "strength"), [(5, 0.0), (15, 0.5), (25, 1.0)])
def test_progressive_training_mixes_a_layer_with_prior_noise(tiny_config, images, step, strength):
    """alpha z + sqrt(1 - alpha^2) e, alpha rising from 0 at step 10 to 1 at step 20."""
    model = fresh(tiny_config, fade_in=((10, 20), (0, 0)))
    with tf.GradientTape() as tape:
        terms = model.losses(images[:16], step=step)
    noise, prior = np.split(normal((16, 10), step, model.seed), 2, axis=1)
    codes = codes_of(model, images[:16], noise)
    assert float(terms["mmd_1"]) == pytest.approx(mmd_of(tiny_config, codes[:, :2]), abs=1e-6)
    alpha = np.float32([strength, strength, 1, 1, 1])
    codes = alpha * codes + np.sqrt(1 - alpha**2) * prior
    assert float(terms["mmd_joint"]) == pytest.approx(mmd_of(tiny_config, codes), abs=1e-6)
    kernels = [head.mean.kernel for head in model.heads]
    low, high = (float(tf.norm(g)) for g in tape.gradient(terms["reconstruction"], kernels))
    assert (low > 0.0) == (strength > 0.0)
    assert high > 0.0


@pytest.fixture
def row_masks(monkeypatch):
    """The masks of rows that the generative blocks take in, highest layer first."""
    masks, call = [], layers.GenerativeBlock.call

    def spy(block, upper, code, training=False, keep=None):
        masks.append(keep)
        return call(block, upper, code, training=training, keep=keep)

    monkeypatch.setattr(layers.GenerativeBlock, "call", spy)
    return masks


def test_nested_dropout_gives_a_share_of_the_rows_their_highest_layers_only(images, row_masks):
    config = ModelConfig(
        image_shape=(8, 8, 1),
        latent_dims=(2, 2, 2),
        blocks=(("conv4/2",), ("conv6/2",), ("dense8",)),
        head_width=0,
        nested_dropout=0.5,
    )
    fresh(config).losses(images[:8], training=True)
    # Two rows of the highest two layers, two of the highest alone, four of all.
    assert np.stack(row_masks).tolist() == [
        [1] * 8,
        [1, 1, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1, 1, 1],
    ]


@pytest.mark.slow
def test_nested_dropout_is_for_training_and_for_several_layers_only(
    tiny_config, images, batches, row_masks
):
    config = dataclasses.replace(tiny_config, nested_dropout=0.4)
    model, plain = fresh(config), fresh(tiny_config)
    assert model.losses(images)["loss"] == plain.losses(images)["loss"]
    one_layer = fresh(dataclasses.replace(config, latent_dims=(5,)))
    one_layer.losses(images, training=True)
    assert all(mask is None for mask in row_masks)
    with_masks, without = (
        each.losses(images, training=True)["reconstruction"] for each in (model, plain)
    )
    assert with_masks != without
    model.fit(batches, epochs=2, verbose=0)
    assert np.isfinite(model.losses(images)["loss"])


@pytest.mark.parametrize("merge", ["gated_add", "concatenate"])
def test_a_layer_is_left_out_of_the_rows_that_do_not_keep_it(merge):
    block = layers.GenerativeBlock(
        ("dense8",), ((6,), (8,)), 3, 0, True, merge, is_output=False, normalization="batch"
    )
    block.build()
    random = np.random.default_rng(0)
    upper, code = (random.standard_normal((4, d)).astype(np.float32) for d in (8, 3))
    keep = np.array([1, 0, 1, 0], np.float32)
    one, other = (np.asarray(block(upper, c, keep=keep)) for c in (code, code + 1))
    assert (np.abs(one - other).max(axis=1) > 1e-6).tolist() == [True, False, True, False]
    np.testing.assert_array_equal(one[::2], np.asarray(block(upper, code))[::2])


@pytest.mark.slow
def test_evaluation_does_not_change_the_model_and_counts_a_short_batch_right(model, images):
    before = [np.array(w) for w in model.weights]
    whole = model.evaluate(images[:32], batch_size=16, verbose=0, return_dict=True)
    again = model.evaluate(images[:32], batch_size=16, verbose=0, return_dict=True)
    assert whole == again
    assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))
    one_more = model.evaluate(images[:33], batch_size=16, verbose=0, return_dict=True)
    assert one_more["mmd_1"] == pytest.approx(whole["mmd_1"], abs=1e-6)
    assert one_more["reconstruction"] != pytest.approx(whole["reconstruction"], abs=1e-6)
    alone = model.evaluate(images[:1], verbose=0, return_dict=True)
    assert math.isnan(alone["mmd_1"])
    assert math.isfinite(alone["reconstruction"])


def test_every_test_batch_has_noise_of_its_own(model, images):
    """Ten equal batches: with one noise for all, the mean would be that of the first alone."""
    one = model.evaluate(images[:16], batch_size=16, verbose=0, return_dict=True)
    ten = model.evaluate(np.tile(images[:16], (10, 1, 1, 1)), batch_size=16, verbose=0,
                         return_dict=True)  # fmt: skip
    # The mean of ten equal numbers may differ from them in the last bit.
    assert abs(one["mmd_1"] - ten["mmd_1"]) > 1e-4
    weights = model.config
    expected = weights.effective_reconstruction_weight * ten["reconstruction"]
    expected += sum(100.0 * ten[name] for name in ("mmd_1", "mmd_2", "mmd_joint"))
    assert ten["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_last_batch_of_one_image_does_no_harm(tiny_config, images):
    model = fresh(tiny_config)
    model.fit(images[:17], batch_size=16, verbose=0)
    assert all(np.isfinite(np.array(w)).all() for w in model.weights)


@pytest.mark.parametrize("way", ["keras", "weights"])
def test_saved_and_loaded_gives_equal_outputs(model, images, tiny_config, tmp_path, way):
    if way == "keras":
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.optimizer.iterations.numpy() == model.optimizer.iterations.numpy()
    else:
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = MMDVLAE(tiny_config, seed=3)
        loaded.load_weights(tmp_path / "model.weights.h5")
    assert np.array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    assert np.array_equal(loaded.sample(3), model.sample(3))


@pytest.mark.slow
def test_a_loaded_model_goes_on_as_the_saved_one_would(tiny_config, batches, tmp_path):
    model = fresh(tiny_config, fade_in=((2, 4), (0, 0)))
    model.fit(batches, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.fit(batches, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, loaded.weights, strict=True))


@pytest.mark.parametrize(
    "thing",
    [
        MMDVLAE(ModelConfig(image_shape=(8, 8, 1), blocks=(("conv2/2",),), latent_dims=(2,))),
        layers.InferenceBlock(("conv2/2",), ((8, 8, 1), (4, 4, 2)), "batch"),
        layers.GaussianHead(2, 3, 0.1, 0.5, "none"),
        layers.GenerativeBlock(
            ("conv2/2",), ((8, 8, 1), (4, 4, 2)), 2, 3, True, "concatenate", True, "batch"
        ),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_every_argument_is_in_get_config_and_makes_the_same_thing(thing):
    arguments = set(inspect.signature(type(thing).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(thing.get_config())
    copy = type(thing).from_config(thing.get_config())
    assert copy.get_config() == thing.get_config()


def test_the_posterior_starts_as_certain_as_the_config_says(tiny_config, images):
    for start in (0.5, 0.02):
        config = dataclasses.replace(tiny_config, initial_deviation=start, deviation_floor=0.1)
        _, deviations = fresh(config).encode(images)
        for values in deviations.values():
            assert np.median(values) == pytest.approx(start + 0.1, rel=0.2)


def test_errors(model, images):
    with pytest.raises(InputError, match="z_1 \\[batch, 2\\], z_2 \\[batch, 3\\]"):
        model.decode({"z_1": np.zeros((1, 2))})
    with pytest.raises(InputError, match="given were z_1 \\[batch, 2\\], z_2 \\[batch, 2\\]"):
        model.decode({"z_1": np.zeros((1, 2)), "z_2": np.zeros((1, 2))})
    with pytest.raises(InputError, match=r"made for \(8, 8, 1\)"):
        model.fit(np.zeros((4, 9, 9, 1), np.float32), verbose=0)
    with pytest.raises(InputError, match="uint8 images / 255"):
        model.train_step(tf.zeros((4, 8, 8, 1), tf.uint8))
    with pytest.raises(InputError, match="fade_in has 1 entries for 2"):
        MMDVLAE(model.config, fade_in=((0, 0),))
