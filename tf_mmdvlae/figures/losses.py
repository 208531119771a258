"""The picture of a run's losses: a small panel for each quantity over the training steps."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures.drawing import (
    DOTS_PER_INCH,
    layer_title,
    listing,
    literal_text,
    number,
    save_figure,
)

_SINGLE = {
    "loss": "Loss, all terms",
    "reconstruction": "Reconstruction error",
    "l1": "L1 error",
    "mse": "Mean squared error",
    "mmd_joint": "All layers joined: MMD\N{SUPERSCRIPT TWO}",
}
_LAYERED = {"mmd": "MMD\N{SUPERSCRIPT TWO}", "kl": "KL, nats", "deviation": "mean deviation"}
# Inches.
_PANEL_WIDTH, _PANEL_HEIGHT = 3.13, 2.0
_MOST_COLUMNS = 5


class Panel(NamedTuple):
    """A quantity that is drawn: its name in the history, without prefix, and its layer, if any."""

    name: str
    title: str
    layer: int | None = None


def panels(history: Mapping[str, Any]) -> list[list[Panel]]:
    """The rows of panels of a history.

    The panels show the quantities that `draw_losses` lists, if they or values under a prefix are
    there. Quantities of the whole model fill the first rows, then each quantity that every layer
    has fills rows of its own, layers in order.
    """
    names = {name.removeprefix("val_").removeprefix("train_") for name in history}
    single = [Panel(name, title) for name, title in _SINGLE.items() if name in names]
    of_kind = {
        kind: sorted(int(match[1]) for name in names if (match := re.fullmatch(pattern, name)))
        for kind, pattern in ((kind, rf"{kind}_(\d+)") for kind in _LAYERED)
    }
    layers = max(map(max, filter(None, of_kind.values())), default=0)
    groups = [
        [
            Panel(f"{kind}_{layer}", f"{layer_title(layer, layers)}: {_LAYERED[kind]}", layer)
            for layer in numbers
        ]
        for kind, numbers in of_kind.items()
    ]
    columns = min(max(layers, 3), _MOST_COLUMNS)
    if layers < columns:
        # Too few layers to fill rows of their own.
        single, groups = [*single, *(panel for group in groups for panel in group)], []
    return [
        group[start : start + columns]
        for group in (single, *groups)
        for start in range(0, len(group), columns)
    ]


def curve(history: Mapping[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The finite points of one quantity: (steps, values); an InputError if the lengths differ."""
    steps, count = history["step"], len(history[name])
    if count != len(steps):
        raise InputError(f"The history holds {count} values of {name} for {len(steps)} steps.")
    values = np.array([np.nan if value is None else value for value in history[name]], np.float64)
    finite = np.isfinite(values)
    return np.asarray(steps, np.float64)[finite], values[finite]


@literal_text()
def draw_losses(
    path: pathlib.Path | str,
    history: Mapping[str, Any],
    fade_in: Sequence[tuple[int, int]] | None = None,
) -> pathlib.Path:
    """Draws the losses of a run.

    Args:
      history: name -> list of values, all as long as "step"; None and NaN stand for steps without
        a value. Drawn are "loss", "reconstruction", "l1", "mse", "mmd_1" ... "mmd_L",
        "mmd_joint", "kl_1" ... and "deviation_1" ..., each with its values "val_..." of held-out
        images and "train_..." of training images, measured alike, in the same panel; other names
        are left out.
      fade_in: (start, end) steps for each layer, lowest first; a thin vertical line marks each
        start above 0.

    Raises:
      InputError: if the history has no "step" or nothing to draw, if lengths differ, or if the
        file cannot be written.
    """
    rows = panels(history)
    if "step" not in history or not rows:
        quantities = ", ".join(history) or "nothing"
        raise InputError(f'The history holds {quantities}; it needs "step" and a loss.')
    columns = max(map(len, rows))
    starts = {layer: start for layer, (start, _) in enumerate(fade_in or (), start=1) if start > 0}
    size = (_PANEL_WIDTH * max(columns, 2), _PANEL_HEIGHT * len(rows))
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = Figure(size, DOTS_PER_INCH, layout=layout)
    blanks = ["."] * columns
    names = [[*(panel.name for panel in row), *blanks][:columns] for row in rows]
    grid: dict[str, Axes] = figure.subplot_mosaic(names)
    kinds: dict[str, list[tuple[Axes, np.ndarray]]] = {}
    for name, title, layer in (panel for row in rows for panel in row):
        axes = grid[name]
        axes.set_title(title, fontsize=9, loc="left")
        values = _draw_panel(axes, history, name)
        for which, start in starts.items():
            colour = "black" if which == layer else "0.75"
            axes.axvline(start, lw=0.9, ls="--", color=colour, zorder=0)
        kinds.setdefault(re.sub(r"_(\d+|joint)$", "", name), []).append((axes, values))
    for kind, members in kinds.items():
        first, *others = (axes for axes, _ in members)
        for axes in others:
            axes.sharey(first)
        _scale(first, kind, np.concatenate([values for _, values in members]))
    figure.supxlabel("training step", fontsize=9)
    return save_figure(figure, path, "Losses", _explanation(history, rows, starts))


