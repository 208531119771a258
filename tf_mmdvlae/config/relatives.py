"""The model's relatives: one config with the same networks, data and total latent size for each."""

from __future__ import annotations

from typing import Any

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config

RELATIVES = {
    "vae": "one latent layer on the deepest block, KL (Kingma and Welling 2013)",
    "mmd_vae": "one latent layer on the deepest block, MMD (Zhao, Song and Ermon 2017, InfoVAE)",
    "vlae": "every latent layer from the start, KL (Zhao, Song and Ermon 2017, VLAE)",
    "mmd_vlae": "every latent layer from the start, MMD (Xu 2018)",
    "mmd_vlae_progressive": "the highest layer first, MMD (after Li et al. 2020, proVLAE)",
    "mmd_vlae_nested": "the same with nested dropout (after Rippel et al. 2014)",
}
"""Name -> description."""

_PROGRESSIVE = ("mmd_vlae_progressive", "mmd_vlae_nested")
_NESTED_DROPOUT = 0.25


def relative(config: Config, name: str) -> Config:
    """The settings of the relative `name` of `config`, a ladder with MMD.

    Relatives with KL take it in the units of the evidence lower bound: weight 1, beside a
    reconstruction summed over pixels and channels. Relatives with MMD keep the weights of `config`.
    The nested one keeps its nested dropout too, or takes 0.25 if `config` has none.

    Raises:
      InputError: if `name` is not one of `RELATIVES`.
    """
    if name not in RELATIVES:
        raise InputError(f"Model {name!r} is not known. Known: {', '.join(RELATIVES)}.")
    model, nested = config.model, name == "mmd_vlae_nested"
    changes: dict[str, Any] = {"nested_dropout": (model.nested_dropout or _NESTED_DROPOUT) * nested}
    if name in ("vae", "mmd_vae"):
        # The one layer stands where the highest did.
        changes["latent_dims"] = (sum(model.latent_dims),)
        changes["mmd_weights"] = model.layer_mmd_weights[-1]
    if name in ("vae", "vlae"):
        changes |= {"kl_weights": 1.0, "mmd_weights": 0.0, "joint_mmd_weight": 0.0}
        changes["reconstruction_weight"] = None
    return config.changed(model=changes, train={"progressive": name in _PROGRESSIVE})
