"""A verdict as a reader wants it: the answer, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avi_theory.report.blocks import Block, Column, Prose, Table, Text, Tone, prose
from avi_theory.report.numbers import listed

VERDICTS: Mapping[str, tuple[Tone, str]] = {
    "own": ("good", "yes, from each unit's own observations"),
    "inputs": ("good", "yes, with the further inputs listed below"),
    "component": ("good", "yes, at the level of an outer unit"),
    "no": ("bad", "no, not from any bounded set of inputs"),
    "unknown": ("warn", "not decided"),
}

TONES: Mapping[str, Tone] = {"holds": "good", "fails": "bad", "unknown": "warn"}


def blocks(found: Mapping[str, Any]) -> list[Block]:
    """The whole report."""
    tone, words = VERDICTS[found["closes"]]
    simple = "" if found["simple_hierarchical"] else "not "
    unit = f", unit {listed(found['unit'])}" if found["unit"] else ""
    head = prose(
        ("Can amortization be lossless?  ", Text(words, tone), f" ({found['closes']})"),
        Text(f"{simple}a simple hierarchical model{unit}; evidence {found['evidence']}", "dim"),
        title=found["model"],
    )
    result: list[Block] = [head, local_table(found), conditions(found)]
    if found.get("witness"):
        result.append(witness(found["witness"]))
    if found["advice"]:
        result.append(prose(*found["advice"], title="What to do"))
    return result


def local_table(found: Mapping[str, Any]) -> Table:
    """Each local latent: what its optimal factor depends on."""
    rows = []
    for name, local in found["locals"].items():
        factor = local.get("optimal_factor")
        rows.append(
            (
                name,
                local["closes"],
                listed(local["inputs"]),
                listed(local["interacts_with"], "–"),
                listed(local["edges"], "–"),
                factor["text"] if factor else "no closed form",
            )
        )
    heads = ("local", "closes", "inputs", "touches", "edges", "optimal factor")
    return Table(tuple(Column(h) for h in heads), tuple(rows), title="What q(z) must see")


def conditions(found: Mapping[str, Any]) -> Table:
    """Each condition, its verdict and the reason."""
    rows = tuple(
        (
            str(c["name"]),
            Text(str(c["verdict"]), TONES.get(str(c["verdict"]).lower(), "plain")),
            str(c["because"]),
            Text(str(c["reference"]), "dim"),
        )
        for c in found["conditions"]
    )
    heads = ("condition", "verdict", "because", "reference")
    return Table(tuple(Column(h) for h in heads), rows, title="Why")


def witness(found: Mapping[str, Any]) -> Prose:
    """The two positions that prove a `no`."""
    lines: list[str] = []
    positions, optima = found.get("positions") or [], found.get("optima") or []
    where = " of two data sets" if found.get("other_data") else ""
    lines.append(
        f"Positions {listed(positions)}{where} have the same inputs {listed(found.get('inputs'))}"
        + (f" within ±{found['window']}" if found.get("window") is not None else "")
        + ", but different optimal factors:"
    )
    for position, optimum in zip(positions, optima, strict=False):
        lines.append(f"  at {position}: {_optimum(optimum)}")
    if found.get("how"):
        lines.append(str(found["how"]))
    return prose(*lines, title="Witness")


def _optimum(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {_optimum(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_optimum(v) for v in value) + ")"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
