"""What the report says of each family: tables, plots and pictures, in the order of the page."""

import math

from tf_mmdvlae.evaluation.report.cells import cell, layer_name, value, words
from tf_mmdvlae.evaluation.report.factor_sections import arithmetic, disentanglement
from tf_mmdvlae.evaluation.report.parts import heading, note, pictures, table, text
from tf_mmdvlae.figures import plots
from tf_mmdvlae.figures.drawing import MINUS, layer_title

_ROWS_ALL_SHOWN = 45


def _reconstruction(result, drawn, evaluation):
    del evaluation
    count = result["l1"]["count"]
    return [
        text(
            f"Images encoded to posterior means and decoded again, over {count:,} test images. "
            "L1 and MSE are means over pixels and channels in [0, 1]."
        ),
        table(
            ["", "mean over images"],
            [
                ["L1 (lower is better)", cell(result["l1"])],
                ["MSE (lower is better)", cell(result["mse"])],
                ["PSNR, decibels (higher is better)", cell(result["psnr"])],
                ["SSIM (higher is better)", cell(result["ssim"])],
            ],
        ),
        pictures((drawn["reconstructions"], "Test images, and below each its reconstruction.")),
    ]


_SAMPLE_ROWS = {
    "prior": "draws from the prior",
    "joint": "draws from the fitted mixture",
    "per_layer": "draws from a mixture for each layer",
    "reconstructions": "reconstructions of test images",
    "training images": "training images (as near as real images come)",
}
_SAMPLE_COLUMNS = {
    "frechet_distance": "Fréchet distance ↓",
    "kernel_distance": "kernel distance \N{MULTIPLICATION SIGN} 1000 ↓",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "density": "density ↑",
    "coverage": "coverage ↑",
}


def _samples(result, drawn, evaluation):
    rows = [
        [
            _SAMPLE_ROWS.get(name, name),
            *(
                cell(values[column], 1000 if column == "kernel_distance" else 1)
                for column in _SAMPLE_COLUMNS
            ),
        ]
        for name, values in result["rows"].items()
    ]
    shown = [
        (drawn[f"samples_{name}"], _SAMPLE_ROWS[name])
        for name in result["rows"]
        if f"samples_{name}" in drawn
    ]
    return [
        text(
            f"{result['count']:,} images of each row beside as many test images, in the feature "
            f"space “{evaluation['features']['name']}” ({result['dimensions']:,} dimensions): "
            f"{evaluation['features']['description']}."
        ),
        note(
            "Distances compare only where feature space, crop, image size and number of images "
            "are the same; figures published with other features say nothing beside these."
        ),
        table(["", *_SAMPLE_COLUMNS.values()], rows),
        text(
            "Precision: share of samples that lie among real images; recall: share of real images "
            "that lie among samples; density and coverage are the same questions, less swayed by "
            "outliers."
        ),
        pictures(*shown),
    ]


def _prior(result, drawn, evaluation):
    del drawn
    layers = len(evaluation["config"]["latent_dims"])
    rows = []
    for name, found in result["layers"].items():
        units = found["active_units"]
        rows.append(
            [
                layer_name(name, layers),
                cell(found["mmd_squared"]),
                cell({"value": found["null"]["quantile_95"]}),
                cell(found["effect_size"]),
                cell(found["rejected"]),
                cell(found["mean_distance"]),
                cell(found["covariance_distance"]),
                f"{units['value']} of {units['of']}",
            ]
        )
    first = next(iter(result["layers"].values()))
    made = [
        text(
            "Posterior samples of test images beside the prior N(0, I). The effect size is the "
            "squared MMD of a batch less its mean under the prior, in deviations of the null "
            f"distribution ({first['null']['draws']:,} batches drawn from the prior): 0 for codes "
            "that follow the prior. “Rejected” is the share of batches above the null's 95% "
            "quantile: 0.05 for codes that follow it."
        ),
        table(
            [
                "",
                "MMD²",
                "null, 95%",
                "effect size",
                "rejected",
                "|mean| / √d",
                f"|cov {MINUS} I| / √d",
                "active units",
            ],
            rows,
        ),
    ]
    if result["dependence"]:
        made.append(heading("Dependence between layers"))
        rows = [
            [
                " and ".join(layer_name(name, layers) for name in pair["layers"]),
                cell(pair),
                "" if pair.get("p_value") is None else f"{pair['p_value']:.3f}",
            ]
            for pair in result["dependence"]
        ]
        made.append(table(["layers", "distance correlation", "p of independence"], rows))
    return made


