"""Estimates and layers as the words of a table."""

import math

from tf_mmdvlae.evaluation.report.summary import with_error
from tf_mmdvlae.figures.drawing import layer_title


def cell(estimate, scale=1):
    """An estimate as the text of a cell: value and standard error, both times `scale`."""
    return with_error(scale * value(estimate), scale * error(estimate))


def value(estimate):
    """An estimate's value; NaN for none."""
    return math.nan if estimate["value"] is None else estimate["value"]


def error(estimate):
    """An estimate's standard error; NaN for none."""
    found = estimate.get("standard_error")
    return math.nan if found is None else found


def layer_name(layer, layers):
    """ "z_1" -> "Layer 1 (lowest)"; "z_1-2" -> "Layers 1-2"; "all" -> "All layers"."""
    if layer == "all":
        return "All layers"
    number = layer.removeprefix("z_")
    return layer_title(int(number), layers) if number.isdigit() else f"Layers {number}"


def easiest_first(attributes):
    """Names of attributes, those first that edits both add and take away most often.

    Args:
      attributes: name -> curve, of `evaluation.attribute_edits`.
    """

    def flipped(name):
        shares = [value(attributes[name][end]["flipped"]) for end in (0, -1)]
        return min(-1.0 if math.isnan(share) else share for share in shares)

    return sorted(attributes, key=flipped, reverse=True)


def words(name):
    """ "hair_color" -> "hair color", "Smiling" -> "Smiling"."""
    return name.replace("_", " ")
