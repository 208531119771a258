"""What devices send each other, and how two workers are compared with one."""

import dataclasses
import json
import os
import pathlib

import pytest

from benchmarks import scaling
from benchmarks.scaling_model import Network, exchanged, scaling_model, seconds_on
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig

# Without normalization: 4x4x1 -> dense 3 -> head of 2; back 2 -> 3 -> 16.
PLAIN = ModelConfig(
    image_shape=(4, 4, 1),
    latent_dims=(2,),
    blocks=(("dense3",),),
    head_width=0,
    normalization="none",
)
PARAMETERS = (16 * 3 + 3) + 2 * (3 * 2 + 2) + (2 * 3 + 3) + (3 * 16 + 16)


@pytest.mark.parametrize("devices", [2, 8])
def test_bytes_by_hand(devices):
    sent = exchanged(PLAIN, 12, devices)
    share = (devices - 1) / devices
    assert sent["gradients"] == pytest.approx(2 * share * 4 * PARAMETERS)
    assert sent["normalization"] == 0
    # Codes and given codes, there and their gradients back, twice as much as a sum.
    assert sent["codes"] == pytest.approx(share * 4 * 12 * 2 * 2 * 3)


# Both workers have to make the model: its weights are the first one's.
TRACED = """
import collections, inspect, json, sys
import numpy as np
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.training.workers import Workers

def collectives(graph):
    found = []
    for operation in graph.get_operations():
        if operation.type.startswith("Collective"):
            found.append((operation.type, operation.inputs[0].shape.num_elements()))
        for value in operation.node_def.attr.values():
            for name in filter(None, [value.func.name, *(f.name for f in value.list.func)]):
                if name not in seen:
                    seen.add(name)
                    found += collectives(graph._get_function(name).graph)
    return found

workers, all_found = Workers("multi_worker"), []
for settings in json.loads(sys.argv[1]):
    config = ModelConfig(**settings)
    with workers.strategy.scope():
        model = MMDVLAE(config)
        model.compile(FusedAdam(1e-3))
        model.optimizer.build(model.trainable_variables)
    split = pipeline.Split("train", np.zeros((8, *config.image_shape), np.uint8), {}, {}, 8)
    batches = pipeline.training_batches(split, 4, 0, share=workers.share)
    model.make_train_function()
    step = inspect.getclosurevars(model.train_function).nonlocals["multi_step_on_iterator"]
    seen = set()
    graph = step.get_concrete_function(iter(workers.feed(batches))).graph
    all_found.append(collectives(graph))
workers.wait()
print(json.dumps(all_found))
"""


def test_messages_are_those_of_a_traced_step():
    models = [
        PLAIN,
        dataclasses.replace(
            PLAIN, latent_dims=(2, 3), blocks=(("dense5",), ("dense3",)), normalization="batch"
        ),
    ]
    settings = json.dumps([dataclasses.asdict(model) for model in models])
    cores = os.sched_getaffinity(0)
    output = scaling.run_workers(["-c", TRACED, settings], [cores, cores])[0]
    for model, found in zip(models, json.loads(output.splitlines()[-1]), strict=True):
        sums = [size for kind, size in found if kind.startswith("CollectiveReduce")]
        sent = exchanged(model, 4, 2)
        assert sent["messages"] == 2 * len(sums) + len(found) - len(sums)
        known = sum(size for size in sums if size)
        reported = 3 + 3 * len(model.latent_dims)
        # What is known of sizes: normalization; the terms, at once and by themselves; the input.
        assert sent["normalization"] == 4 * (known - 3 * reported - 1)


def test_a_killed_worker_is_named_with_what_it_said():
    program = "import os, sys; print({!r}, file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    with pytest.raises(InputError, match=r"^A worker failed \(killed by SIGKILL\)$"):
        scaling.run_workers(["-c", program.format("")], [os.sched_getaffinity(0)])
    with pytest.raises(InputError, match=r"killed by SIGKILL\): no memory$"):
        scaling.run_workers(["-c", program.format("a\nno memory")], [os.sched_getaffinity(0)])


def test_the_users_python_path_stays(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    program = "import sys; print(sys.path)"
    [output] = scaling.run_workers(["-c", program], [os.sched_getaffinity(0)])
    assert "'/theirs'" in output
    assert repr(str(pathlib.Path(scaling.__file__).parents[1])) in output


@pytest.mark.parametrize(
    ("cores", "siblings", "halves"),
    [
        ([0, 1, 2, 3, 4], [], ([0, 1], [2, 3])),
        ([0, 1, 2, 3], [(0, 2), (1, 3)], ([0, 2], [1, 3])),
        ([0, 1, 2, 3, 4, 5], [(0, 3), (1, 4), (2, 5)], ([0, 3], [1, 4])),
        ([0, 1, 2], [(0, 2), (1, 3)], ([0], [1])),
        ([0, 1], [(0, 1)], ([0], [1])),
    ],
)
def test_threads_of_a_core_stay_with_one_worker(monkeypatch, tmp_path, cores, siblings, halves):
    monkeypatch.setattr(scaling, "_CORES", tmp_path)
    for group in siblings:
        for core in group:
            folder = tmp_path / f"cpu{core}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(",".join(map(str, group)))
    assert scaling._halves(cores) == halves


def test_normalization_is_counted(tiny_config):
    with_it, without = (
        exchanged(config, 8, 2)
        for config in (tiny_config, ModelConfig(**{**vars(tiny_config), "normalization": "none"}))
    )
    assert with_it["normalization"] > 0 == without["normalization"]
    assert with_it["messages"] > without["messages"]


def test_time_on_a_network():
    sent = {"gradients": 100.0, "normalization": 60.0, "codes": 40.0, "messages": 6}
    assert seconds_on(Network("slow", 50.0, 0.5), sent) == pytest.approx(200 / 50 + 3)
    rows = scaling_model(PLAIN, 4, devices=(2, 64), networks=[Network("slow", 1e3, 1e-3)])
    assert [row["devices"] for row in rows] == [2, 64]
    for row in rows:
        computing = row["step_for_80_percent"]
        assert computing / (computing + row["milliseconds"]) == pytest.approx(0.8)


def test_efficiency_is_that_of_two_over_twice_one(run_config, monkeypatch, tmp_path):
    taken = iter([0.1, 0.125, 0.2, 0.4])
    seen = []

    def seconds(config, places, steps):
        seen.append([set(own) for own in places])
        return next(taken)

    monkeypatch.setattr(scaling, "_step_seconds", seconds)
    monkeypatch.setattr(scaling.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    monkeypatch.setattr(scaling, "_CORES", tmp_path)
    speed = scaling.scaling_speed(run_config, rounds=2)
    assert seen == 2 * [[{0, 1}], [{0, 1}, {2, 3}]]
    assert speed["cores"] == 2
    assert speed["one"] == {"median": 60.0, "low": 40.0, "high": 80.0}
    assert speed["efficiency"]["high"] == pytest.approx(0.8)
    assert speed["efficiency"]["low"] == pytest.approx(0.5)
