"""The picture of a run's losses: a small panel for each quantity over the training steps."""

import copy
import re

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures.drawing import (
    DOTS_PER_INCH,
    MARGIN,
    heading,
    layer_title,
    number,
    save_figure,
    write_heading,
)

KINDS = (
    ("loss", "Loss, all terms"),
    ("reconstruction", "Reconstruction error"),
    ("l1", "L1 error"),
    ("mse", "Mean squared error"),
    ("mmd_(\\d+)", "{}: MMD\N{SUPERSCRIPT TWO}"),
    ("mmd_joint", "All layers joined: MMD\N{SUPERSCRIPT TWO}"),
    ("kl_(\\d+)", "{}: KL, nats"),
    ("deviation_(\\d+)", "{}: mean deviation"),
)
PANEL_WIDTH, PANEL_HEIGHT = 470, 300
MOST_COLUMNS = 5


def panels(history):
    """Which quantities of a history are drawn: rows of (name, title, layer or None).

    Those that `draw_losses` lists, if they or their validation values are there: what there is one
    of in the first rows, then what there is one of for each layer, layers in order.
    """
    names = {name.removeprefix("val_") for name in history}
    single, layered = [], []
    for pattern, title in KINDS:
        matches = [match for name in names if (match := re.fullmatch(pattern, name))]
        if "\\d" not in pattern:
            single += [(match.group(), title, None) for match in matches]
        elif matches:
            layered.append(sorted((int(match[1]), match.group(), title) for match in matches))
    layers = max((group[-1][0] for group in layered), default=0)
    groups = [
        [(name, title.format(layer_title(layer, layers)), layer) for layer, name, title in group]
        for group in layered
    ]
    columns = min(max(layers, 3), MOST_COLUMNS)
    if layers < columns:
        # Too few layers to fill rows of their own.
        single, groups = [*single, *(panel for group in groups for panel in group)], []
    return [
        group[start : start + columns]
        for group in (single, *groups)
        for start in range(0, len(group), columns)
    ]


def curve(history, name):
    """The points of one quantity that are known: (steps, values).

    Raises:
      InputError: if there are not as many values as steps.
    """
    steps = history["step"]
    if len(history[name]) != len(steps):
        raise InputError(
            f"The history holds {len(history[name])} values of {name} for {len(steps)} steps."
        )
    values = np.array([np.nan if value is None else value for value in history[name]], np.float64)
    known = np.isfinite(values)
    return np.asarray(steps, np.float64)[known], values[known]


def draw_losses(path, history, fade_in=None):
    """Draws the losses of a run.

    Args:
      path: the PNG file.
      history: name -> list of values, all as long as "step"; None and NaN stand for steps without
        a value. Drawn are "loss", "reconstruction", "l1", "mse", "mmd_1" ... "mmd_L",
        "mmd_joint", "kl_1" ... and "deviation_1" ..., each with its validation values "val_..."
        in the same panel; other names are left out.
      fade_in: (start, end) steps for each layer, lowest first; a thin vertical line marks each
        start above 0.

    Returns:
      The path.

    Raises:
      InputError: if the history has no "step" or nothing to draw, if lengths differ, or if the
        file cannot be written.
    """
    found = panels(history)
    if "step" not in history or not found:
        raise InputError(
            f'The history holds {", ".join(history) or "nothing"}; it needs "step" and a loss.'
        )
    columns = max(map(len, found))
    starts = {layer: start for layer, (start, _) in enumerate(fade_in or (), start=1) if start > 0}
    width = PANEL_WIDTH * max(columns, 2)
    lines, above = heading("Losses", _explanation(history, found, starts), width - 2 * MARGIN)
    height = PANEL_HEIGHT * len(found) + above
    figure = Figure(
        (width / DOTS_PER_INCH, height / DOTS_PER_INCH), DOTS_PER_INCH, layout="constrained"
    )
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / height), w_pad=0.08, h_pad=0.06)
    write_heading(figure, lines, width, height)
    grid = figure.subplots(len(found), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    same_scale = {}
    for axes_row, row in zip(grid, found, strict=True):
        for axes, (name, title, layer) in zip(axes_row, row, strict=False):
            axes.set_visible(True)
            axes.set_title(title, fontsize=9, loc="left")
            values = _draw_panel(axes, history, name)
            same_scale.setdefault(re.sub(r"_(\d+|joint)$", "", name), []).append((axes, values))
            for which, start in starts.items():
                color = "black" if which == layer else "0.75"
                axes.axvline(start, lw=0.9, ls="--", color=color, zorder=0)
    for kind, members in same_scale.items():
        _scale([axes for axes, _ in members], kind, np.concatenate([v for _, v in members]))
    figure.supxlabel("training step", fontsize=9)
    return save_figure(figure, path)


def _explanation(history, found, starts):
    text = "Reconstruction is a mean over pixels and channels."
    if any(name.startswith("mmd_") for row in found for name, *_ in row):
        text += " MMD\N{SUPERSCRIPT TWO} is the distance of a batch of codes from the prior."
    if any(name.startswith("deviation_") for row in found for name, *_ in row):
        text += " Deviations are the posterior's, where the prior's is 1."
    if starts:
        order = sorted(starts.items(), key=lambda item: item[1])
        named = [f"layer {layer} (step {start:,})" for layer, start in order]
        text += f" Dashed: where {', '.join(named[:-1])}{' and ' * (len(named) > 1)}{named[-1]} "
        text += "start to fade in" if len(named) > 1 else "starts to fade in"
        text += ", black in the panels of that layer."
    if any(name.startswith("val_") for name in history):
        text += " Blue: training batches; orange: held-out images."
    return text


def _draw_panel(axes, history, name):
    drawn = []
    for key, style in (
        (name, {"color": "tab:blue", "lw": 1}),
        (f"val_{name}", {"color": "tab:orange", "lw": 1.2, "marker": "o", "ms": 2.5}),
    ):
        if key in history:
            steps, values = curve(history, key)
            axes.plot(steps, values, **style)
            drawn.append(values)
    axes.set_xlim(0, 1.02 * max(1, *history["step"]))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    return np.concatenate(drawn)


def _scale(panels_alike, kind, values):
    if kind == "deviation":
        for axes in panels_alike:
            axes.set_ylim(0, max(1.0, 1.05 * values.max(initial=0)))
        return
    if not len(values) or np.ptp(values) == 0:
        return
    near_zero = np.median(np.abs(values))
    if values.min() > 0 and values.max() > 3 * values.min():
        decades = np.log10(values.max() / values.min())
        scale, options = "log", {}
        locator = ticker.LogLocator(subs=(1, 2, 5) if decades < 2 else (1,))
        low, high = values.min() / 10 ** (0.05 * decades), values.max() * 10 ** (0.05 * decades)
    elif values.min() <= 0 and np.ptp(values) > 20 * near_zero > 0:
        # Unbiased estimates scatter around zero once they are small: a straight scale there, a
        # logarithmic one for the fall before it.
        width = 10 ** np.ceil(np.log10(max(-values.min(), near_zero)))
        scale, options = "symlog", {"linthresh": width, "linscale": 0.8}
        locator = ticker.SymmetricalLogLocator(base=10, linthresh=width)
        low, high = min(1.2 * values.min(), -0.2 * width), 1.5 * values.max()
    else:
        scale, options, locator = "linear", {}, ticker.MaxNLocator(4)
        low, high = values.min() - 0.05 * np.ptp(values), values.max() + 0.05 * np.ptp(values)
    for axes in panels_alike:
        axes.set_yscale(scale, **options)
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(copy.copy(locator))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number(value)))
