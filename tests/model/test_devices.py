"""What several devices send each other."""

import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.devices import exchange_dtype


@pytest.mark.parametrize(
    ("distribute", "precision", "on_processors", "on_gpus"),
    [
        ("mirrored", "auto", "float32", "float32"),
        ("multi_worker", "auto", "bfloat16", "float32"),
        ("multi_worker", "float32", "float32", "float32"),
        ("none", "bfloat16", "bfloat16", "bfloat16"),
    ],
)
def test_gradients_are_rounded_where_a_network_carries_them(
    distribute, precision, on_processors, on_gpus, monkeypatch
):
    assert exchange_dtype(precision, distribute) == on_processors
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    assert exchange_dtype(precision, distribute) == on_gpus


@pytest.mark.parametrize("distribute", ["mirrored", "multi_worker"])
def test_what_gpus_do_not_exchange_is_refused(distribute, monkeypatch):
    assert exchange_dtype("bfloat16", distribute) == "bfloat16"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    with pytest.raises(InputError, match="between GPUs; use float32 or auto"):
        exchange_dtype("bfloat16", distribute)
