"""The model card is Markdown, whatever the names in it are."""

import json

from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.latents import zeros
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.serving.manifest import describe
from tf_mmdvlae.serving.model_card import model_card

ODD = "x` |[a](http://b)\n# <img src=c>"


def test_names_are_no_markdown(tiny_config):
    assert isinstance(tiny_config, ModelConfig)
    layers = {name: {"value": 0.5, "standard_error": 0.1} for name in ("z_1", "z_2", "all")}
    probe = {"measure": ODD, "chance": 0.5, "layers": layers}
    estimate = {"value": 0.5, "standard_error": None}
    manifest = describe(
        MMDVLAE(tiny_config),
        ["encode"],
        directions=Directions((ODD,), zeros(tiny_config.latent_dims)),
        metrics={
            "probes": {ODD: probe},
            "test": {ODD: estimate},
            "test_images": 9,
            "chosen_on": "test",
        },
    )
    card = model_card(json.loads(json.dumps(manifest)))
    assert "\n# <" not in card
    assert "<img" not in card.replace(r"\<img", "")
    rows = [line for line in card.splitlines() if line.startswith("| x")]
    assert [row.replace(r"\|", "").count("|") for row in rows] == [4, 7]
    assert "[a]" not in card
    assert "\nThe run chose its weights by the first of these images" in card
