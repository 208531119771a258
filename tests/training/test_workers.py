"""Several devices and several processes compute what one does."""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import TrainConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.training.run import load_run
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workers import Workers

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Logical devices must be made before TensorFlow computes anything.
MIRRORED = """
import dataclasses, json, sys
import keras, numpy as np, tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from conftest import TINY
from tf_mmdvlae.model.devices import synchronize_normalization
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.training.workers import Workers

config = dataclasses.replace(
    TINY, blocks=(("conv4/2",), ("dense8",)), nested_dropout=0.25, kl_weights=0.5
)
images = np.random.default_rng(0).random((48, 8, 8, 1), np.float32)
batches = tf.data.Dataset.from_tensor_slices(images).batch(16).repeat()
results = []
alone, mirrored = Workers("none"), Workers("mirrored")
for workers, sees_whole_batch in ((alone, True), (mirrored, True), (mirrored, False)):
    keras.utils.set_random_seed(0)
    with workers.strategy.scope():
        prior = "sampled" if sees_whole_batch else "closed_form"
        model = MMDVLAE(dataclasses.replace(config, prior=prior), 0, ((2, 5), (0, 0)))
        model.compile(FusedAdam(1e-3))
    if sees_whole_batch:
        synchronize_normalization(model)
    stage = model.trunk_blocks[0].stages[0]
    features = np.asarray(stage.operation(images[:16]))
    settings = {"shuffle": False, "verbose": 0}
    model.fit(batches, steps_per_epoch=1, **settings)
    variance = np.asarray(stage.normalization.moving_variance)
    history = model.fit(batches, steps_per_epoch=2, epochs=4, **settings).history
    results.append({
        "replicas": workers.strategy.num_replicas_in_sync,
        "features": features.tolist(),
        "variance": variance.tolist(),
        "history": history,
        "weights": [np.asarray(w).ravel().tolist() for w in model.weights],
    })
json.dump(results, sys.stdout)
"""


@pytest.mark.slow
def test_two_devices_are_one_where_they_see_the_whole_batch():
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    output = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=300,
    ).stdout
    one, two, own = json.loads(output.splitlines()[-1])
    assert [result["replicas"] for result in (one, two, own)] == [1, 2, 2]
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for mine, theirs in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    # By itself each device normalizes its own half of the batch.
    features = np.array(own["features"])
    axes = (0, 1, 2)
    halves = np.mean([features[:8].var(axes), features[8:].var(axes)], axis=0)
    np.testing.assert_allclose(own["variance"], halves, rtol=1e-5)
    np.testing.assert_allclose(two["variance"], features.var(axes), rtol=1e-5)
    assert np.abs(halves / features.var(axes) - 1).max() > 1e-4


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start_workers(arguments, folder):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        with open(folder / f"log_{index}", "w") as log:
            processes.append(
                subprocess.Popen(
                    arguments,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "TF_CONFIG": json.dumps(task)},
                )
            )
    return processes


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_two_workers_are_one_and_go_on_after_a_kill(run_config, replace, tmp_path):
    arguments = [
        *(sys.executable, str(ROOT / "bin" / "train"), "--dataset=image_folder"),
        f"--image_dir={run_config.data.image_dir}",
        f"--workdir={tmp_path / 'run'}",
        f"--export_dir={tmp_path / 'export'}",
        *("--batch_size=8", "--steps=12", "--distribute=multi_worker"),
        *("--config.train.checkpoint_every=2", "--config.train.log_every=2"),
        *("--config.data.test_fraction=0.3", "--config.data.flip=true"),
        "--config.train.exchange_precision=float32",
        *("--config.model.image_shape=8,8,1", "--config.model.latent_dims=2"),
        "--config.model.blocks=(('conv4/2','dense8'),)",
    ]
    chief, other = start_workers(arguments, tmp_path)
    own = tmp_path / "run" / "workers" / "1"
    deadline = time.monotonic() + 200
    # A checkpoint is whole once its record is there; each worker writes its own.
    while not list((own / "checkpoints").glob("step_*.json")):
        assert chief.poll() is None, (tmp_path / "log_0").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log_0").read_text()
        time.sleep(0.02)
    os.kill(other.pid, signal.SIGKILL)
    assert chief.wait(timeout=200) == 75
    assert "Worker 0 of 2 lost another one" in (tmp_path / "log_0").read_text().splitlines()[-1]

    # Its own backup is enough, should the chief's disk be gone.
    shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)
    for process in start_workers(arguments, tmp_path):
        assert process.wait(timeout=300) == 0, (tmp_path / "log_0").read_text()
    assert "Resuming from the checkpoint of step" in (tmp_path / "log_0").read_text()
    assert sorted(path.name for path in own.iterdir()) == ["checkpoints", "config.json"]
    assert len(list((tmp_path / "export").iterdir())) == 1

    config = load_config(tmp_path / "run")
    train(replace(config, "train.distribute", "none"), tmp_path / "one", tmp_path / "one_export")
    for mine, theirs in zip(
        load_run(tmp_path / "run").weights, load_run(tmp_path / "one").weights, strict=True
    ):
        # Moving averages hold variances above 1, whose rounding is relative.
        relative = 0 if mine.trainable else 2e-5
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=relative, atol=1e-5)


