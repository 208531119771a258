"""A comparison, the contents of `comparison.json`, as a Markdown table and as a page."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from tf_mmdvlae.common import markdown
from tf_mmdvlae.evaluation.report.page import fill
from tf_mmdvlae.evaluation.report.texts import with_error


def markdown_table(comparison: dict[str, Any]) -> str:
    """The table of a comparison as Markdown: one line per number, one column per model.

    The best number of a line is bold, where one end is the better one.
    """
    head, rows = _table(comparison, bold="**{}**")
    rows = [[markdown.escaped(title), *cells] for title, *cells in rows]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def comparison_page(
    comparison: dict[str, Any], pictures: Mapping[str, Mapping[str, pathlib.Path]]
) -> str:
    """The page of a comparison, as HTML text.

    Each model has paths of PNG files: "samples", "reconstructions" and "layers".
    """
    models = fill("comparison_models.html", models=comparison["models"])
    sections = [{"key": "models", "title": "The models", "content": models}]
    for name, title in (
        ("samples", "Draws from the prior"),
        ("layers", "Each layer drawn anew"),
        ("reconstructions", "Reconstructions"),
    ):
        pairs = [(paths[name], model) for model, paths in pictures.items() if name in paths]
        if pairs:
            content = fill("side_by_side.html", pairs=pairs)
            sections.append({"key": name, "title": title, "content": content})
    head, rows = _table(comparison, bold="{} *")
    everything = {name: entry for name, entry in comparison.items() if name != "models"}
    return fill(
        "comparison.html",
        title=f"The relatives on {comparison['dataset']}",
        comparison=comparison,
        head=head,
        rows=rows,
        sections=sections,
        details=json.dumps(everything, indent=1, default=str),
    )


def _table(comparison, bold):
    models = comparison["models"]
    numbers = {}
    # The model with the most layers comes first: it has all numbers, in order.
    for entry in sorted(models.values(), key=lambda entry: -len(entry["rows"])):
        for key, row in entry["rows"].items():
            numbers.setdefault(key, row)
    lines = []
    for key, number in numbers.items():
        rows = {name: entry["rows"].get(key) for name, entry in models.items()}
        means = {name: row["mean"] for name, row in rows.items() if row and _is_finite(row["mean"])}
        choose = {"low": min, "high": max}.get(number["best"])
        winner = choose(means, key=means.get) if choose and means else None
        cells = []
        for name, row in rows.items():
            cell = ""
            if row is not None:
                # One seed has no deviation.
                spread = row["deviation"] if row["count"] > 1 else row["standard_error"]
                cell = with_error(row["mean"], spread, digits=1)
            cells.append(bold.format(cell) if name == winner else cell)
        arrow = {"low": " ↓", "high": " ↑"}.get(number["best"], "")
        lines.append([number["title"] + arrow, *cells])
    return ["", *models], lines


def _is_finite(value):
    return value is not None and math.isfinite(value)
