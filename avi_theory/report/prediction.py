"""A prediction as a reader wants it: the number, its kind, what it assumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Column, Table, Text, prose
from avi_theory.report.numbers import BOUNDS, listed, nats, plural

if TYPE_CHECKING:
    from avi_theory.results.prediction import Prediction

REGIMES = {
    "dataset": "on the given data",
    "population": "in expectation over data at given θ; the function may use q(θ)",
    "reuse": "one function for all data sets, in expectation over θ's prior",
}


def blocks(result: Prediction) -> list[Block]:
    """The whole prediction."""
    found = result.to_dict()
    kind = found["kind"]
    if kind == "none" or found["gap"] is None:
        line: tuple[str | Text, ...] = (Text("theory has no number here", "warn"),)
    else:
        sign = BOUNDS.get(kind, "= ")
        line = (
            "predicted amortization gap ",
            Text(sign + nats(found["gap"], found["standard_error"]), "strong"),
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
    shown: list[Block] = [head, Table((Column(""), Column("")), rows)]
    if found["assumptions"]:
        title = "Why not" if kind == "none" else "Assumptions"
        shown.append(prose(*found["assumptions"], title=title))
    return shown


def _sharing(sharing: str) -> str:
    return "all positions" if sharing == "shared" else "none: each position has its own"
