"""The panels of a reproduced experiment, published values as dashed lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.figures.base import AVI, FVI, GREY, INK, Drawing
from avi_theory.results.reproduction import Panel, Reproduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = ((FVI, "-", "o"), (AVI, "--", "s"), (INK, ":", "^"), (GREY, "-.", "D"), (FVI, ":", "v"))
"""Colour, line and marker of the first, second, … curve: apart in grey and in shape."""


def _draw(figure: Figure, found: Reproduction) -> None:
    for axes, panel in zip(figure.subplots(1, len(found.panels), squeeze=False)[0], found.panels,
                           strict=True):  # fmt: skip
        _panel(axes, panel)


def _panel(axes: Axes, panel: Panel) -> None:
    for k, curve in enumerate(panel.curves):
        colour, line, marker = LOOKS[k % len(LOOKS)]
        sparse = panel.points or len(curve.x) <= 12
        axes.plot(
            curve.x,
            curve.y,
            linestyle="none" if panel.points else line,
            marker=marker if sparse else "",
            markersize=5,
            color=colour,
            label=curve.label,
        )
        if curve.low:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    for label, level in panel.levels.items():
        axes.axhline(level, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(label, (1, level), (-2, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", va="bottom", fontsize=8)  # fmt: skip
    if panel.x_log:
        axes.set_xscale("log")
    elif all(float(x).is_integer() for curve in panel.curves for x in curve.x):
        axes.locator_params(axis="x", integer=True)
    if panel.y_log:
        axes.set_yscale("log")
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if len(panel.curves) > 1:
        axes.legend()


REPRODUCTION = Drawing(
    "reproduction",
    "The experiment run again; dashed lines are published values.",
    lambda result: isinstance(result, Reproduction) and bool(result.panels),
    _draw,
    lambda result: (4.6 * len(result.panels), 3.6),
)
