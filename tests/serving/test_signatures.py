"""What the SavedModel computes: equal to the live model, row by row, and checked."""

import functools
import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.samplers import Mixture, Samplers
from tf_mmdvlae.serving import image_bytes
from tf_mmdvlae.serving.signatures import Signature, mixture_draws, noise, on_bytes
from tf_mmdvlae.training.run import load_run

PLAIN = (
    *("encode", "decode", "reconstruct", "sample", "sample_fitted"),
    *("arithmetic", "arithmetic_retouched", "edit", "retouch", "interpolate"),
)
# A process with nothing but TensorFlow: -I keeps this folder off its path, and what is None in
# sys.modules cannot be imported.
CALL_ALL = """
import sys
sys.modules["keras"] = sys.modules["tf_mmdvlae"] = None
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
examples = np.load("inputs.npz", allow_pickle=True)
results = {}
for key in examples:
    signature, name = key.split("/")
    results.setdefault(signature, {})[name] = tf.constant(examples[key].tolist() if
        examples[key].dtype == object else examples[key])
out = {}
for signature, inputs in results.items():
    for name, value in loaded.signatures[signature](**inputs).items():
        out[signature + "/" + name] = value.numpy()
np.savez("out.npz", **out)
assert set(loaded.signatures) == set(results) | {"serving_default"}, set(loaded.signatures)
"""


@pytest.fixture(scope="module")
def examples(images):
    """Inputs of every signature that takes images: three rows."""
    weights = np.array([[1, 1], [0, 1], [0.5, -1]], np.float32)
    a, b, c = images[:3], images[3:6], images[6:9]
    generator = np.random.default_rng(0)
    drawing = {"seed": np.array([3, -1, 2**40]), "temperature": np.float32([1, 0.5, 0])}
    arithmetic = {"a": a, "minus": b, "plus": c, "layer_weights": weights}
    edit = {
        "image": a,
        "attribute": np.array([b"class=odd", b"class=even", b"class=odd"], object),
        "strength": np.float32([1, -2, 0]),
        "layer_weights": weights,
    }
    return {
        "encode": {"image": a},
        "decode": {
            "z_1": generator.normal(size=(3, 2)).astype(np.float32),
            "z_2": generator.normal(size=(3, 3)).astype(np.float32),
        },
        "reconstruct": {"image": a},
        "sample": drawing,
        "sample_fitted": drawing,
        "arithmetic": arithmetic,
        "arithmetic_retouched": arithmetic | {"detail": np.float32([1, 0, 0.25])},
        "edit": edit,
        "retouch": edit | {"detail": np.float32([0.5, 0, 1])},
        "interpolate": {"a": a, "b": b, "t": np.float32([0, 0.25, 1.5])},
    }


@pytest.fixture(scope="module")
def byte_examples(examples):
    """The same for the twins that take bytes."""

    def coded(images):
        return np.array([png(image) for image in images] + [None], object)[:-1]

    return {
        f"{signature}_bytes": {
            (f"{name}_bytes" if np.ndim(value) == 4 else name): (
                coded(value) if np.ndim(value) == 4 else value
            )
            for name, value in inputs.items()
        }
        for signature, inputs in examples.items()
    }


@pytest.fixture(scope="module")
def outputs(finished_run, examples, byte_examples, tmp_path_factory):
    """signature -> outputs, computed where this package cannot be imported."""
    folder = tmp_path_factory.mktemp("elsewhere")
    flat = {
        f"{signature}/{name}": value
        for signature, inputs in {**examples, **byte_examples}.items()
        for name, value in inputs.items()
    }
    np.savez(folder / "inputs.npz", **flat)
    subprocess.run(
        [sys.executable, "-I", "-c", CALL_ALL, str((finished_run[1] / "1").resolve())],
        cwd=folder,
        check=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=240,
    )
    results = {}
    with np.load(folder / "out.npz", allow_pickle=True) as out:
        for key in out:
            signature, name = key.split("/")
            results.setdefault(signature, {})[name] = out[key]
    return results


