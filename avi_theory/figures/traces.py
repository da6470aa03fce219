"""The course of the two fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.figures.base import Drawing
from avi_theory.figures.panels import traces
from avi_theory.results.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _draw(figure: Figure, found: Measurement) -> None:
    axes = figure.subplots()
    traces(axes, found.traces)
    axes.set_title(f"{found.model}: factorized and amortized inference on one objective")


TRACES = Drawing(
    "traces",
    "How far each fit is below the best ELBO, iteration by iteration.",
    lambda result: isinstance(result, Measurement),
    _draw,
)
