"""What an export says of its weights."""

from types import SimpleNamespace

import pytest

from tf_mmdvlae.serving.manifest import describe


@pytest.mark.parametrize(
    ("metrics", "weights"),
    [
        ({"steps": 40}, "last"),
        ({"steps": 40, "planned_steps": 40, "stopped_at": 40, "chosen_on": "test"}, "last"),
        ({"steps": 8, "planned_steps": 40, "stopped_at": 16, "chosen_on": "test"}, "best"),
    ],
)
def test_it_tells_which_weights_it_has(tiny_config, metrics, weights):
    model = SimpleNamespace(config=tiny_config, trunk=None)
    manifest = describe(model, ["encode"], metrics=metrics)
    assert manifest["weights"] == weights
    names = ("steps", "planned_steps", "stopped_at", "chosen_on")
    assert {name: manifest[name] for name in names if name in manifest} == metrics