@pytest.fixture(scope="module")
def live(finished_run, examples):
    """signature -> outputs of the live model, by the functions on latent dicts."""
    model = load_run(finished_run[0])
    directions = Directions.load(finished_run[0] / "directions.npz")

    def means(images):
        return {name: value.numpy() for name, value in model.encode(images)[0].items()}

    def decoded(codes):
        return np.asarray(model.decode(codes))

    def three(signature, *names):
        return [means(examples[signature][name]) for name in names]

    codes, deviations = model.encode(examples["encode"]["image"])
    seeds, temperature = examples["sample"]["seed"], examples["sample"]["temperature"]
    samples = np.stack([tf.random.stateless_normal([5], [s, 7], alg="philox") for s in seeds])
    samples = samples * temperature[:, None]
    # So few images have a mixture of one component.
    mixture = Samplers.load(finished_run[0] / "samplers.npz").joint
    fitted = mixture.means[0] + samples @ mixture.factors[0].T
    edit = examples["edit"]
    rows = [directions.of(name.decode()) for name in edit["attribute"]]
    edited = decoded(
        latents.edit(
            means(edit["image"]),
            latents.concatenate(rows),
            edit["strength"],
            edit["layer_weights"],
        )
    )
    result = decoded(
        latents.arithmetic(
            *three("arithmetic", "a", "minus", "plus"),
            layer_weights=examples["arithmetic"]["layer_weights"],
        )
    )

    def retouched(signature, image, edited):
        shares = examples[signature]["detail"][:, None, None, None]
        return {"retouched": np.clip(edited + shares * (image - decoded(means(image))), 0, 1)}

    return {
        "encode": {**codes, **{n.replace("z_", "std_"): d for n, d in deviations.items()}},
        "decode": {"image": decoded(examples["decode"])},
        "reconstruct": {"reconstruction": decoded(codes)},
        "sample": {"sample": decoded({"z_1": samples[:, :2], "z_2": samples[:, 2:]})},
        "sample_fitted": {"sample": decoded({"z_1": fitted[:, :2], "z_2": fitted[:, 2:]})},
        "arithmetic": {"result": result},
        "arithmetic_retouched": retouched(
            "arithmetic_retouched", examples["arithmetic"]["a"], result
        ),
        "edit": {"edited": edited},
        "retouch": retouched("retouch", edit["image"], edited),
        "interpolate": {
            "result": decoded(
                latents.interpolate(*three("interpolate", "a", "b"), examples["interpolate"]["t"])
            )
        },
    }


@pytest.fixture(scope="module")
def served(finished_run):
    return tf.saved_model.load(str(finished_run[1] / "1"))


def png(image, **options):
    content = io.BytesIO()
    pixels = np.uint8(np.round(np.asarray(image) * 255))
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        content, "PNG", **options
    )
    return content.getvalue()


@pytest.mark.parametrize("signature", PLAIN)
def test_equal_to_the_live_model_where_this_package_is_not(outputs, live, signature):
    assert set(outputs[signature]) == {*live[signature], "error"}
    assert outputs[signature]["error"].tolist() == [b"", b"", b""]
    for name, value in live[signature].items():
        assert outputs[signature][name].dtype == np.float32
        np.testing.assert_allclose(outputs[signature][name], value, atol=1e-6)


@pytest.mark.parametrize("signature", PLAIN)
def test_the_twins_on_bytes_give_the_same_as_8_bit_pictures(outputs, signature):
    # The images are of the model's size, so that only their 8 bits differ.
    for name, value in outputs[signature].items():
        if name == "error":
            assert outputs[f"{signature}_bytes"][name].tolist() == [b"", b"", b""]
            continue
        if value.ndim != 4:
            result = outputs[f"{signature}_bytes"][name]
            np.testing.assert_allclose(result, value, atol=0.05)
            continue
        for coded, image in zip(outputs[f"{signature}_bytes"][f"{name}_bytes"], value, strict=True):
            with Image.open(io.BytesIO(coded)) as picture:
                assert picture.format == "PNG"
                pixels = np.asarray(picture, np.float32)[..., None] / 255
            np.testing.assert_allclose(pixels, image, atol=0.03)


def test_a_twin_hands_each_picture_to_its_own_place(images):
    """On pixels, where a mix-up shows: the tiny model's pictures are all much the same."""

    def function(inputs):
        result = inputs["a"] - inputs["minus"] + inputs["plus"]
        return {"result": result, "z_1": inputs["t"][:, None]}

    names = ("a", "minus", "plus")
    image = [tf.TensorSpec([None, 8, 8, 1], tf.float32, name=name) for name in names]
    number = tf.TensorSpec([None], tf.float32, name="t")
    signature = Signature(function, [*image, number])
    read = functools.partial(image_bytes.from_bytes, image_shape=(8, 8, 1), crop=1.0)
    twin, specifications = on_bytes(signature, read)
    assert [spec.name for spec in specifications] == ["a_bytes", "minus_bytes", "plus_bytes", "t"]
    a, minus, plus = images[:2], 0.25 * images[:2], 0.5 * images[2:4]
    inputs = {
        f"{name}_bytes": tf.constant([png(picture) for picture in pictures_of])
        for name, pictures_of in zip(names, (a, minus, plus), strict=True)
    }
    outputs = twin({**inputs, "t": tf.constant([1.0, 2.0])})
    assert set(outputs) == {"result_bytes", "z_1", "error"}
    expected = np.clip(a - minus + plus, 0, 1) * 255
    for coded, pixels in zip(outputs["result_bytes"].numpy(), expected, strict=True):
        result = np.asarray(Image.open(io.BytesIO(coded)), np.float32)
        np.testing.assert_allclose(result, pixels[..., 0], atol=2)


