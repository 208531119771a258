"""The pictures of the report: the run's figures drawn anew, samples, arithmetic and edits."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from tf_mmdvlae.data.faces.factors import FACTORS, sample_factors
from tf_mmdvlae.evaluation.case import Case, floats
from tf_mmdvlae.evaluation.report.texts import SAMPLERS, easiest_first, words
from tf_mmdvlae.figures import answers, run
from tf_mmdvlae.figures.drawing import save_mosaic
from tf_mmdvlae.model import latents

_FIGURE_IMAGES = 1_000
_SAMPLE_ROWS = 8
_EDITED_IMAGES = 5
_STRENGTHS = (-2, -1, 0, 1, 2)
# Factors whose change is plain to see at this size.
_FACTORS = (
    "light_direction",
    "skin_tone",
    "hair_color",
    "hair_style",
    "yaw",
    "glasses",
    "smile",
    "beard",
)


def draw_pictures(
    folder: pathlib.Path, metrics: dict[str, Any], case: Case
) -> dict[str, pathlib.Path]:
    """Draws PNG files of a case and its `metrics`, the results of the families.

    Their names are "manifold_layer_<l>", "traversal_layer_<l>", "layers", "reconstructions",
    "samples_<sampler>", and "arithmetic" or "edits" where that was measured. A file that cannot be
    written is an `InputError`.
    """
    images = floats(case.test.images[:_FIGURE_IMAGES])
    paths = run.draw_all(folder, case.encode, case.decode, images, seed=case.seed)
    paths = [path for path in paths if path.stem != "samples"]
    for name, draw in case.samplers.items():
        path = folder / f"samples_{name}.png"
        paths.append(_draw_samples(path, case.decode(draw(_SAMPLE_ROWS**2, case.seed)), name))
    result = metrics.get("arithmetic", {})
    if "known" in result:
        paths.append(_draw_known(folder / "arithmetic.png", case))
    elif "edits" in result:
        paths.append(_draw_edits(folder / "edits.png", result["edits"], case, images))
    return {path.stem: path for path in paths}


def _draw_samples(path, images, sampler):
    title = SAMPLERS.get(sampler, sampler)
    return save_mosaic(
        path,
        images.reshape(_SAMPLE_ROWS, _SAMPLE_ROWS, *images.shape[1:]),
        title[0].upper() + title[1:],
        "Each image is decoded from one draw of all layers.",
    )


def _draw_known(path, case):
    """Draws rows of a, minus, plus, the result, the truth's reconstruction, and the truth."""
    a, plus = (sample_factors(len(_FACTORS), case.seed + offset) for offset in (11, 12))
    minus, truth = ({n: v.copy() for n, v in faces.items()} for faces in (plus, a))
    for row, name in enumerate(_FACTORS):
        # From one end of the factor's range to the other.
        a[name][row] = minus[name][row] = FACTORS[name].low
        plus[name][row] = truth[name][row] = FACTORS[name].high
    faces = {"a": a, "minus": minus, "plus": plus, "truth": truth}
    images = {name: floats(case.render(factors)) for name, factors in faces.items()}
    codes = {name: case.encode(pixels)[0] for name, pixels in images.items()}
    result = case.decode(latents.arithmetic(codes["a"], codes["minus"], codes["plus"]))
    best = case.decode(codes["truth"])
    columns = [images["a"], images["minus"], images["plus"], result, best, images["truth"]]
    return save_mosaic(
        path,
        np.stack(columns, axis=1),
        "Arithmetic with a known answer",
        "a \N{MINUS SIGN} minus + plus, all layers. minus is plus but for one factor, which has "
        "a's value; so the truth is a with plus's value of that factor.",
        gap=2,
        columns_apart=(2,),
        row_labels=list(map(words, _FACTORS)),
        column_labels=["a", "minus", "plus", "result", "best possible", "truth"],
    )


def _draw_edits(path, edits, case, images):
    """Draws the attribute that edits both add and remove most often, at several strengths."""
    attribute = easiest_first(edits["attributes"])[0]
    images = images[:_EDITED_IMAGES]
    codes = case.encode(images)[0]
    direction = case.directions.of(attribute)
    edited = [case.decode(latents.edit(codes, direction, s)) for s in _STRENGTHS]
    return answers.draw_edits(path, images, np.stack(edited, axis=1), attribute, _STRENGTHS)