def _explanation(history, rows, starts):
    names = " ".join(panel.name for row in rows for panel in row)
    text = "Reconstruction is a mean over pixels and channels."
    if "mmd_" in names:
        text += " MMD\N{SUPERSCRIPT TWO} is the distance of a batch of codes from the prior."
    if "deviation_" in names:
        text += " Deviations are the posterior's, where the prior's is 1."
    if starts:
        order = sorted(starts.items(), key=lambda item: item[1])
        layers = listing(f"layer {layer} (step {start:,})" for layer, start in order)
        text += f" Dashed: where {layers} {'start' if len(order) > 1 else 'starts'} to fade in, "
        text += "black in the panels of that layer."
    if any(name.startswith("val_") for name in history):
        text += " Blue: training batches"
        if any(name.startswith("train_") for name in history):
            text += ", or with dots training images, measured as held-out ones are"
        text += "; orange: held-out images."
    return text


def _draw_panel(axes, history, name):
    """Draws a quantity's curves and returns all their values."""
    parts = []
    for key, style in (
        (name, {"color": "tab:blue", "lw": 1}),
        (f"train_{name}", {"color": "tab:blue", "lw": 1.2, "marker": "o", "ms": 2.5}),
        (f"val_{name}", {"color": "tab:orange", "lw": 1.2, "marker": "o", "ms": 2.5}),
    ):
        if key in history:
            steps, values = curve(history, key)
            axes.plot(steps, values, **style)
            parts.append(values)
    axes.set_xlim(0, 1.02 * max(1, *history["step"]))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    return np.concatenate(parts)


def _scale(axes, kind, values):
    if kind == "deviation":
        axes.set_ylim(0, max(1.0, 1.05 * values.max(initial=0)))
        return
    if not len(values) or np.ptp(values) == 0:
        return
    lowest, highest = values.min(), values.max()
    typical = np.median(np.abs(values))
    if lowest > 0 and highest > 3 * lowest:
        decades = np.log10(highest / lowest)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
        axes.set_ylim(lowest / 10 ** (0.05 * decades), highest * 10 ** (0.05 * decades))
    elif lowest <= 0 and highest - lowest > 20 * typical > 0:
        # Unbiased estimates scatter around zero once they are small: a straight scale there, a
        # logarithmic one for the fall before it.
        width = 10 ** np.ceil(np.log10(max(-lowest, typical)))
        axes.set_yscale("symlog", linthresh=width, linscale=0.8)
        axes.yaxis.set_major_locator(ticker.SymmetricalLogLocator(base=10, linthresh=width))
        axes.set_ylim(min(1.2 * lowest, -0.2 * width), 1.5 * highest)
    else:
        margin = 0.05 * (highest - lowest)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
        axes.set_ylim(lowest - margin, highest + margin)
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number(value)))