def test_a_weight_of_zero_leaves_the_layer_alone(served, images, finished_run):
    model = load_run(finished_run[0])
    call = served.signatures["arithmetic"]
    weights = tf.constant([[0.0, 0.0]])
    result = call(a=images[:1], minus=images[1:2], plus=images[2:3], layer_weights=weights)
    np.testing.assert_allclose(result["result"], model.reconstruct(images[:1]), atol=1e-6)


def test_a_retouch_of_strength_zero_is_the_photograph_and_without_detail_the_edit(
    outputs, examples
):
    inputs, retouched = examples["retouch"], outputs["retouch"]["retouched"]
    photograph, edited = inputs["image"], outputs["edit"]["edited"]
    assert inputs["strength"][2] == 0
    assert inputs["detail"].tolist() == [0.5, 0, 1]
    np.testing.assert_allclose(retouched[2], photograph[2], atol=1e-6)
    assert np.abs(edited[2] - photograph[2]).max() > 0.1
    assert np.array_equal(retouched[1], edited[1])


def test_a_row_of_sample_depends_on_its_own_seed_alone(served):
    alone = noise(tf.constant([7], tf.int64), 5)
    among = noise(tf.range(64, dtype=tf.int64), 5)
    assert np.array_equal(alone[0], among[7])
    samples = served.signatures["sample"](
        seed=tf.constant([7, 7, 8], tf.int64), temperature=[1.0] * 3
    )
    samples = samples["sample"].numpy()
    assert np.array_equal(samples[0], samples[1])
    assert not np.allclose(samples[0], samples[2])


def test_the_noise_is_standard_normal():
    samples = tf.function(noise)(tf.range(4000, dtype=tf.int64), 5).numpy()
    assert np.abs(samples.mean(axis=0)).max() < 0.06
    assert np.abs(np.corrcoef(samples.T) - np.eye(5)).max() < 0.06
    assert np.abs(samples.std(axis=0) - 1).max() < 0.05


@pytest.fixture(scope="module")
def mixture():
    """Three components over five dimensions, far from round."""
    generator = np.random.default_rng(0)
    factors = np.tril(generator.uniform(-1, 1, (3, 5, 5))) + np.eye(5)
    means = 4 * generator.standard_normal((3, 5))
    return Mixture((2, 3), np.array([0.1, 0.6, 0.3]), np.float32(means), np.float32(factors))


def compiled(mixture):
    return tf.function(lambda seed, temperature: mixture_draws(mixture, seed, temperature))


def test_the_graph_draws_from_the_mixture_as_numpy_does(mixture):
    count = 6000
    seeds = tf.range(count, dtype=tf.int64)
    still, samples = (
        compiled(mixture)(seeds, tf.fill([count], scale)).numpy() for scale in (0.0, 1.0)
    )
    # At temperature 0 the components' means, as often as their weights say.
    distance = np.abs(still[:, None] - mixture.means).max(axis=-1)
    assert distance.min(axis=1).max() == 0
    chosen = distance.argmin(axis=1)
    np.testing.assert_allclose(np.bincount(chosen) / count, mixture.weights, atol=0.02)
    for component, factor in enumerate(mixture.factors):
        covariance = np.cov(samples[chosen == component].T)
        np.testing.assert_allclose(covariance, factor @ factor.T, atol=0.6)
    by_numpy = latents.join(mixture.sample(count, seed=0))
    np.testing.assert_allclose(samples.mean(axis=0), by_numpy.mean(axis=0), atol=0.25)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(by_numpy.T), atol=0.9)


def test_a_row_of_the_mixture_depends_on_its_own_seed_alone(mixture):
    draw = compiled(mixture)
    seeds, temperature = tf.range(-40, 60, dtype=tf.int64), tf.linspace(0.0, 2.0, 100)
    among = draw(seeds, temperature)
    for row in (0, 41, 99):
        alone = draw(seeds[row : row + 1], temperature[row : row + 1])
        assert np.array_equal(alone[0], among[row])


