"""A measurement: the two fits and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avi_theory.report.blocks import Block, Text, prose
from avi_theory.report.comparison import provenance, runs
from avi_theory.report.numbers import nats


def blocks(found: Mapping[str, Any]) -> list[Block]:
    """The whole measurement."""
    fvi, avi = found["fvi"]["elbo"], found["avi"]["elbo"]
    gap = None if fvi is None or avi is None else fvi - avi
    head = prose(
        ("measured amortization gap ", Text(nats(gap), "strong"), " nats"), title=found["model"]
    )
    result: list[Block] = [head, runs(found)]
    if found.get("provenance"):
        result.append(provenance(found))
    return result
