"""The key numbers of an evaluation: what a person wants to know first, and what tables compare."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Row:
    """One key number.

    Attributes:
      key: for programs, such as "frechet_prior".
      title: for people.
      value: a number, NaN where it can't be said.
      error: its standard error, or NaN.
      best: "low" or "high", which end is the good one; "" where it depends on what is wanted.
      meaning: half a sentence.
    """

    key: str
    title: str
    value: float
    error: float
    best: str
    meaning: str

    def text(self):
        """The number with its standard error, rounded to what that error leaves certain."""
        return with_error(self.value, self.error)


def with_error(value, error=None, digits=2):
    """ "0.1882 ± 0.0043": so many digits of the error, and the value's places; a dash for NaN."""
    value = math.nan if value is None else float(value)
    error = math.nan if error is None else float(error)
    if not math.isfinite(value):
        return "\N{EN DASH}"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    places = min(max(digits - 1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "\N{MINUS SIGN}")


def summary(evaluation):
    """The key numbers of an evaluation.

    Args:
      evaluation: the contents of `evaluation.json`.

    Returns:
      A list of `Row`s, in the order of the report; families that were not measured give none.
    """
    rows = []
    for name, read in _READERS.items():
        result = evaluation["metrics"].get(name)
        if result and "skipped" not in result:
            rows += read(result)
    return rows


def _row(key, title, estimate, best, meaning):
    return Row(key, title, _number(estimate["value"]), _number(estimate.get("standard_error")),
               best, meaning)  # fmt: skip


def _number(value):
    return math.nan if value is None else float(value)


def _reconstruction(result):
    return [
        _row("l1", "reconstruction, L1", result["l1"], "low", "mean error of a pixel, 0 to 1"),
        _row("mse", "reconstruction, MSE", result["mse"], "low", "mean squared error"),
        _row("psnr", "reconstruction, PSNR", result["psnr"], "high", "in decibels"),
        _row("ssim", "reconstruction, SSIM", result["ssim"], "high", "1 for equal images"),
    ]


_SAMPLED = {
    "prior": "draws from the prior",
    "joint": "draws from the fitted mixture",
    "per_layer": "draws from a mixture for each layer",
}


def _samples(result):
    return [
        _row(
            f"frechet_{name}",
            f"Fréchet distance, {title}",
            result["rows"][name]["frechet_distance"],
            "low",
            "between samples and test images, in the feature space named below",
        )
        for name, title in _SAMPLED.items()
        if name in result["rows"]
    ]


def _prior(result):
    rows = [
        _row(
            "prior_effect",
            "codes from the prior, all layers",
            result["layers"]["all"]["effect_size"],
            "low",
            "excess MMD² in deviations of chance; 0 for codes that follow the prior",
        )
    ]
    pairs = [pair for pair in result["dependence"] if math.isfinite(_number(pair["value"]))]
    if pairs:
        most = max(pairs, key=lambda pair: pair["value"])
        between = " and ".join(name.removeprefix("z_") for name in most["layers"])
        rows.append(
            _row(
                "dependence",
                f"dependence of layers, at most ({between})",
                most,
                "low",
                "distance correlation; 0 for independent layers",
            )
        )
    return rows


_MEASURES = {
    "accuracy": ("accuracy", "of 15 nearest neighbours"),
    "auc": ("AUC", "area under the ROC curve of a linear probe"),
    "r2": ("R²", "of 15 nearest neighbours"),
}


def _knowledge(result):
    """One line a layer and measure, averaged over the labels that have that measure."""
    table, rows = result["trained"], []
    for measure, (title, meaning) in _MEASURES.items():
        labels = [name for name, entry in table.items() if entry["measure"] == measure]
        probe = "linear" if measure == "auc" else "neighbours"
        layers = list(next(iter(table.values()))[probe]) if labels else []
        if 1 < len(labels) <= 5:
            meaning = f"{meaning}; {', '.join(labels)}"
        # The one layer of a model that has no other is all of its layers.
        for layer in layers[-1:] if len(layers) == 2 else layers:
            found = [table[name][probe][layer] for name in labels]
            values = [_number(one["value"]) for one in found]
            errors = [_number(one["standard_error"]) for one in found]
            if not np.isfinite(values).any():
                continue
            where = "all layers" if layer == "all" else f"layer {layer.removeprefix('z_')}"
            whose = labels[0] if len(labels) == 1 else f"mean of {len(labels)} labels"
            rows.append(
                Row(
                    f"{measure}_{layer}",
                    f"{title}, {whose} from {where}",
                    float(np.nanmean(values)),
                    float(np.sqrt(np.nansum(np.square(errors))) / np.isfinite(values).sum()),
                    "high" if layer == "all" else "",
                    meaning,
                )
            )
    return rows


def _disentanglement(result):
    return [
        _row(
            "dci_disentanglement",
            "DCI disentanglement, dimensions",
            result["dimensions"]["dci_disentanglement"],
            "high",
            "1 where each dimension holds one factor",
        ),
        _row(
            "mig_layers",
            "MIG, layers as blocks",
            result["layers"]["mig"],
            "high",
            "1 where each factor is in one layer",
        ),
    ]


def _arithmetic(result):
    if "known" in result:
        overall = result["known"]["overall"]["layers"]["all"]
        rows = [
            _row(
                "arithmetic_gap",
                "arithmetic, way from floor to ceiling",
                overall["gap_of_means"],
                "low",
                "0: as good as reconstructing the truth; 1: as if nothing were done",
            ),
            _row(
                "arithmetic_mean_gap",
                "the same, mean over factors",
                overall["gap"],
                "low",
                "factors that the model hardly draws count as much as others",
            ),
        ]
        if "moved" in overall:
            rows.append(
                _row(
                    "arithmetic_moved",
                    "arithmetic, how far the factor moves",
                    overall["moved"],
                    "high",
                    "read by the judge; 1 is all the way",
                )
            )
        return rows
    point = next(p for p in result["edits"]["overall"] if p["strength"] == 1)
    return [
        _row(
            "edit_flipped",
            "edits of strength 1, attribute flipped",
            point["flipped"],
            "high",
            "share, by the judge",
        ),
        _row(
            "edit_others",
            "edits of strength 1, others moved",
            point["others_moved"],
            "low",
            "mean change of the judge's other probabilities",
        ),
        _row(
            "edit_kept",
            "edits of strength 1, image kept",
            point["face_kept"],
            "high",
            "cosine of the judge's features",
        ),
    ]


def _semi_supervised(result):
    rows = []
    for key in next(iter(result.values())):
        count = int(key.removeprefix("labels_"))
        found = [entry[key] for entry in result.values()]
        values = [_number(one["value"]) for one in found]
        if not np.isfinite(values).any():
            continue
        errors = [_number(one["standard_error"]) for one in found]
        whose = "" if len(result) == 1 else f", mean of {len(result)} labels"
        rows.append(
            Row(
                f"error_{count}_labels",
                f"test error from {count:,} labels{whose}",
                float(np.nanmean(values)),
                float(np.sqrt(np.nansum(np.square(errors))) / np.isfinite(values).sum()),
                "low",
                "of a support vector machine on the codes",
            )
        )
    return rows


_READERS = {
    "reconstruction": _reconstruction,
    "samples": _samples,
    "prior": _prior,
    "knowledge": _knowledge,
    "disentanglement": _disentanglement,
    "arithmetic": _arithmetic,
    "semi_supervised": _semi_supervised,
}
