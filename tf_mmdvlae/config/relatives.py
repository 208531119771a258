"""The model's relatives, each by config alone: the same networks, data and total latent size."""

import dataclasses

from tf_mmdvlae.common.errors import InputError

RELATIVES = {
    "vae": "one latent layer on the deepest block, KL (Kingma and Welling 2013)",
    "mmd_vae": "one latent layer on the deepest block, MMD (Zhao, Song and Ermon 2017, InfoVAE)",
    "vlae": "every latent layer from the start, KL (Zhao, Song and Ermon 2017, VLAE)",
    "mmd_vlae": "every latent layer from the start, MMD (Xu 2018)",
    "mmd_vlae_progressive": "the highest layer first, MMD (after Li et al. 2020, proVLAE)",
    "mmd_vlae_nested": "the same with nested dropout (after Rippel et al. 2014)",
}
"""Name -> what it is."""

_PROGRESSIVE = ("mmd_vlae_progressive", "mmd_vlae_nested")
_NESTED_DROPOUT = 0.25


def relative(config, name):
    """The settings of a relative.

    Those with KL take it in the units of the evidence lower bound: weight 1, beside a
    reconstruction summed over pixels and channels. Those with MMD keep the weights of `config`, and
    the nested one its share, or 0.25 where it has none.

    Args:
      config: a `Config` of the ladder with MMD.
      name: one of `RELATIVES`.

    Returns:
      A `Config`.

    Raises:
      InputError: for an unknown name; the message lists the known ones.
    """
    if name not in RELATIVES:
        raise InputError(f"Model {name!r} is not known. Known: {', '.join(RELATIVES)}.")
    model = config.model
    nested = name == "mmd_vlae_nested"
    changes = {"nested_dropout": (model.nested_dropout or _NESTED_DROPOUT) * nested}
    if name in ("vae", "vlae"):
        changes |= {
            "kl_weights": 1.0,
            "mmd_weights": 0.0,
            "joint_mmd_weight": 0.0,
            "reconstruction_weight": None,
        }
    if name in ("vae", "mmd_vae"):
        weights = model.layer_mmd_weights
        # The one layer stands where the highest did.
        changes = {"mmd_weights": weights[-1]} | changes
        changes["latent_dims"] = (sum(model.latent_dims),)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(model, **changes),
        train=dataclasses.replace(config.train, progressive=name in _PROGRESSIVE),
    )
