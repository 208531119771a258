"""What an export says about itself to programs; `model_card` says the same to people."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.data.align import layout_of_data
from tf_mmdvlae.data.decode import MAX_MEGAPIXELS
from tf_mmdvlae.serving.functions import FORMAT

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.model.directions import Directions
    from tf_mmdvlae.model.mmdvlae import MMDVLAE
    from tf_mmdvlae.model.samplers import Mixture

# Where files lay on the machine that trained the model is nobody else's concern.
_PLACES = ("data_dir", "image_dir", "labels", "init_from")
# What `train.stop_after` adds to the metrics.
_EARLY_END = ("planned_steps", "stopped_at", "chosen_on")


def folder_digest(data: DataConfig) -> str | None:
    """Tells an image folder from others without telling where it lies; None for other data sets."""
    if not data.image_dir:
        return None
    return hashlib.sha256(os.fsencode(os.path.realpath(data.image_dir))).hexdigest()[:16]


def without_places(config: dict[str, dict]) -> dict[str, dict]:
    """A config as a dict, without the paths of the machine."""
    return {
        section: {name: value for name, value in fields.items() if name not in _PLACES}
        for section, fields in config.items()
    }


def describe(
    model: MMDVLAE,
    signatures: Sequence[str],
    data: DataConfig | None = None,
    directions: Directions | None = None,
    metrics: dict | None = None,
    mixture: Mixture | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> dict:
    """Describes an export that has the named `signatures`; None leaves out what is not known.

    `mixture` is that of `sample_fitted`; the other arguments are those of `export`.

    Returns:
      A dict that JSON can hold: "format", "dataset", "folder" (a hash of an image folder's path,
      None for other data), "layout" (where the faces of the training images lie, the fields of
      `config.layouts.Layout`; None where that is not known), "image_shape", "latent_dims", "trunk"
      (the name of the Keras model that is the encoder; None for the ladder of the config), "crop",
      "max_megapixels" (larger pictures are refused), "attributes", "signatures",
      "mixture_components" (None without a mixture),
      "weights" ("last": those of the last step; "best": those of the lowest held-out error), "test"
      and "test_images" (the metrics of the test split; {} and 0 without them), "probes" (how well
      each label is read from the codes: label -> "measure", "chance", "z_1" ... "z_L", "all"),
      "steps", "seed", "config" (no paths of the machine), with `train.stop_after` also
      "planned_steps", "stopped_at" and "chosen_on" (the split of the held-out images, "test" or
      "validation"), "versions" and "commit" of the training, and "exported_with".
    """
    metrics = metrics or {}
    config = metrics.get("config") or {"model": dataclasses.asdict(model.config)}
    here = provenance()
    steps = metrics.get("steps")
    layout = layout_of_data(data) if data else None
    return {
        "format": FORMAT,
        "dataset": data.dataset if data else None,
        "folder": folder_digest(data) if data else None,
        "layout": layout._asdict() if layout else None,
        "image_shape": list(model.config.image_shape),
        "latent_dims": list(model.config.latent_dims),
        "trunk": None if model.trunk is None else model.trunk.name,
        "crop": data.crop if data else 1.0,
        "max_megapixels": max_megapixels,
        "attributes": list(directions.names) if directions else [],
        "signatures": list(signatures),
        "mixture_components": len(mixture.weights) if mixture else None,
        "weights": "last" if metrics.get("stopped_at", steps) == steps else "best",
        "test": metrics.get("test", {}),
        "test_images": metrics.get("test_images", 0),
        "probes": {
            label: {
                "measure": probe["measure"],
                "chance": probe["chance"],
                **{layer: result["value"] for layer, result in probe["layers"].items()},
            }
            for label, probe in metrics.get("probes", {}).items()
        },
        "steps": steps,
        **{name: metrics[name] for name in _EARLY_END if name in metrics},
        "seed": metrics.get("seed"),
        "config": without_places(config),
        "versions": metrics.get("versions", here["versions"]),
        "commit": metrics.get("commit", here["commit"]),
        "exported_with": here,
    }
