"""What the report says where the causes of the pictures are known or judged."""

from tf_mmdvlae.evaluation.report.cells import cell, easiest_first, error, layer_name, value, words
from tf_mmdvlae.evaluation.report.parts import heading, note, pictures, table, text
from tf_mmdvlae.figures import plots
from tf_mmdvlae.figures.drawing import MINUS

_SCORES = {
    "mig": "MIG",
    "mig_sup": "MIG-sup",
    "sap": "SAP",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "DCI completeness",
    "dci_informativeness": "DCI informativeness",
    "factor_vae": "FactorVAE's score",
    "layer_from_factor": "the layer named by the factor, in the same votes",
}
_RESULT = f"a {MINUS} minus + plus"
_MOST_ROWS = 40
_CURVES = 5


def disentanglement(result, drawn, evaluation):
    """Scores of dimensions and of layers, and the mutual information of layers and factors."""
    del drawn
    layers = len(evaluation["config"]["latent_dims"])
    rows = []
    for key, title in _SCORES.items():
        kinds = [result[kind].get(key) for kind in ("dimensions", "layers")]
        rows.append([title, *("" if one is None else cell(one) for one in kinds)])
    known = result["mutual_information"]
    made = [
        text(
            "All from 0 to 1, larger is better. Dimensions depend on how a layer happens to be "
            "turned, which the prior leaves open; layers as blocks do not. MIG-sup, DCI "
            "disentanglement and FactorVAE's score also ask that a layer hold one factor only; the "
            "last line turns FactorVAE's question round, and does not."
        ),
        table(["", "single dimensions", "layers as blocks"], rows),
        heading("What each layer says of each factor"),
        pictures(
            (
                plots.heat_map(
                    list(map(list, zip(*known["layers"]["normalised"], strict=True))),
                    [words(name) for name in known["factors"]],
                    [f"layer {n.removeprefix('z_')}" for n in known["layers"]["names"]],
                    0.0,
                    1.0,
                ),
                "Mutual information of a layer and a factor, as a share of the factor's entropy "
                f"(continuous factors in {result['bins']} bins); a lower bound.",
            )
        ),
    ]
    active = ", ".join(
        f"{layer_name(name, layers)}: {count}" for name, count in result["active"].items()
    )
    made.append(text(f"Active dimensions: {active}."))
    if result["left_out"]:
        left = ", ".join(map(words, result["left_out"]))
        made.append(note(f"Left out, for they have one value only: {left}."))
    return made


def arithmetic(result, drawn, evaluation):
    """Arithmetic beside the rendered truth, or edits in the eyes of a classifier."""
    if "known" in result:
        return _known(result["known"], drawn, evaluation)
    return _edits(result["edits"], drawn)