def test_a_mixture_of_one_standard_normal_draws_what_the_prior_draws():
    mean, factor = np.zeros((1, 5), np.float32), np.eye(5, dtype=np.float32)[None]
    prior = Mixture((2, 3), np.ones(1), mean, factor)
    seeds = tf.range(8, dtype=tf.int64)
    samples = mixture_draws(prior, seeds, tf.ones(8))
    np.testing.assert_allclose(samples, noise(seeds, 5), atol=1e-6)


# What a row holds -> why it has no result.
WRONG = [
    ("encode", {"image": 255.0}, "image must hold finite values in [0, 1] (divide 8-bit pixels"),
    ("encode", {"image": np.nan}, "image must hold finite values in [0, 1]"),
    ("encode", {"image": -1.0}, "image must hold finite values in [0, 1]"),
    ("reconstruct", {"image": np.inf}, "image must hold finite values in [0, 1]"),
    ("decode", {"z_1": np.inf}, "z_1 holds a value that is not finite."),
    ("decode", {"z_2": np.nan}, "z_2 holds a value that is not finite."),
    ("sample", {"temperature": -1.0}, "temperature must not be negative."),
    ("sample", {"temperature": np.nan}, "temperature holds a value that is not finite."),
    ("sample", {"temperature": 3e38}, "The result is not finite"),
    ("sample_fitted", {"temperature": -1.0}, "temperature must not be negative."),
    ("arithmetic", {"layer_weights": np.nan}, "layer_weights holds a value that is not finite."),
    ("arithmetic", {"layer_weights": 3e38}, "The result is not finite"),
    ("arithmetic", {"plus": np.nan, "minus": 2.0}, "minus must hold finite values in [0, 1]"),
    ("edit", {"attribute": b"Smiling"}, 'attribute "U21pbGluZw" (base64url) is not known. Known: '),
    ("edit", {"attribute": b"\xff" * 99}, f'attribute "{"_" * 40}" (base64url) is not known.'),
    ("edit", {"strength": np.nan}, "strength holds a value that is not finite."),
    ("edit", {"strength": 1e20, "layer_weights": -1e20}, "The result is not finite"),
    ("retouch", {"strength": -3e38, "layer_weights": 3e38}, "The result is not finite"),
    ("retouch", {"detail": 1.5}, "detail must lie in [0, 1]."),
    ("retouch", {"detail": np.nan}, "detail holds a value that is not finite."),
    ("arithmetic_retouched", {"detail": -0.1}, "detail must lie in [0, 1]."),
    ("interpolate", {"t": -np.inf}, "t holds a value that is not finite."),
]


def call(served, signature, inputs):
    tensors = {
        name: tf.constant(value.tolist() if value.dtype == object else value)
        for name, value in inputs.items()
    }
    return {name: value.numpy() for name, value in served.signatures[signature](**tensors).items()}


@pytest.mark.parametrize(("signature", "changes", "message"), WRONG)
def test_a_wrong_row_has_a_reason_and_the_others_are_what_they_were(
    served, examples, byte_examples, signature, changes, message
):
    for name, given in ((signature, examples), (f"{signature}_bytes", byte_examples)):
        inputs = {key: value.copy() for key, value in given[name].items()}
        if not changes.keys() <= inputs.keys():
            # The twin has bytes in place of the image.
            continue
        for key, value in changes.items():
            inputs[key][1] = value
        expected, outputs = call(served, name, given[name]), call(served, name, inputs)
        errors = outputs.pop("error").tolist()
        assert errors[1].decode("ascii").startswith(message)
        assert (errors[0], errors[2]) == (b"", b"")
        for key, value in outputs.items():
            assert np.array_equal(value[[0, 2]], expected[key][[0, 2]])
            assert value[1] == b"" if value.dtype == object else np.isnan(value[1]).all()


def test_all_rows_may_be_wrong(served, byte_examples):
    inputs = byte_examples["arithmetic_bytes"] | {"minus_bytes": np.array([b"x"] * 3, object)}
    outputs = call(served, "arithmetic_bytes", inputs)
    assert outputs["result_bytes"].tolist() == [b""] * 3
    assert len(set(outputs["error"].tolist())) == 1


def test_a_picture_that_cannot_be_read_concerns_its_row_alone(served, byte_examples):
    for signature in ("arithmetic_bytes", "encode_bytes"):
        given = byte_examples[signature]
        expected, name = call(served, signature, given), next(iter(given))
        for row, content, reason in (
            (0, b"GIF89a", 'it is neither JPEG nor PNG; it begins with "R0lGODlh" (base64url)'),
            (2, given[name][2][:-30], "it is damaged or cut short"),
        ):
            inputs = given | {name: given[name].copy()}
            inputs[name][row] = content
            outputs = call(served, signature, inputs)
            errors = [b"", b"", b""]
            errors[row] = f"{name} can't be read as a picture: {reason}.".encode()
            assert outputs.pop("error").tolist() == errors
            good = [other for other in range(3) if other != row]
            for key, value in outputs.items():
                assert np.array_equal(value[good], expected[key][good])
                assert value[row] == b"" if value.dtype == object else np.isnan(value[row]).all()


