"""The benchmark measures what it says, on a model that takes no time."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import bare_products, command, input_speed, tables, training_speed
from benchmarks import products as floating_point_operations
from benchmarks.harness import alternate
from benchmarks.other_models import plain_autoencoder
from benchmarks.peak_memory import peak_memory
from benchmarks.pythae_model import is_installed, pythae_step
from benchmarks.steps import mixed_policy
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.devices import precision

BATCH = 8


@pytest.fixture(scope="module")
def small_step():
    """A compiled forward and backward pass: convolution, transposed one, dense layer."""
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 4, 2, padding="same"),
            keras.layers.Conv2DTranspose(2, 4, 2, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(7),
        ]
    )

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images) ** 2)
        return tape.gradient(loss, network.trainable_variables)

    return step.get_concrete_function(tf.TensorSpec((BATCH, 8, 8, 3)))


def test_operations_are_those_counted_by_hand(small_step):
    convolution = BATCH * 4 * 4 * 5 * (4 * 4 * 3)
    transposed = BATCH * 4 * 4 * 5 * (4 * 4 * 2)
    dense = BATCH * (8 * 8 * 2) * 7
    # The lowest layer's input needs no gradient.
    expected = 2 * (2 * convolution + 3 * transposed + 3 * dense)
    assert floating_point_operations.count(small_step) == expected


def test_operations_of_called_functions_count(small_step):
    @tf.function
    def outer(images):
        return small_step(images), small_step(-images)

    concrete = outer.get_concrete_function(tf.TensorSpec((BATCH, 8, 8, 3)))
    count = floating_point_operations.count
    assert count(concrete) == 2 * count(small_step)


def test_operations_of_an_unknown_batch_are_refused():
    step = tf.function(lambda a: a @ tf.ones((3, 2)))
    concrete = step.get_concrete_function(tf.TensorSpec((None, 3)))
    with pytest.raises(ValueError, match="is not known"):
        floating_point_operations.count(concrete)


def test_bare_products_are_those_of_the_step(small_step):
    products = floating_point_operations.products(small_step)
    run = bare_products.bare_products(products)
    again = floating_point_operations.products(run.get_concrete_function())
    assert sorted(map(repr, again)) == sorted(map(repr, products))
    assert np.isfinite(run()).all()


def test_shares_and_ratios_are_taken_within_a_round(run_config, monkeypatch):
    names, noted = [], {}

    def made_up(calls, rounds, least, progress):
        names.extend(calls)
        for call in calls.values():
            tf.nest.map_structure(np.asarray, call())
        calls["fed"].waits = [9, 9, 0.5, 1.5, 1.0, 2.0]
        noted.update({name: np.array([1.0, 2.0]) * (i + 1) for i, name in enumerate(calls)})
        return noted

    monkeypatch.setattr(training_speed, "alternate", made_up)
    policies = ("float32", "mixed_bfloat16")
    row = training_speed.training_speed(run_config, 2, policies)
    step, operations = noted["float32"], row["gigaflops_per_step"]
    assert row["batch_size"] == BATCH
    expected = {
        "mmd": noted["mmd"] / step,
        "optimizer": noted["optimizer"] / step,
        "waiting": np.array([1.0, 1.5]) / noted["fed"],
    }
    assert set(row["shares"]) == set(expected)
    for name, values in expected.items():
        assert row["shares"][name]["median"] == pytest.approx(np.median(values))
        assert row["shares"][name]["high"] == pytest.approx(max(values))
    second = row["precisions"]["mixed_bfloat16"]
    assert second["images_per_second"]["low"] == pytest.approx(8 / max(noted["mixed_bfloat16"]))
    assert second["ratio"]["median"] == pytest.approx(np.median(step / noted["mixed_bfloat16"]))
    ceiling = second["ceilings"]["convolution"]["high"]
    speed = operations / min(noted["mixed_bfloat16"])
    assert second["convolution_share"]["median"] == pytest.approx(speed / ceiling)
    assert row["plain"]["ratio"]["median"] == pytest.approx(np.median(noted["plain"] / step))
    assert row["pythae"] is None
    for one in row["precisions"].values():
        one["memory"] = {"peak_megabytes": 1}
    assert "tiny, mixed_bfloat16" in tables.training_tables({"tiny": row})


def test_what_is_compared_takes_turns():
    called = []
    calls = {name: lambda name=name: called.append(name) or np.zeros(1) for name in "ab"}
    times = alternate(calls, rounds=3, least=0)
    assert "".join(called) == "ab" * 5
    assert all(taken.shape == (3,) and min(taken) > 0 for taken in times.values())


def test_the_precision_before_comes_back():
    with precision("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert mixed_policy() == "mixed_bfloat16"


BLOCKS = (("conv4/2", "conv5/1"), ("conv6/2", "dense8"), ("dense9",))


@pytest.mark.parametrize("normalization", ["batch", "none"])
def test_the_plain_autoencoder_has_the_ladders_blocks(normalization):
    settings = ModelConfig((8, 8, 3), (2, 3), BLOCKS, normalization=normalization)
    model = plain_autoencoder(settings)
    kernels = [weight.shape for weight in model.trainable_weights if weight.path.endswith("kernel")]
    assert kernels[:3] == [(4, 4, 3, 4), (4, 4, 4, 5), (4, 4, 5, 6)]
    assert kernels[3:6] == [(24, 8), (8, 9), (9, 5)]
    assert kernels[6:9] == [(5, 9), (9, 8), (8, 24)]
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    assert model(images).shape == images.shape
    model.fit(images, images, verbose=0)


@pytest.mark.skipif(not is_installed(), reason="pythae is not installed")
def test_pythae_has_the_plain_autoencoders_weights():
    import torch

    found = []
    stay = torch.optim.Adam

    def noted(parameters, **settings):
        found.extend(parameters)
        return stay(found, **settings)

    settings = ModelConfig((8, 8, 3), (2, 3), BLOCKS)
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", noted)
        step = pythae_step(settings, images, 1e-2, threads=1)
    losses = [step() for _ in range(10)]
    assert losses[-1] < losses[0]
    plain = sum(np.prod(weight.shape) for weight in plain_autoencoder(settings).trainable_weights)
    # Deviations have a head of their own there.
    assert sum(parameter.numel() for parameter in found) == plain + 9 * 5 + 5


def test_pythae_missing_says_what_to_install(monkeypatch, run_config):
    monkeypatch.setitem(sys.modules, "pythae", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --editable '\.\[benchmark\]'"):
        training_speed.training_speed(run_config, pythae=True)


def test_peak_memory_is_that_of_a_process_of_its_own(run_config):
    keep = np.ones(2**28, np.uint8)
    memory = peak_memory(run_config)
    assert memory["device"] == "CPU"
    assert 0 < memory["loaded_megabytes"] < memory["peak_megabytes"]
    del keep


def test_a_failed_process_says_why(run_config, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2\necho no memory >&2\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(InputError, match=r"memory failed \(killed by SIGKILL\): no memory$"):
        peak_memory(run_config)


def test_a_round_takes_no_batch_that_was_read_before_it(run_config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rounds, taken = [], []
    gather, training_batches = pipeline._gather, pipeline.training_batches

    def stamped(images):
        fetch = gather(images)

        def filled(rows):
            now = tf.numpy_function(lambda: np.uint8(len(rounds)), [], tf.uint8)
            return tf.zeros_like(fetch(rows)) + tf.reshape(now, [])

        return filled

    class Noted:
        def __init__(self, split, *arguments, **settings):
            self.name = type(split.images).__name__
            self.batches = training_batches(split, *arguments, **settings)

        def __iter__(self):
            for batch in self.batches:
                taken.append((self.name, round(float(batch[0, 0, 0, 0]) * 255), len(rounds)))
                yield batch

    monkeypatch.setattr(pipeline, "_gather", stamped)
    monkeypatch.setattr(pipeline, "training_batches", Noted)
    monkeypatch.setattr(input_speed, "_put_out_of_memory", rounds.append)
    speed = input_speed.input_speed(run_config, rounds=3)
    from_disk = [(read, now) for name, read, now in taken if name == "memmap"]
    count = speed["images"] // speed["batch_size"]
    assert from_disk == [(now, now) for now in (1, 2, 3) for _ in range(count)]


@pytest.mark.parametrize(("most", "split"), [(30, "train[:30]"), (40, "train"), (99, "train")])
def test_no_more_images_than_there_are(run_config, replace, monkeypatch, most, split):
    held = pipeline.Description((8, 8, 1), {"train": 40})
    monkeypatch.setattr(pipeline, "describe", lambda data: held)
    data = replace(run_config, "data.dataset", "tiny_pictures").data
    assert input_speed._shortened(data, most).train_split == split
    assert input_speed._shortened(run_config.data, most) == run_config.data


def test_figures_are_written_after_each_part(tmp_path, monkeypatch, capsys):
    def failing(values):
        raise InputError("no more")

    monkeypatch.setattr(command, "_input", lambda values: {"images": 3})
    monkeypatch.setattr(command, "_mmd", failing)
    path = tmp_path / "new" / "figures.json"
    monkeypatch.setattr(sys, "argv", ["benchmark", "--input", "--mmd", f"--out={path}"])
    assert command.main() == 1
    assert "error: no more" in capsys.readouterr().err
    assert json.loads(path.read_text())["input"] == {"images": 3}


@pytest.mark.parametrize("out", ["folder", "file/figures.json"])
def test_a_place_for_figures_is_proved_before_measuring(tmp_path, monkeypatch, capsys, out):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(command, "_mmd", lambda values: pytest.fail("measured"))
    monkeypatch.setattr(sys, "argv", ["benchmark", "--mmd", f"--out={tmp_path / out}"])
    assert command.main() == 1
    assert str(tmp_path / "f") in capsys.readouterr().err


def test_input_speed_leaves_no_cache(run_config, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    speed = input_speed.input_speed(run_config, rounds=2)
    assert list(speed["rows"]) == ["cold", "disk", "memory"]
    for row in speed["rows"].values():
        assert all(0 < spread["low"] <= spread["high"] for spread in row.values())
    assert not list(tmp_path.rglob("images.npy"))
    assert "image_folder, cold" in tables.input_table({"image_folder": speed})
