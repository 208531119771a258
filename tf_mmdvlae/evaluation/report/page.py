"""The report: one HTML file that needs no other.

`evaluation` is the contents of `evaluation.json`, and `pictures` are the PNG files of
`pictures.draw_pictures` by name.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from tf_mmdvlae.common.files import replacing
from tf_mmdvlae.evaluation.case import Case
from tf_mmdvlae.evaluation.families import FAMILIES, summary
from tf_mmdvlae.evaluation.report import texts
from tf_mmdvlae.evaluation.report.pictures import draw_pictures
from tf_mmdvlae.evaluation.report.section_plots import estimates
from tf_mmdvlae.figures.drawing import number

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("tf_mmdvlae", "evaluation/report/templates"),
    autoescape=True,
    extensions=["jinja2.ext.do"],
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_TEMPLATES.globals["samplers"] = texts.SAMPLERS
_TEMPLATES.filters |= {
    "cell": texts.cell,
    "layer_name": texts.layer_name,
    "number": number,
    "source": texts.source,
    "thousands": "{:,}".format,
    "words": texts.words,
}


def write_report(path: pathlib.Path, evaluation: dict[str, Any], case: Case) -> pathlib.Path:
    """Writes the page of an evaluation, with pictures of its case, whole or not at all.

    A file that cannot be written is an `InputError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_pictures(pathlib.Path(folder), evaluation["metrics"], case)
        content = page(evaluation, pictures)
    with replacing(path) as temporary:
        temporary.write_text(content)
    return path


def page(evaluation: dict[str, Any], pictures: Mapping[str, pathlib.Path]) -> str:
    """The page of an evaluation, as HTML text."""
    metrics = evaluation["metrics"]
    common = {"evaluation": evaluation, "layers": len(evaluation["config"]["latent_dims"])}
    sections = []
    for key, family in FAMILIES.items():
        if key in metrics and "skipped" in metrics[key]:
            content = fill("skipped.html", reason=metrics[key]["skipped"])
        elif key in metrics:
            content = fill(
                f"{key}.html",
                "estimates.html",
                result=metrics[key],
                pictures_of=pictures,
                estimates=estimates(metrics[key]),
                **family.plots(metrics[key]),
                **common,
            )
        else:
            continue
        sections.append({"key": key, "title": family.title, "content": content})
    everything = {name: entry for name, entry in evaluation.items() if name != "metrics"}
    return fill(
        "evaluation.html",
        title=f"{evaluation['subject']} on {evaluation['dataset']}",
        summary=summary(evaluation),
        sections=sections,
        details=json.dumps(everything, indent=1, default=str),
        **common,
    )


def fill(*templates: str, **variables: Any) -> Markup:
    """Fills a template in: the first of these files in `templates/` that exists."""
    return Markup(_TEMPLATES.select_template(templates).render(variables))
