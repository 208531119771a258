"""The report: one HTML file that needs no other."""

import json
import pathlib
import tempfile

import jinja2

from tf_mmdvlae.common.files import replacing
from tf_mmdvlae.evaluation.report import parts
from tf_mmdvlae.evaluation.report.pictures import draw_pictures
from tf_mmdvlae.evaluation.report.sections import SECTIONS
from tf_mmdvlae.evaluation.report.summary import summary


def write_report(path, evaluation, case):
    """Writes the page of an evaluation, whole or not at all.

    Args:
      path: the HTML file.
      evaluation: the contents of `evaluation.json`.
      case: the `evaluation.case.Case` that was measured, from which the pictures are drawn.

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_pictures(pathlib.Path(folder), evaluation["metrics"], case)
        content = page(evaluation, drawn)
    with replacing(path) as temporary:
        temporary.write_text(content)
    return path


def page(evaluation, drawn):
    """The HTML of an evaluation.

    Args:
      evaluation: the contents of `evaluation.json`.
      drawn: name -> path of a PNG file, of those that `pictures.draw_pictures` makes.

    Returns:
      The page as text.
    """
    sections = []
    for key, (title, make) in SECTIONS.items():
        result = evaluation["metrics"].get(key)
        if result is None:
            continue
        made = (
            [parts.note(f"Left out: {result['skipped']}.")]
            if "skipped" in result
            else make(result, drawn, evaluation)
        )
        sections.append({"key": key, "title": title, "parts": made})
    short = parts.table(
        ["", "value ± standard error", "better", ""],
        [[row.title, row.text(), row.best, row.meaning] for row in summary(evaluation)],
        numbers=(1,),
    )
    everything = {name: value for name, value in evaluation.items() if name != "metrics"}
    return render(
        title=f"{evaluation['subject']} on {evaluation['dataset']}",
        under=_under(evaluation),
        short=short,
        sections=sections,
        origin=_origin(evaluation),
        details=json.dumps(everything, indent=1, default=str),
    )


def render(**content):
    """The page's template, filled in.

    Args:
      content: "title", "under" (a line below it), "short" (a table of `parts`), "sections" (dicts
        of "key", "title" and "parts"), "origin" and "details" (texts).

    Returns:
      HTML text.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_mmdvlae", "evaluation/report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("template.html").render(**content)


def _under(evaluation):
    layers = evaluation["config"]["latent_dims"]
    steps = evaluation["trained"].get("steps")
    said = [
        f"{len(layers)} latent layer{'s' * (len(layers) > 1)} of "
        f"{', '.join(map(str, layers))} dimensions, lowest first",
        f"trained for {steps:,} steps" if steps else "",
        f"{evaluation['test_images']:,} test images ({evaluation['test_split']})",
    ]
    return "; ".join(filter(None, said))


def _origin(evaluation):
    versions = ", ".join(f"{name} {version}" for name, version in evaluation["versions"].items())
    seconds = sum(evaluation["seconds"].values())
    return (
        f"Seed {evaluation['seed']}. Probes and fitted samplers were fitted on the codes of "
        f"{evaluation['train_images']:,} training images, and judged on test images. Feature space "
        f"of samples: {evaluation['features']['name']}. Judge: {evaluation['judge'] or 'none'}. "
        f"Measured in {seconds:.0f} seconds with {versions}"
        + (f", commit {evaluation['commit']}" if evaluation["commit"] else "")
        + "."
    )