def _knowledge(result, drawn, evaluation):
    trained, untrained = result["trained"], result["untrained"]
    layers = len(evaluation["config"]["latent_dims"])
    names = list(next(iter(trained.values()))["neighbours"])
    columns = ["all" if name == "all" else f"layer {name.removeprefix('z_')}" for name in names]
    made = [
        text(
            "How well each label is read from the mean codes of each layer alone, and of all. "
            "Probes are fitted on training images and judged on test images. The last two columns "
            "say what a guess without codes gives, and the codes of the same network before "
            "training."
        ),
        pictures((drawn["layers"], f"Each of the {layers} layers drawn anew, the others kept.")),
    ]
    for measure, title in (
        ("accuracy", "Classes: accuracy"),
        ("auc", "Attributes: area under the ROC curve"),
        ("r2", "Factors: share of the variance explained (R²)"),
    ):
        labels = [name for name, entry in trained.items() if entry["measure"] == measure]
        if not labels:
            continue
        made.append(heading(title))
        low = 0.5 if measure == "auc" else 0.0
        neighbours = next(iter(trained[labels[0]]["neighbours"].values()))["neighbours"]
        asked = f"{neighbours} nearest neighbours"
        maps = []
        for probe, said in (("neighbours", asked), ("linear", "a linear probe")):
            values = []
            for name in labels:
                entry = trained[name]
                row = [value(entry[probe][layer]) for layer in names]
                before = untrained and value(untrained[name][probe]["all"])
                values.append([*row, entry["chance"], math.nan if before is None else before])
            shown = [words(name) for name in labels[:_ROWS_ALL_SHOWN]]
            maps.append(
                (
                    plots.heat_map(
                        values[:_ROWS_ALL_SHOWN],
                        shown,
                        [*columns, "chance", "untrained"],
                        low,
                        1.0,
                        apart_after=(len(names) - 1,),
                    ),
                    f"By {said}.",
                )
            )
        made.append(pictures(*maps))
        errors = [
            estimate["standard_error"]
            for name in labels
            for estimate in trained[name]["neighbours"].values()
            if estimate["standard_error"] is not None
        ]
        counts = {e["count"] for name in labels for e in trained[name]["neighbours"].values()}
        if errors:
            made.append(
                text(
                    f"Standard errors are {min(errors):.3f} to {max(errors):.3f} (nearest "
                    f"neighbours), on {max(counts):,} test images."
                )
            )
    manifolds = [
        (
            drawn[f"manifold_layer_{layer}"],
            f"{layer_title(layer, layers)}: its two most active dimensions.",
        )
        for layer in range(1, layers + 1)
    ]
    made.append(pictures(*manifolds))
    return made


def _semi_supervised(result, drawn, evaluation):
    del drawn, evaluation
    counts = [int(key.removeprefix("labels_")) for key in next(iter(result.values()))]
    rows = [[words(name), *map(cell, entry.values())] for name, entry in result.items()]
    return [
        text(
            "Test error of a support vector machine that is given a few labelled codes of all "
            "layers (InfoVAE's table), over draws of the labelled images."
        ),
        table(["label", *(f"{count:,} labels" for count in counts)], rows),
    ]


SECTIONS = {
    "reconstruction": ("Reconstruction", _reconstruction),
    "samples": ("Samples", _samples),
    "prior": ("Match to the prior", _prior),
    "knowledge": ("What each layer knows", _knowledge),
    "disentanglement": ("Disentanglement", disentanglement),
    "arithmetic": ("Arithmetic", arithmetic),
    "semi_supervised": ("A few labels", _semi_supervised),
}
"""Family -> (title, function (result, drawn pictures, evaluation) -> parts)."""
