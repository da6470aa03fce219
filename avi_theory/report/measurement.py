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
    fvi, avi = found["fvi"]["elbo"], found["avi"]["elbo"]
    gap = None if fvi is None or avi is None else fvi - avi
    head = prose(
        ("measured amortization gap ", Text(nats(gap), "strong"), " nats"), title=found["model"]
    )
    shown: list[Block] = [head, runs(found)]
    if found.get("provenance"):
        shown.append(provenance(found))
    return shown
