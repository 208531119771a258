"""The model card of an export: what it is, of what data, what for, how good."""

from __future__ import annotations

import jinja2

from tf_mmdvlae.common import markdown
from tf_mmdvlae.config import unversioned

_TERMS = {
    None: "Not recorded.",
    "mnist": "MNIST (LeCun, Cortes and Burges): handwritten digits.",
    "fashion_mnist": "Fashion-MNIST (Zalando Research): articles of clothing, MIT licence.",
    "celeb_a": (
        "CelebA (Liu et al. 2015): photographs of celebrities, **for non-commercial research "
        "only**. Its agreement covers derived data too: do not use this model commercially, and do "
        "not publish it. Annotators judged the attributes, which say how a picture struck them, "
        "not what a person is."
    ),
    "cifar10": "CIFAR-10 (Krizhevsky 2009): small photographs of ten kinds of things.",
    "svhn_cropped": (
        "SVHN (Netzer et al. 2011): house numbers in street photographs, for non-commercial use "
        "only."
    ),
    "synthetic_faces": (
        "synthetic_faces of tf_mmdvlae: faces drawn by a program from named factors. They show "
        "nobody; no terms but this package's licence, Apache-2.0."
    ),
    "image_folder": (
        "A folder of pictures; whoever trained the model knows where they are from, and under what "
        "terms."
    ),
}


def terms(dataset: str | None) -> str:
    """Where a data set is from and under what terms, in Markdown."""
    elsewhere = f"{markdown.escaped(dataset)}, as TensorFlow Datasets has it; see its page there."
    return _TERMS.get(unversioned(dataset or ""), elsewhere)


def model_card(manifest: dict) -> str:
    """Writes the model card of an export, in Markdown, from its manifest."""
    layers = [f"z_{number}" for number in range(1, len(manifest["latent_dims"]) + 1)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_mmdvlae", "serving"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": markdown.code, "escaped": markdown.escaped}
    return environment.get_template("model_card.md").render(
        manifest, terms=terms(manifest["dataset"]), columns=["chance", *layers, "all"]
    )