def _known(result, drawn, evaluation):
    layers = len(evaluation["config"]["latent_dims"])
    factors, overall = result["factors"], result["overall"]
    sets = list(overall["layers"])
    names = [words(name) for name in factors]
    read = "moved" in overall["layers"]["all"]
    rows = []
    for name in sets:
        found = overall["layers"][name]
        line = [layer_name(name, layers), *map(cell, (found["error"], found["gap_of_means"]))]
        line.append(cell(found["gap"]))
        if read:
            line += [cell(found[key]) for key in ("moved", "others_moved", "others_kept")]
        rows.append(line)
    bounds = [["Floor: the truth reconstructed", cell(overall["floor"]), "0", "0"]]
    bounds.append(["Ceiling: a reconstructed", cell(overall["ceiling"]), "1", "1"])
    head = ["layers that take part", "error", "gap of mean errors", "mean gap"]
    if read:
        truth = overall["truth"]
        bounds[0] += [cell(truth[key]) for key in ("moved", "others_moved", "others_kept")]
        bounds[1] += ["0", "0", "1"]
        head += ["factor moved", "others moved", "others kept"]
    everything = [factors[name]["layers"]["all"] for name in factors]
    bars = {
        "floor: the truth reconstructed": [value(f["floor"]) for f in factors.values()],
        _RESULT: [value(found["error"]) for found in everything],
        "ceiling: a reconstructed": [value(f["ceiling"]) for f in factors.values()],
    }
    errors = {_RESULT: [error(found["error"]) for found in everything]}
    made = [
        text(
            f"minus is plus but for one factor, which has a's value; so {_RESULT} must be a "
            "with plus's value of that factor, and that picture can be drawn. Errors are mean "
            "absolute differences on the pixels that change, in [0, 1]. The gap is 0 at the floor, "
            "1 at the ceiling, where nothing would have been done, and above 1 where arithmetic "
            "does harm; factors that the model does not draw at all have none."
        ),
        table(head, bounds + rows),
    ]
    note_said = overall["layers"]["all"]["gap"].get("note")
    if note_said:
        made.append(note(note_said.capitalize() + "."))
    if read:
        made.append(
            text(
                "Factor moved: 1 is all the way, as a classifier trained on pictures reads it. "
                "Others moved: mean change of the other continuous factors, in standard "
                "deviations. Others kept: share of the other classes that stay. The floor's row "
                "is what model and reader would show of a perfect answer."
            )
        )
    made += [
        pictures((drawn["arithmetic"], "All layers take part.")),
        heading("By factor"),
        pictures(
            (
                plots.bars(names, bars, "error on the pixels that change", errors),
                "Error of arithmetic between its two bounds, all layers.",
            ),
            (
                plots.heat_map(
                    [[value(f["layers"][name]["gap"]) for name in sets] for f in factors.values()],
                    names,
                    [name.replace("z_", "layer ") for name in sets],
                    0.0,
                    1.0,
                    colours="Blues_r",
                ),
                "Gap by factor and by the layers that take part: dark is near the floor.",
            ),
        ),
    ]
    return made


def _edits(result, drawn):
    overall, attributes = result["overall"], result["attributes"]
    strengths = [point["strength"] for point in overall]
    measures = {
        "flipped": "flipped",
        "others_moved": "others moved",
        "face_kept": "image kept",
    }
    rows = [
        [f"{point['strength']:g}".replace("-", MINUS), *(cell(point[key]) for key in measures)]
        for point in overall
    ]
    at_one = {
        name: next(point for point in curve if point["strength"] == 1)
        for name, curve in attributes.items()
    }

    order = easiest_first(attributes)
    flips = all(value(attributes[order[0]][end]["flipped"]) > 0 for end in (0, -1))
    most = "flip most often both ways" if flips else "come first; none flips both ways"
    lines = [[words(name), *(cell(at_one[name][key]) for key in measures)] for name in order]
    return [
        text(
            "Each attribute's direction is added to reconstructions of test images without it "
            "(strength above 0) or taken from those with it (below 0), and a classifier trained on "
            "images judges. Flipped: share judged to be on the other side. Others moved: mean "
            "change of the other attributes' probabilities, some of which belongs with the wanted "
            "change. Image kept: cosine of the classifier's features with those of the "
            "reconstruction."
        ),
        table(["strength", *measures.values()], rows),
        pictures(
            (
                plots.curves(
                    strengths,
                    {said: [value(p[key]) for p in overall] for key, said in measures.items()},
                    "strength",
                    "mean over attributes",
                    {said: [error(p[key]) for p in overall] for key, said in measures.items()},
                ),
                f"Mean over {len(attributes)} attributes, those that can be judged at a strength.",
            ),
            (
                plots.curves(
                    strengths,
                    {
                        words(name): [value(p["flipped"]) for p in attributes[name]]
                        for name in order[:_CURVES]
                    },
                    "strength",
                    "share flipped",
                ),
                f"The {min(_CURVES, len(order))} attributes that {most}.",
            ),
        ),
        pictures((drawn["edits"], "The first of them, on test images.")),
        heading("By attribute, at strength 1"),
        table(["attribute", *measures.values()], lines[:_MOST_ROWS]),
    ]
