"""A comparison as a Markdown table and as a page of figures."""

import json
import math

from tf_mmdvlae.evaluation.report import parts
from tf_mmdvlae.evaluation.report.page import render
from tf_mmdvlae.evaluation.report.summary import with_error


def markdown_table(comparison):
    """The table of a comparison: a line a number, a column a model.

    Args:
      comparison: the contents of `comparison.json`.

    Returns:
      Markdown text. The best of each line is bold, where one end is the good one.
    """
    head, rows = _table(comparison, bold="**{}**")
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def comparison_page(comparison, drawn):
    """The page of a comparison.

    Args:
      comparison: the contents of `comparison.json`.
      drawn: model -> {"samples", "reconstructions", "layers"} -> path of a PNG file.

    Returns:
      HTML text.
    """
    head, rows = _table(comparison, bold="{} *")
    models = comparison["models"]
    what = parts.table(
        ["model", "what it is", "latent dimensions, lowest first"],
        [[n, m["what"], ", ".join(map(str, m["latent_dims"]))] for n, m in models.items()],
        numbers=(),
    )
    sections = [{"key": "models", "title": "The models", "parts": [what]}]
    for figure, title in (
        ("samples", "Draws from the prior"),
        ("layers", "Each layer drawn anew"),
        ("reconstructions", "Reconstructions"),
    ):
        pairs = [(paths[figure], name) for name, paths in drawn.items() if figure in paths]
        if pairs:
            made = [parts.pictures(*pairs)]
            sections.append({"key": figure, "title": title, "parts": made})
    seeds = comparison["seeds"]
    everything = {name: value for name, value in comparison.items() if name != "models"}
    spread = "the deviation between them" if seeds > 1 else "the standard error of its test"
    return render(
        title=f"The relatives on {comparison['dataset']}",
        under=f"{comparison['steps']:,} steps of {comparison['batch_size']}, {seeds} "
        f"seed{'s' * (seeds > 1)}; after ± stands {spread}. * the best of a line",
        short=parts.table(head, rows),
        sections=sections,
        origin="Every model has the same data, steps, batch size, networks and total latent size, "
        "but for `paper`, which is another network. Each run's own report is made by "
        "bin/evaluate --workdir=<run>.",
        details=json.dumps(everything, indent=1, default=str),
    )


def _table(comparison, bold):
    models = comparison["models"]
    titles, best = {}, {}
    # The model with the most layers knows the order of them all.
    for entry in sorted(models.values(), key=lambda entry: -len(entry["rows"])):
        for key, row in entry["rows"].items():
            titles.setdefault(key, row["title"])
            best.setdefault(key, row["best"])
    lines = []
    for key, title in titles.items():
        rows = {name: entry["rows"].get(key) for name, entry in models.items()}
        means = {n: row["mean"] for n, row in rows.items() if row and _finite(row["mean"])}
        choose = {"low": min, "high": max}.get(best[key])
        winner = choose(means, key=means.get) if choose and means else None
        cells = []
        for name, row in rows.items():
            cell = "" if row is None else with_error(row["mean"], _spread(row), digits=1)
            cells.append(bold.format(cell) if name == winner else cell)
        arrow = {"low": " ↓", "high": " ↑"}.get(best[key], "")
        lines.append([title + arrow, *cells])
    return ["", *models], lines


def _spread(row):
    return row["deviation"] if row["count"] > 1 else row["standard_error"]


def _finite(value):
    return value is not None and math.isfinite(value)