@pytest.mark.parametrize(
    ("signature", "changes", "message"),
    [
        ("encode", {"image": np.zeros((0, 8, 8, 1))}, "no row"),
        # As many pixels as an image of the model has.
        ("encode", {"image": np.zeros((1, 4, 16, 1))}, r"image.*expected shape \[\?,8,8,1\]"),
        ("encode", {"image": np.zeros((8, 8, 1))}, r"image.*expected shape \[\?,8,8,1\]"),
        ("encode_bytes", {"image_bytes": np.array([[b""]], object)}, r"expected shape \[\?\]"),
        ("decode", {"z_1": np.zeros((2, 2))}, "same number of rows"),
        ("decode", {"z_1": np.zeros((3, 3))}, r"z_1.*expected shape \[\?,2\]"),
        ("sample", {"temperature": np.ones(1)}, "same number of rows"),
        ("sample", {"temperature": np.ones((3, 1))}, r"temperature.*expected shape \[\?\]"),
        ("arithmetic", {"plus": np.zeros((1, 8, 8, 1))}, "same number of rows"),
        ("arithmetic", {"layer_weights": np.ones((3, 3))}, "layer_weights.*expected shape"),
        ("arithmetic_bytes", {"layer_weights": np.ones((3, 3))}, "layer_weights.*expected shape"),
        ("retouch", {"detail": np.ones(1)}, "same number of rows"),
    ],
)
def test_wrong_shapes_fail_the_request(
    served, examples, byte_examples, signature, changes, message
):
    inputs = {**examples, **byte_examples}[signature] | {
        name: value if value.dtype == object else np.float32(value)
        for name, value in changes.items()
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(served, signature, inputs)


def test_a_little_overshoot_is_clipped(served, images):
    call = served.signatures["encode"]
    beyond = np.where(images[:2] > 0, images[:2], -0.009).astype(np.float32)
    assert np.array_equal(call(image=beyond)["z_2"], call(image=images[:2])["z_2"])


# ---- what lies beside ----------------------------------------------------------------------------


@pytest.mark.slow
def test_keras_can_call_it_as_layers_of_a_functional_model(finished_run, images, live):
    path = str(finished_run[1] / "1")
    encode = keras.layers.TFSMLayer(path, call_endpoint="encode")
    decode = keras.layers.TFSMLayer(path, call_endpoint="decode")
    image = keras.Input((8, 8, 1))
    codes = encode(image)
    rebuilt = decode({name: codes[name] for name in ("z_1", "z_2")})["image"]
    result = keras.Model(image, rebuilt).predict(images[:3], verbose=0)
    np.testing.assert_allclose(result, live["reconstruct"]["reconstruction"], atol=1e-6)


@pytest.mark.slow
def test_saved_model_cli_runs_it(finished_run, images, tmp_path):
    np.save(tmp_path / "images.npy", images[:2])
    subprocess.run(
        [
            *(sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"),
            *("--dir", finished_run[1] / "1", "--tag_set", "serve"),
            *("--signature_def", "encode", "--outdir", tmp_path),
            *("--inputs", f"image={tmp_path / 'images.npy'}"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    expected = load_run(finished_run[0]).encode(images[:2])[0]["z_2"]
    np.testing.assert_allclose(np.load(tmp_path / "z_2.npy"), expected, atol=1e-6)


def test_the_manifest_says_what_it_is(finished_run, run_config):
    extra = finished_run[1] / "1" / "assets.extra"
    manifest = json.loads((extra / "manifest.json").read_text())
    assert manifest["latent_dims"] == [2, 3]
    assert manifest["attributes"] == ["class=even", "class=odd"]
    assert manifest["mixture_components"] == 1
    assert manifest["test"]["l1"]["value"] == finished_run[2].metrics["test"]["l1"]["value"]
    assert manifest["weights"] == "last"
    assert manifest["config"]["model"]["latent_dims"] == [2, 3]
    # Where files lay on the machine that trained it is left out.
    assert run_config.data.image_dir not in (extra / "manifest.json").read_text()
    card = (extra / "README.md").read_text()
    assert "8x8 pixels" in card
    assert "`class=odd`" in card
    assert "a mixture of Gaussians (components:\n1)" in card