@pytest.mark.slow
def test_what_the_chief_refuses_ends_all(run_config, tmp_path):
    """With the code of a user's mistake: nobody should start the same workers again."""
    processes = start_workers(
        [
            *(sys.executable, str(ROOT / "bin" / "train"), "--dataset=image_folder"),
            *(f"--image_dir={run_config.data.image_dir}", f"--workdir={tmp_path / 'run'}"),
            *("--batch_size=1000", "--distribute=multi_worker"),
            "--config.model.image_shape=64,64,1",
        ],
        tmp_path,
    )
    assert [process.wait(timeout=200) for process in processes] == [1, 1]
    last_lines = [(tmp_path / f"log_{index}").read_text().splitlines()[-1] for index in range(2)]
    assert "fewer than a batch of 1000" in last_lines[0]
    assert "Worker 1 of 2 ends because another worker reported an error" in last_lines[1]


def load_config(workdir):
    from tf_mmdvlae.training.workdir import Workdir

    return Workdir(workdir).read_config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "TF_CONFIG is not set"),
        ("{}", "TF_CONFIG lacks 'cluster'"),
        ("{", "TF_CONFIG can't be read"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "TF_CONFIG names no worker 2",
        ),
        (
            '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
            "'worker' must be a list of \"host:port\", not 'a:1'",
        ),
        (
            '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
            "must be a list of",
        ),
        (
            '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "TF_CONFIG names no ps 0",
        ),
    ],
)
def test_a_missing_or_wrong_cluster_is_refused(monkeypatch, text, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        Workers("multi_worker")


@pytest.mark.parametrize("other", [{"steps_per_execution": 5}, {"xla": "on"}])
def test_what_tensorflow_cannot_do_together_is_refused(other):
    with pytest.raises(InputError, match="leave one of them out"):
        TrainConfig(distribute="mirrored", **other)


@pytest.mark.parametrize("distribute", ["mirrored", "multi_worker"])
def test_losses_are_not_scaled_where_an_overflow_would_be_missed(distribute):
    with pytest.raises(InputError, match="mixed_float16.*give mixed_bfloat16"):
        TrainConfig(distribute=distribute, precision="mixed_float16")


@pytest.fixture(scope="module")
def split():
    images = np.zeros((40, 2, 2, 1), np.uint8)
    images[:, 0] = np.arange(40, dtype=np.uint8)[:, None, None]
    images[:, :, 0] += 100
    return pipeline.Split("train", images, {}, {}, 40)


def test_the_pieces_of_all_devices_make_up_the_batch(split):
    settings = {"batch_size": 12, "seed": 3, "start_step": 2, "flip": True}
    whole = [b.numpy() for b in pipeline.training_batches(split, **settings).take(3)]
    shares = [pipeline.Share(process, processes=3, devices=2) for process in range(3)]
    pieces = [
        [b.numpy() for b in pipeline.training_batches(split, share=share, **settings).take(6)]
        for share in shares
    ]
    for step, batch in enumerate(whole):
        parts = [own[2 * step + device] for own in pieces for device in range(2)]
        np.testing.assert_array_equal(np.concatenate(parts), batch)


def test_a_batch_that_cannot_be_divided(split):
    with pytest.raises(InputError, match="10 can't be divided between 4 devices.*multiple of 4"):
        pipeline.training_batches(split, 10, 0, share=pipeline.Share(0, 2, 2))


def test_without_a_cache_each_worker_reads_files_of_its_own(run_config, replace):
    data = replace(run_config, "data.cache", "none").data
    stream = pipeline.load_split(data, (8, 8, 1), "train").stream
    parts = [list(stream.contents(part, 3).as_numpy_iterator()) for part in range(3)]
    assert sorted(itertools.chain(*parts)) == sorted(stream.contents().as_numpy_iterator())
    assert len(set(map(len, parts))) <= 2
