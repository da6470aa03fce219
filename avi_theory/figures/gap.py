"""A prediction: what the factorized family costs, and what amortizing it adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.figures.base import AVI, FVI, Drawing
from avi_theory.figures.panels import bars
from avi_theory.results.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _draw(figure: Figure, found: Prediction) -> None:
    axes = figure.subplots()
    bars(
        axes,
        [
            ("approximation gap", found.approximation_gap, None, "exact", FVI),
            ("amortization gap", found.gap, None, found.kind, AVI),
        ],
    )
    seen = ", ".join(found.inputs) or "nothing"
    axes.set_title(f"{found.model}, {found.regime}: {found.function} function of {seen}")


GAP = Drawing(
    "gap",
    "The predicted gaps, in nats over all latents.",
    lambda result: isinstance(result, Prediction),
    _draw,
    (6.4, 2.2),
)
