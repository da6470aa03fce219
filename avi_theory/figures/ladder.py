"""A comparison in one figure: the ladder, the gap predicted and measured, both ELBO traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from avi_theory.figures.base import AVI, FVI, GREY, PALE, Drawing
from avi_theory.figures.panels import agreement, bars, traces
from avi_theory.results.comparison import Comparison
from avi_theory.results.words import by_position

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"approximation": FVI, "conditioning": GREY, "capacity": PALE, "training": AVI}


def _draw(figure: Figure, found: Comparison) -> None:
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.15, 1))[0]
    rungs, point = left.subplots(2, 1, height_ratios=(2.4, 1))
    course = right.subplots()
    rows = []
    for name, colour in COLOURS.items():
        rung = found.gaps[name]
        shared = name == "training" and found.gaps["capacity"].value is None
        label = "capacity + training" if shared else name
        rows.append((label, rung.value, rung.standard_error, rung.kind, colour))
    bars(rungs, rows)
    rungs.set_title(f"{found.model}: log p(x) − ELBO(A-VI), rung by rung")
    gap = found.amortization
    size = abs(found.fvi["elbo"] or 0.0)
    agreement(point, gap.measured, gap.standard_error, gap.predicted, gap.kind, size)
    point.set_title(f"theory and measurement: {gap.outcome.replace('_', ' ')}")
    kept = found.measurement.traces if found.measurement is not None else {}
    traces(course, kept, gap.predicted)
    seen = _shown(found.avi["inputs"])
    course.set_title(
        f"the two fits; q(z) = f({seen})" if seen else "the two fits; one q(z) for all"
    )


def _shown(inputs: Sequence[str]) -> str:
    """All of a few inputs, the ends of many."""
    ordered = by_position(inputs)
    return ", ".join(ordered if len(ordered) <= 3 else [ordered[0], "…", ordered[-1]])


LADDER = Drawing(
    "ladder",
    "The ladder of gaps, the amortization gap predicted and measured, and the course of both fits.",
    lambda result: isinstance(result, Comparison),
    _draw,
    (9.6, 4.2),
)
