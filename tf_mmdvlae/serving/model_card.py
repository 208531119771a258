"""The model card of an export: what it is, of what data, what for, how good."""

import math

_TERMS = {
    "mnist": "MNIST (LeCun, Cortes and Burges): handwritten digits.",
    "fashion_mnist": "Fashion-MNIST (Zalando Research): articles of clothing, MIT licence.",
    "celeb_a": (
        "CelebA (Liu et al. 2015): photographs of celebrities, **for non-commercial research "
        "only**. Its agreement covers derived data too: do not use this model commercially, and do "
        "not publish it. The attributes were judged by annotators and say how a picture struck "
        "them, not what a person is."
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
        "A folder of pictures; whoever trained the model knows where they are from, and under "
        "what terms."
    ),
}

_CARD = """# A variational ladder autoencoder of {subject}

It turns {colour} images of {height}x{width} pixels into the codes of {layers} latent layers of
{dimensions} dimensions (lowest first), and codes into images. Low layers hold simple features,
high layers complicated ones. Trained by tf_mmdvlae {version}{length}.

## Data and its terms

{terms}

## What it is for, and what not

For looking at how images vary, for drawing new ones, and for changing features of a picture, in
play and research. Reconstructions and edits are blurred, and their details are invented: they are
no evidence of what anybody looks like. Not for identifying or judging people, not for deciding
anything about them, and not for passing pictures off as real. What the data lack or distort, the
model lacks or distorts too.

## Measured on the test split

{metrics}
{probes}
## Signatures

{signatures}. `encode` is also `serving_default`.

Images are float32 in [0, 1]; values up to 0.01 outside are clipped, others refused. A signature
that ends in `_bytes` takes JPEG or PNG bytes and gives PNG bytes; it cuts out the {centre} and
resizes it. It cannot see the EXIF rotation of a photograph: rotate it first.
"""

_MIXTURE = """
`sample` draws from the prior, `sample_fitted` from a mixture of Gaussians (components:
{components}) fitted to the codes of training images: where images lie, and so usually better ones.
"""

_ATTRIBUTES = """
`edit` knows {attributes}.
Strength 1 is the step from without to with the attribute, or one standard deviation of a factor,
all others held constant.
"""

_METRICS = """{images:,} images, reconstructed from posterior means; mmd_<l> is the squared MMD of
layer l's codes to the prior.

| measure | value | standard error |
| --- | --- | --- |
{rows}"""

_PROBES = """
How well each label is read from the codes of single layers and of all (accuracy of 15 nearest
neighbours, area under the ROC curve, or R^2, on the test split). What is not read cannot be edited.

{rows}
"""


def model_card(manifest):
    """The model card of an export, in Markdown.

    Args:
      manifest: what `manifest.describe` gives.
    """
    height, width, channels = manifest["image_shape"]
    dataset, steps = manifest["dataset"], manifest["steps"]
    card = _CARD.format(
        subject=dataset or "images",
        colour="grey" if channels == 1 else "colour",
        height=height,
        width=width,
        layers=len(manifest["latent_dims"]),
        dimensions=", ".join(map(str, manifest["latent_dims"])),
        version=manifest["versions"]["tf_mmdvlae"],
        length=f" for {steps:,} steps (seed {manifest['seed']})" if steps else "",
        terms=_terms(dataset),
        metrics=_metrics(manifest),
        probes=_probes(manifest),
        signatures=_code(manifest["signatures"]),
        centre=_centre(manifest["crop"]),
    )
    if manifest["mixture_components"]:
        card += _MIXTURE.format(components=manifest["mixture_components"])
    if manifest["attributes"]:
        card += _ATTRIBUTES.format(attributes=_code(manifest["attributes"]))
    return card


def _terms(dataset):
    if dataset is None:
        return "Not recorded."
    return _TERMS.get(dataset, f"{dataset}, as TensorFlow Datasets has it; see its page there.")


def _metrics(manifest):
    if not manifest["test"]:
        return "Not measured."
    rows = [
        f"| {name} | {_number(estimate['value'])} | {_number(estimate['standard_error'])} |"
        for name, estimate in manifest["test"].items()
    ]
    return _METRICS.format(images=manifest["test_images"], rows="\n".join(rows))


def _centre(crop):
    if crop == 1:
        return "largest centre that fits"
    return f"centre, {crop:.4g} times the largest that fits,"


def _probes(manifest):
    if not manifest["probes"]:
        return ""
    layers = [f"z_{number}" for number in range(1, len(manifest["latent_dims"]) + 1)]
    columns = ["label", "measure", "chance", *layers, "all"]
    rows = [
        [f"`{label}`", probe["measure"], *(_number(probe[key]) for key in columns[2:])]
        for label, probe in manifest["probes"].items()
    ]
    lines = [columns, ["---"] * len(columns), *rows]
    return _PROBES.format(rows="\n".join(f"| {' | '.join(line)} |" for line in lines))


def _number(value):
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _code(names):
    return ", ".join(f"`{name}`" for name in names)
