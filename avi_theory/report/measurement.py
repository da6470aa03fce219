"""A measurement: the two fits and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Text, prose
from avi_theory.report.comparison import provenance, runs
from avi_theory.report.numbers import nats

if TYPE_CHECKING:
    from avi_theory.results.measurement import Measurement


def blocks(result: Measurement) -> list[Block]:
    """The whole measurement."""
    found = result.to_dict()
    head = prose(
        (
            "measured amortization gap ",
            Text(nats(result.gap, result.standard_error), "strong"),
            " nats",
        ),
        title=result.model,
    )
    shown: list[Block] = [head, runs(found)]
    for name, run in (("F-VI", result.fvi), ("A-VI", result.avi)):
        if run is not None and run.message and run.status != "converged":
            shown.append(prose(f"{name}: {run.message}"))
    if result.avi is not None and result.avi.refined:
        steps = ", ".join(nats(gap) for gap in result.avi.refined)
        shown.append(prose(f"gap after 0, 1, … steps of F-VI's solver from there: {steps} nats"))
    return [*shown, provenance(found)]
