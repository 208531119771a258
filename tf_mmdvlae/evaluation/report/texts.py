"""What the report's templates print: estimates and names as words, pictures as sources."""

from __future__ import annotations

import base64
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tf_mmdvlae.figures.drawing import layer_title
from tf_mmdvlae.metrics.estimates import Estimate

SAMPLERS = {
    "prior": "draws from the prior",
    "joint": "draws from the fitted mixture",
    "per_layer": "draws from a mixture for each layer",
}
"""What each sampler gives, for people."""


def value(estimate: Estimate) -> float:
    """An estimate's value; NaN if it is unknown."""
    return math.nan if estimate["value"] is None else float(estimate["value"])


def error(estimate: Estimate) -> float:
    """An estimate's standard error; NaN if it is unknown."""
    standard_error = estimate.get("standard_error")
    return math.nan if standard_error is None else float(standard_error)


def with_error(value: float | None, error: float | None = None, digits: int = 2) -> str:
    """ "0.1882 ± 0.0043": so many digits of the error, and the value's places; a dash for NaN."""
    value, error = (math.nan if number is None else float(number) for number in (value, error))
    if not math.isfinite(value):
        return "\N{EN DASH}"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    places = min(max(digits - 1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "\N{MINUS SIGN}")


def cell(estimate: Estimate, scale: float = 1) -> str:
    """An estimate as the text of a cell: value and standard error, both times `scale`."""
    return with_error(scale * value(estimate), scale * error(estimate))


def words(name: str) -> str:
    """ "hair_color" -> "hair color", "Smiling" -> "Smiling"."""
    return name.replace("_", " ")


def layer_name(layer: str, layers: int) -> str:
    """ "z_1" -> "Layer 1 (lowest)"; "z_1-2" -> "Layers 1-2"; "all" -> "All layers"."""
    if layer == "all":
        return "All layers"
    number = layer.removeprefix("z_")
    return layer_title(int(number), layers) if number.isdigit() else f"Layers {number}"


def easiest_first(attributes: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """Names of attributes, those first that edits both add and remove most often.

    Args:
      attributes: name -> curve; see `metrics.attribute_edits`.
    """

    def flipped(name):
        shares = [value(attributes[name][end]["flipped"]) for end in (0, -1)]
        return min(-1.0 if math.isnan(share) else share for share in shares)

    return sorted(attributes, key=flipped, reverse=True)


def source(picture: pathlib.Path | str) -> str:
    """A picture within the page: the `src` of a PNG file's path or of SVG text."""
    if isinstance(picture, pathlib.Path):
        return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
