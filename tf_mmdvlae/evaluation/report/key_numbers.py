"""The key numbers of each family: what a reader wants to know first, and what tables compare."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_mmdvlae.evaluation.report.texts import SAMPLERS, error, value, with_error
from tf_mmdvlae.metrics.estimates import Estimate


@dataclasses.dataclass(frozen=True)
class KeyNumber:
    """One key number: its key is for programs, its title and meaning (half a sentence) for people.

    Value and standard error are NaN if unknown. The `best` end is "low", "high", or "" where that
    depends on the purpose.
    """

    key: str
    title: str
    value: float
    error: float
    best: str
    meaning: str

    def text(self) -> str:
        """The number with its standard error, rounded to the digits that the error leaves."""
        return with_error(self.value, self.error)


Reader = Callable[[dict[str, Any]], list[KeyNumber]]
"""A family's result, as `evaluation.json` holds it -> its key numbers."""


def reader(*rows: tuple[str, str, str, str, str]) -> Reader:
    """Makes a reader of a table: key, title, path, best and meaning of each `KeyNumber`.

    The path, such as "layers/all/effect_size", leads to an estimate of the result; a result without
    it has no such number.
    """

    def read(result):
        numbers = []
        for key, title, path, best, meaning in rows:
            estimate = result
            for name in path.split("/"):
                estimate = estimate.get(name, {})
            if estimate:
                estimates = value(estimate), error(estimate)
                numbers.append(KeyNumber(key, title, *estimates, best, meaning))
        return numbers

    return read


reconstruction = reader(
    ("l1", "reconstruction, L1", "l1", "low", "mean error of a pixel, 0 to 1"),
    ("mse", "reconstruction, MSE", "mse", "low", "mean squared error"),
    ("psnr", "reconstruction, PSNR", "psnr", "high", "in decibels"),
    ("ssim", "reconstruction, SSIM", "ssim", "high", "1 for equal images"),
)

samples = reader(
    *(
        (
            f"frechet_{name}",
            f"Fréchet distance, {title}",
            f"rows/{name}/frechet_distance",
            "low",
            "between samples and test images, in the feature space named below",
        )
        for name, title in SAMPLERS.items()
    )
)


def prior(result: dict[str, Any]) -> list[KeyNumber]:
    """The distance of all layers from the prior, and the strongest dependence of two layers."""
    pairs = [pair for pair in result["dependence"] if math.isfinite(value(pair))]
    strongest: Estimate = max(pairs, key=value, default={})
    between = " and ".join(name.removeprefix("z_") for name in strongest.get("layers", ()))
    return reader(
        (
            "prior_effect",
            "codes from the prior, all layers",
            "layers/all/effect_size",
            "low",
            "excess MMD² in deviations of chance; 0 for codes that follow the prior",
        ),
        (
            "dependence",
            f"dependence of layers, at most ({between})",
            "strongest",
            "low",
            "distance correlation; 0 for independent layers",
        ),
    )(result | {"strongest": strongest})


def knowledge(result: dict[str, Any]) -> list[KeyNumber]:
    """One number per layer and measure, averaged over the labels that have that measure."""
    table, numbers = result["trained"], []
    for measure, probe, title, meaning in (
        ("accuracy", "neighbours", "accuracy", "of 15 nearest neighbours"),
        ("auc", "linear", "AUC", "area under the ROC curve of a linear probe"),
        ("r2", "neighbours", "R²", "of 15 nearest neighbours"),
    ):
        labels = [name for name, entry in table.items() if entry["measure"] == measure]
        layers = list(table[labels[0]][probe]) if labels else []
        whose = labels[0] if len(labels) == 1 else f"mean of {len(labels)} labels"
        if 1 < len(labels) <= 5:
            meaning = f"{meaning}; {', '.join(labels)}"
        # The only layer of a model is the same as all of its layers.
        for layer in layers[-1:] if len(layers) == 2 else layers:
            where = "all layers" if layer == "all" else f"layer {layer.removeprefix('z_')}"
            numbers += _average(
                [table[name][probe][layer] for name in labels],
                f"{measure}_{layer}",
                f"{title}, {whose} from {where}",
                "high" if layer == "all" else "",
                meaning,
            )
    return numbers


disentanglement = reader(
    (
        "dci_disentanglement",
        "DCI disentanglement, dimensions",
        "dimensions/dci_disentanglement",
        "high",
        "1 where each dimension holds one factor",
    ),
    (
        "mig_layers",
        "MIG, layers as blocks",
        "layers/mig",
        "high",
        "1 where each factor is in one layer",
    ),
)

_known = reader(
    (
        "arithmetic_gap",
        "arithmetic, way from floor to ceiling",
        "gap_of_means",
        "low",
        "0: as good as reconstructing the truth; 1: as if nothing were done",
    ),
    (
        "arithmetic_mean_gap",
        "the same, mean over factors",
        "gap",
        "low",
        "factors that the model hardly draws count as much as others",
    ),
    (
        "arithmetic_moved",
        "arithmetic, how far the factor moves",
        "moved",
        "high",
        "read by the judge; 1 is all the way",
    ),
)

_edits = reader(
    (
        "edit_flipped",
        "edits of strength 1, attribute flipped",
        "flipped",
        "high",
        "share, by the judge",
    ),
    (
        "edit_others",
        "edits of strength 1, others moved",
        "others_moved",
        "low",
        "mean change of the judge's other probabilities",
    ),
    (
        "edit_kept",
        "edits of strength 1, image kept",
        "face_kept",
        "high",
        "cosine of the judge's features",
    ),
)


def arithmetic(result: dict[str, Any]) -> list[KeyNumber]:
    """How near arithmetic comes to a known answer, or what edits of strength 1 change."""
    if "known" in result:
        return _known(result["known"]["overall"]["layers"]["all"])
    return _edits(next((at for at in result["edits"]["overall"] if at["strength"] == 1), {}))


def semi_supervised(result: dict[str, Any]) -> list[KeyNumber]:
    """The test error for each number of labelled codes, averaged over the labels."""
    whose = "" if len(result) == 1 else f", mean of {len(result)} labels"
    numbers = []
    for key in next(iter(result.values())):
        count = int(key.removeprefix("labels_"))
        numbers += _average(
            [errors[key] for errors in result.values()],
            f"error_{count}_labels",
            f"test error from {count:,} labels{whose}",
            "low",
            "of a support vector machine on the codes",
        )
    return numbers


def _average(estimates, key, title, best, meaning):
    """A list of one key number, the mean over labels; no number if no label has a value."""
    values, errors = np.array([[value(one), error(one)] for one in estimates]).T
    count = np.isfinite(values).sum()
    if not count:
        return []
    spread = np.sqrt(np.nansum(np.square(errors))) / count
    return [KeyNumber(key, title, float(np.nanmean(values)), float(spread), best, meaning)]
