"""The pictures of the report: the run's figures drawn anew, draws side by side, arithmetic."""

import numpy as np

from tf_mmdvlae.evaluation.report.cells import easiest_first
from tf_mmdvlae.figures import answers, run
from tf_mmdvlae.figures.drawing import save_mosaic
from tf_mmdvlae.model import latents

_FIGURE_IMAGES = 1_000
_SAMPLE_ROWS = 8
_TRIPLES = 8
_EDITED_FACES = 5
_SHOWN_STRENGTHS = (-2, -1, 0, 1, 2)
_TITLES = {
    "prior": "Draws from the prior",
    "joint": "Draws from the fitted mixture",
    "per_layer": "Draws from a mixture for each layer",
}


def draw_pictures(folder, metrics, case):
    """Draws what the measured families show.

    Args:
      folder: where the PNG files go.
      metrics: family -> result, of `evaluation.json`.
      case: the `evaluation.case.Case`.

    Returns:
      name -> path: "manifold_layer_<l>", "traversal_layer_<l>", "layers", "reconstructions",
      "samples_<sampler>", "arithmetic" or "edits", of those that were measured.

    Raises:
      InputError: if a file cannot be written.
    """
    images = np.concatenate(list(case.test.floats()))[:_FIGURE_IMAGES]
    paths = run.draw_all(folder, case.encode, case.decode, images, seed=case.seed)
    drawn = {path.stem: path for path in paths if path.stem != "samples"}
    for name, draw in case.samplers.items():
        path = folder / f"samples_{name}.png"
        drawn[path.stem] = _draw_samples(
            path, case.decode, draw, case.seed, _TITLES.get(name, name)
        )
    arithmetic = metrics.get("arithmetic") or {}
    if "known" in arithmetic:
        drawn["arithmetic"] = _draw_known(folder / "arithmetic.png", case)
    elif "edits" in arithmetic:
        drawn["edits"] = _draw_edits(folder / "edits.png", arithmetic["edits"], case, images)
    return drawn


def _draw_samples(path, decode, draw, seed, title):
    codes = draw(_SAMPLE_ROWS**2, seed)
    images = decode(codes)
    return save_mosaic(
        path,
        images.reshape(_SAMPLE_ROWS, _SAMPLE_ROWS, *images.shape[1:]),
        title,
        "Each is decoded from one draw of all layers.",
    )


def _draw_known(path, case):
    """Rows of a, minus, plus, the truth, its reconstruction, and the result, a factor each."""
    from tf_mmdvlae.data.faces.factors import FACTORS, sample_factors

    # Those whose change is plain to see at this size.
    shown = ("light_direction", "skin_tone", "hair_color", "hair_style", "yaw", "glasses")
    shown = (*shown, "smile", "beard")[:_TRIPLES]
    a, plus = (sample_factors(len(shown), case.seed + offset) for offset in (11, 12))
    minus, truth = ({n: v.copy() for n, v in faces.items()} for faces in (plus, a))
    for row, name in enumerate(shown):
        low, high = FACTORS[name].low, FACTORS[name].high
        # From one end of the factor's range to the other.
        a[name][row], plus[name][row] = low, high
        minus[name][row], truth[name][row] = low, high
    faces = {"a": a, "minus": minus, "plus": plus, "truth": truth}
    pictures = {name: np.float32(case.render(values)) / 255 for name, values in faces.items()}
    codes = {name: case.encode(images)[0] for name, images in pictures.items()}
    result = case.decode(latents.arithmetic(codes["a"], codes["minus"], codes["plus"]))
    columns = [*(pictures[n] for n in ("a", "minus", "plus")), result]
    columns += [case.decode(codes["truth"]), pictures["truth"]]
    return save_mosaic(
        path,
        np.stack(columns, axis=1),
        "Arithmetic with a known answer",
        "a \N{MINUS SIGN} minus + plus, all layers. minus is plus but for one factor, which has "
        "a's value; so the truth is a with plus's value of that factor.",
        gap=2,
        columns_apart=(2,),
        row_labels=[name.replace("_", " ") for name in shown],
        column_labels=["a", "minus", "plus", "result", "best possible", "truth"],
    )


def _draw_edits(path, edits, case, images):
    """The attribute that edits both add and take away most often, at several strengths."""
    attribute = easiest_first(edits["attributes"])[0]
    faces = images[:_EDITED_FACES]
    codes = case.encode(faces)[0]
    direction = case.directions.of(attribute)
    edited = [case.decode(latents.edit(codes, direction, s)) for s in _SHOWN_STRENGTHS]
    return answers.draw_edits(path, faces, np.stack(edited, axis=1), attribute, _SHOWN_STRENGTHS)
