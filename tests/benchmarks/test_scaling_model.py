"""What devices send each other, by hand and in a step that TensorFlow traced."""

import dataclasses
import itertools
import json
import os

import pytest

from benchmarks import scaling
from benchmarks.scaling_model import DEVICES, NETWORKS, scaling_model, traffic
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
    sent = traffic(PLAIN, 12, devices)
    share = (devices - 1) / devices
    # A number of bfloat16 has two bytes.
    assert sent["gradients"] == pytest.approx(2 * share * 2 * PARAMETERS)
    assert sent["normalization"] == 0
    # Codes, and codes as the ladder takes them.
    assert sent["codes"] == pytest.approx(share * 4 * 12 * 2 * 2)


# Both workers have to make the model: its weights are the first one's.
TRACED = """
import json, sys
from unittest import mock
import numpy as np
import tensorflow as tf
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.training.workers import Workers

def collectives(graph, seen):
    for operation in graph.get_operations():
        if operation.type.startswith("Collective"):
            sent = operation.inputs[0]
            yield operation.type, sent.dtype.name, sent.shape.num_elements()
        for value in operation.node_def.attr.values():
            for name in filter(None, [value.func.name, *(f.name for f in value.list.func)]):
                if name not in seen:
                    seen.add(name)
                    yield from collectives(graph._get_function(name).graph, seen)

workers, config = Workers("multi_worker"), ModelConfig(**json.loads(sys.argv[1]))
with workers.strategy.scope():
    model = MMDVLAE(config)
    model.compile(FusedAdam(1e-3))
    model.exchange_dtype = "bfloat16"
    model.optimizer.build(model.trainable_variables)
split = pipeline.Split("train", np.zeros((8, *config.image_shape), np.uint8), {}, {}, 8)
batches = pipeline.training_batches(split, 4, 0, share=workers.share)
with mock.patch.object(tf, "function", wraps=tf.function) as compilations:
    model.make_train_function()
take_step = compilations.call_args.args[0]
step = tf.function(lambda iterator: take_step(next(iterator)))
graph = step.get_concrete_function(iter(workers.feed(batches))).graph
workers.wait()
print(json.dumps(list(collectives(graph, set()))))
"""


@pytest.mark.slow
def test_messages_are_those_of_a_traced_step():
    model = dataclasses.replace(
        PLAIN, latent_dims=(2,), blocks=(("dense5", "dense3"),), normalization="batch"
    )
    settings = json.dumps(dataclasses.asdict(model))
    cores = os.sched_getaffinity(0)
    output = scaling.run_workers(["-c", TRACED, settings], [cores, cores])[0]
    collectives = json.loads(output.splitlines()[-1])
    sums = [(dtype, size) for kind, dtype, size in collectives if "Reduce" in kind]
    sent = traffic(model, 4, 2)
    assert sent["messages"] == 2 * len(sums) + len(collectives) - len(sums)
    assert sent["messages"] <= 30
    assert sorted(dtype for dtype, size in sums) == ["bfloat16", "float32"]
    assert sent["gradients"] == 2 * dict(sums)["bfloat16"]
    # Statistics go with the terms.
    terms = 3 + 3 * len(model.latent_dims)
    assert sent["normalization"] == 4 * (dict(sums)["float32"] - terms)


def test_normalization_is_counted(tiny_config):
    with_it, without = (
        traffic(config, 8, 2)
        for config in (tiny_config, dataclasses.replace(tiny_config, normalization="none"))
    )
    assert with_it["normalization"] > 0 == without["normalization"]
    assert with_it["messages"] == without["messages"]


def test_time_on_a_network():
    rows = scaling_model(PLAIN, 4)
    pairs = [(row["devices"], row["network"]) for row in rows]
    assert pairs == list(itertools.product(DEVICES, NETWORKS))
    for row in rows:
        bytes_per_second, latency = NETWORKS[row["network"]]
        sent = traffic(PLAIN, 4 * row["devices"], row["devices"])
        size = sent["gradients"] + sent["normalization"] + sent["codes"]
        exchange = size / bytes_per_second + sent["messages"] * latency
        assert row["milliseconds"] == pytest.approx(1e3 * exchange)
        computing = row["step_for_80_percent"]
        assert computing / (computing + row["milliseconds"]) == pytest.approx(0.8)
