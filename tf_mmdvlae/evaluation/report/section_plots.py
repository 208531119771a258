"""The plots of the report's sections, with the names and counts that their captions need.

Each function takes a family's result, as `evaluation.json` holds it, and gives the variables of
`templates/<family>.html`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tf_mmdvlae.evaluation.report.texts import easiest_first, error, value, words
from tf_mmdvlae.figures import plots
from tf_mmdvlae.figures.drawing import MINUS
from tf_mmdvlae.metrics.estimates import Estimate

_MOST_LABELS = 45
_MOST_CURVES = 5


def estimates(result: dict[str, Any], *path: str) -> Iterator[tuple[str, Estimate]]:
    """Yields every estimate within a result, named by the words that lead to it."""
    for name, entry in result.items():
        if isinstance(entry, dict) and "value" in entry:
            yield words(", ".join([*path, name])), entry
        elif isinstance(entry, dict):
            yield from estimates(entry, *path, name)


def knowledge(result: dict[str, Any]) -> dict[str, Any]:
    """Draws a map per measure and probe: {"measures": [{"measure", "maps", ...}]}.

    Each measure also has the number of neighbours, the standard errors and the count of images.
    """
    trained, untrained = result["trained"], result["untrained"]
    layers = list(next(iter(trained.values()))["neighbours"])
    columns = [*_layer_words(layers), "chance", "untrained"]
    measures = []
    for measure in ("accuracy", "auc", "r2"):
        labels = [name for name, entry in trained.items() if entry["measure"] == measure]
        if not labels:
            continue

        def heat_map(probe, labels=labels[:_MOST_LABELS], low=0.5 if measure == "auc" else 0.0):
            rows = []
            for name in labels:
                row = [value(trained[name][probe][layer]) for layer in layers]
                before = value(untrained[name][probe]["all"] if untrained else {"value": None})
                rows.append([*row, trained[name]["chance"], before])
            names = list(map(words, labels))
            return plots.heat_map(rows, names, columns, low, apart_after=(len(layers) - 1,))

        neighbours = [one for name in labels for one in trained[name]["neighbours"].values()]
        errors = [one["standard_error"] for one in neighbours]
        measures.append(
            {
                "measure": measure,
                "maps": {probe: heat_map(probe) for probe in ("neighbours", "linear")},
                "neighbours": neighbours[0]["neighbours"],
                "errors": [one for one in errors if one is not None],
                "count": max(one["count"] for one in neighbours),
            }
        )
    return {"measures": measures}


def _layer_words(names):
    return [name.replace("z_", "layer ") for name in names]


def disentanglement(result: dict[str, Any]) -> dict[str, Any]:
    """Draws the mutual information of factors (rows) and layers (columns): {"shares": map}."""
    table = result["mutual_information"]
    shares = plots.heat_map(
        list(zip(*table["layers"]["normalised"], strict=True)),
        list(map(words, table["factors"])),
        _layer_words(table["layers"]["names"]),
    )
    return {"shares": shares}


def arithmetic(result: dict[str, Any]) -> dict[str, Any]:
    """Draws arithmetic beside the rendered truth, or edits judged by a classifier."""
    return _known(result["known"]) if "known" in result else _edits(result["edits"])


def _known(result):
    """Draws the errors, bars by factor, and the gaps, a map of factors and sets of layers."""
    factors, sets = result["factors"], list(result["overall"]["layers"])
    names = list(map(words, factors))
    answer = f"a {MINUS} minus + plus"
    answers = [factor["layers"]["all"]["error"] for factor in factors.values()]
    bars = {
        "floor: the truth reconstructed": [value(factor["floor"]) for factor in factors.values()],
        answer: list(map(value, answers)),
        "ceiling: a reconstructed": [value(factor["ceiling"]) for factor in factors.values()],
    }
    errors = {answer: list(map(error, answers))}
    gaps = plots.heat_map(
        [[value(f["layers"][name]["gap"]) for name in sets] for f in factors.values()],
        names,
        _layer_words(sets),
        colours="Blues_r",
    )
    error_bars = plots.bars(names, bars, "error on the pixels that change", errors)
    return {"errors": error_bars, "gaps": gaps}


def _edits(result):
    """Draws the three measures by strength, and how often the easiest attributes flip."""
    overall, attributes = result["overall"], result["attributes"]
    strengths = [point["strength"] for point in overall]
    order = easiest_first(attributes)
    measures = {"flipped": "flipped", "others moved": "others_moved", "image kept": "face_kept"}
    means, errors = (
        {title: [read(point[key]) for point in overall] for title, key in measures.items()}
        for read in (value, error)
    )
    curves = plots.curves(strengths, means, "strength", "mean over attributes", errors)
    shares = {
        words(name): [value(point["flipped"]) for point in attributes[name]]
        for name in order[:_MOST_CURVES]
    }
    flips = plots.curves(strengths, shares, "strength", "share flipped")
    return {
        "curves": curves,
        "flips": flips,
        "shown": min(_MOST_CURVES, len(order)),
        "both_ways": all(value(attributes[order[0]][end]["flipped"]) > 0 for end in (0, -1)),
        "order": order,
    }
