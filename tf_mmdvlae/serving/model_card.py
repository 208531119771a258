"""The model card of an export: what it is, of what data, what for, how good."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

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
_TERMS["celeb_a_hq"] = _TERMS["celeb_a"]

SHOWN = ("mnist", "synthetic_faces")
"""Data sets whose pictures exports show to anyone.

The terms of others do not allow it, or are for those who train to judge.
"""

REFUSED = dict.fromkeys(
    ("celeb_a", "celeb_a_hq"),
    "CelebA is for non-commercial research only, and its agreement covers what is made from it, "
    "such as this model",
)
"""Data sets whose models only those publish who have the rights, and why."""

_TASK = "unconditional-image-generation"
_TAGS = ["variational-autoencoder", "mmd", "tensorflow", "image-editing"]


def data_sets(manifest: dict) -> list[str]:
    """What a model learned from, and those it started from, without versions and variants.

    The data set of the export comes first; "" is one that is not recorded.
    """
    train = manifest.get("config", {}).get("train", {})
    names = (manifest.get("dataset") or "", *train.get("ancestors", ()))
    return [_plain(name) for name in names]


def _plain(dataset):
    return re.split("[/:]", dataset)[0]


def terms(dataset: str | None) -> str:
    """Where a data set is from and under what terms, in Markdown."""
    elsewhere = f"{markdown.escaped(dataset)}, as TensorFlow Datasets has it; see its page there."
    return _TERMS.get(_plain(dataset or "") or None, elsewhere)


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
    told = terms(manifest["dataset"])
    if ancestors := data_sets(manifest)[1:]:
        told += "\n\nIts weights started from a model that learned from other data:\n"
        told += "".join(f"\n* {markdown.escaped(name)}: {terms(name)}" for name in ancestors)
    return environment.get_template("model_card.md").render(
        manifest, terms=told, columns=["chance", *layers, "all"]
    )


def hub_card(
    card: str,
    manifest: dict,
    name: str,
    licence: str | None = None,
    pictures: Sequence[str] = (),
    has_run: bool = False,
) -> str:
    """A model card for the Hugging Face Hub, with the metadata that it reads before the text.

    Needs huggingface_hub.

    Args:
      card: the text of the export's own card.
      manifest: of the export; its test metrics become metadata.
      name: hf://user/name.
      licence: the Hub's short name of a licence, such as "apache-2.0"; None names none.
      pictures: files of the model's page to show.
      has_run: whether `--init_from` takes the name, too.
    """
    from huggingface_hub import EvalResult, ModelCardData

    dataset = manifest.get("dataset") or "images"
    metadata = ModelCardData(
        library_name="tf_mmdvlae",
        license=licence,
        pipeline_tag=_TASK,
        tags=_TAGS,
        model_name=name.rpartition("/")[2],
        eval_results=[
            EvalResult(
                task_type=_TASK,
                dataset_type=unversioned(dataset),
                dataset_name=dataset,
                dataset_split="test",
                metric_type=metric,
                metric_name=metric,
                metric_value=estimate["value"],
            )
            for metric, estimate in manifest.get("test", {}).items()
            if estimate["value"] is not None
        ]
        or None,
    )
    use = f"""
        ## Use

        ```sh
        pip install 'tf_mmdvlae[hub]'
        mmdvlae-sample --export={name} --count=64 --out=grid.png
        ```

        ```python
        import tf_mmdvlae

        served = tf_mmdvlae.load("{name}")
        images = served.sample(seeds=range(8))
        ```

        With `@` and a commit of this page after it, the name always gives the same model. The files
        are also a SavedModel, which TensorFlow and TensorFlow Serving load as it is.
        """
    if has_run:
        use += f"""
        `mmdvlae-train --init_from={name}` starts a run from `model.keras`. Keras builds the objects
        that such a file names: start from models of people whom you trust.
        """
    shown = "".join(f"\n![{file.rpartition('/')[2]}]({file})\n" for file in pictures)
    return f"---\n{metadata.to_yaml()}\n---\n\n{card}{textwrap.dedent(use)}{shown}"
