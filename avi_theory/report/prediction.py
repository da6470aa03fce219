"""A prediction as a reader wants it: the number, its kind, what it assumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avi_theory.report.blocks import Block, Column, Table, Text, prose
from avi_theory.report.numbers import BOUNDS, listed, nats, plural

REGIMES = {
    "dataset": "on the given data",
    "population": "in expectation over data at given θ; the function may use q(θ)",
    "reuse": "one function for all data sets, in expectation over θ's prior",
}


def blocks(found: Mapping[str, Any]) -> list[Block]:
    """The whole prediction."""
    kind = found["kind"]
    if kind == "none" or found["gap"] is None:
        line: tuple[str | Text, ...] = (Text("theory has no number here", "warn"),)
    else:
        sign = BOUNDS.get(kind, "= ")
        line = (
            "predicted amortization gap ",
            Text(sign + nats(found["gap"]), "strong"),
            f" nats ({kind}), for {plural(found['latents'], 'latent')}",
        )
    head = prose(line, title=found["model"])
    rows = (
        ("q(z) is a function of", f"{listed(found['inputs'])} ({found['function']})"),
        ("shared by", _sharing(found["sharing"])),
        ("regime", f"{found['regime']}: {REGIMES.get(found['regime'], '')}"),
        ("gap per latent", nats(found["gap_per_latent"], kind=kind)),
        ("its limit", nats(found["limit_per_latent"], kind=kind)),
        ("approximation gap", nats(found["approximation_gap"])),
        ("reference", found["reference"] or "–"),
    )
    result: list[Block] = [head, Table((Column(""), Column("")), rows)]
    if found["assumptions"]:
        title = "Why not" if kind == "none" else "Assumptions"
        result.append(prose(*found["assumptions"], title=title))
    return result


def _sharing(sharing: str) -> str:
    return "all positions" if sharing == "shared" else "none: each position has its own"
