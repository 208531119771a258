"""What an export says about itself to programs; `model_card` is the same for people."""

import dataclasses

from tf_mmdvlae.common.provenance import provenance

FORMAT = 1
"""Counted up when a program that reads a manifest would have to change."""

_PLACES = ("data_dir", "image_dir", "labels", "init_from")


def describe(model, made, data=None, directions=None, metrics=None, mixture=None):
    """The manifest of an export.

    Args:
      model: the `MMDVLAE`.
      made: what `signatures.signatures` gives.
      data: a `DataConfig` or None.
      directions: `Directions` or None.
      metrics: the contents of `metrics.json`, or None.
      mixture: the `samplers.Mixture` of `sample_fitted`, or None.

    Returns:
      A dict that JSON can hold: "format", "dataset", "image_shape", "latent_dims", "crop",
      "attributes", "signatures", "mixture_components" (None without a mixture), "weights" ("last":
      those of the last step), "test" and "test_images" (the test split's metrics; {} and 0 without
      them), "probes" (how well each label is read from the codes: label -> "measure", "chance",
      "z_1" ... "z_L", "all"), "steps", "seed", "config" (no paths of the machine), "versions" and
      "commit" of the training, and "exported_with".
    """
    metrics = metrics or {}
    config = metrics.get("config") or {"model": dataclasses.asdict(model.config)}
    here = provenance()
    return {
        "format": FORMAT,
        "dataset": data.dataset if data else None,
        "image_shape": list(model.config.image_shape),
        "latent_dims": list(model.config.latent_dims),
        "crop": data.crop if data else 1.0,
        "attributes": list(directions.names) if directions else [],
        "signatures": list(made),
        "mixture_components": len(mixture.weights) if mixture else None,
        "weights": "last",
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
        "steps": metrics.get("steps"),
        "seed": metrics.get("seed"),
        "config": _without_places(config),
        "versions": metrics.get("versions", here["versions"]),
        "commit": metrics.get("commit", here["commit"]),
        "exported_with": here,
    }


def _without_places(config):
    """Where files lay on the machine that trained the model is nobody else's concern."""
    return {
        section: {field: value for field, value in fields.items() if field not in _PLACES}
        for section, fields in config.items()
    }
