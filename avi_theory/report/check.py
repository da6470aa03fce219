"""A verdict as a reader wants it: the answer, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avi_theory.report.blocks import Block, Cell, Column, Prose, Table, Text, Tone, prose
from avi_theory.report.numbers import listed
from avi_theory.results.base import plain
from avi_theory.results.report import SENTENCES, LocalReport, Report, Step, Witness

TONES: Mapping[str, Tone] = {
    "own": "good",
    "inputs": "good",
    "component": "good",
    "no": "bad",
    "unknown": "warn",
    "holds": "good",
    "fails": "bad",
}
"""Of verdicts on models and on conditions."""

WORDS = ("why", "they")
"""Columns of a derivation that hold words, not expressions."""


def blocks(found: Report) -> list[Block]:
    """The whole report."""
    simple = "A" if found.simple_hierarchical else "Not a"
    unit = f" with unit {listed(found.unit)}" if found.unit else ""
    head = prose(
        (Text(SENTENCES[found.closes], TONES[found.closes]), f" ({found.closes})"),
        Text(f"{simple} simple hierarchical model{unit}. Evidence: {found.evidence}.", "dim"),
        title=found.model,
    )
    result: list[Block] = [head, local_table(found)]
    result += [reasons(name, local) for name, local in found.locals.items()]
    result.append(conditions(found))
    if found.witness is not None:
        result.append(witness(found.witness))
    if found.advice:
        result.append(prose(*found.advice, title="What to do"))
    return result


def local_table(found: Report) -> Table:
    """Each local latent: what its optimal factor depends on."""
    rows: list[tuple[Cell, ...]] = [
        (
            Text(name, "strong"),
            Text(local.closes, TONES[local.closes]),
            listed(local.inputs),
            listed(local.interacts_with, "–"),
            listed(local.edges, "–"),
        )
        for name, local in found.locals.items()
    ]
    heads = ("local", "closes", "inputs", "touches", "other form at")
    return Table(tuple(Column(h) for h in heads), tuple(rows), title="What q(z) must see")


def reasons(name: str, local: LocalReport) -> Prose:
    """Why these inputs, the separated ELBO term, and the optimal factor."""
    lines: list[Cell | tuple[Cell, ...]] = list(local.because)
    if local.proof:
        lines.append(local.proof)
    if local.optimal_factor is not None:
        kind = local.optimal_factor.function_class
        lines.append(("optimal factor: ", Text(local.optimal_factor.text, "strong"), f" ({kind})"))
    else:
        lines.append(Text("optimal factor: no closed form is known", "dim"))
    return prose(*lines, title=f"Why: {name}")


def conditions(found: Report) -> Table:
    """Each condition, its verdict and the reason."""
    rows: list[tuple[Cell, ...]] = [
        (c.name, Text(c.verdict, TONES[c.verdict]), c.because, Text(c.reference, "dim"))
        for c in found.conditions
    ]
    heads = ("condition", "verdict", "because", "reference")
    return Table(tuple(Column(h) for h in heads), tuple(rows), title="Conditions")


def witness(found: Witness) -> Prose:
    """The two places that prove a `no`."""
    where = "in two data sets" if found.other_data is not None else "of one data set"
    first, second = found.positions
    lines: list[Cell | tuple[Cell, ...]] = [
        f"Positions {shown(first)} and {shown(second)} {where} agree in {listed(found.inputs)}, "
        "but their optimal factors differ:"
    ]
    for position, optimum in zip(found.positions, found.optima, strict=True):
        lines.append((f"  at {shown(position)}: ", Text(shown(plain(optimum)), "strong")))
    lines.append(Text(found.how, "dim"))
    return prose(*lines, title="Witness")


def explanation(steps: tuple[Step, ...]) -> list[Block]:
    """The derivation: what each step asks, tests and finds, and where it leads."""
    if not steps:
        return []
    intro = "Each step says what is tested, on which expressions, what comes out, and what follows."
    found: list[Block] = [prose(Text(intro, "dim"), title="Step by step")]
    for number, step in enumerate(steps, 1):
        after: list[tuple[Cell, ...]] = []
        if step.result:
            after.append((Text("Result: ", "dim"), Text(step.result, "strong")))
        if step.then:
            after.append((Text("Next: ", "dim"), step.then))
        title = f"{number}. {step.question}"
        if not step.rows:
            found.append(Prose(((step.tested,), *after), title, minor=True))
            continue
        rows = tuple(
            tuple(
                cell if head in WORDS else Text(cell, "code")
                for head, cell in zip(step.heads, row, strict=True)
            )
            for row in step.rows
        )
        found.append(Prose(((step.tested,),), title, minor=True))
        found.append(Table(tuple(Column(h) for h in step.heads), rows))
        found.append(Prose(tuple(after)))
    return found


def shown(value: Any) -> str:
    """A position or a parameter.

    Example:
        >>> shown(0.61803398), shown((1, 2)), shown({"mean": 0.5})
        ('0.618034', '(1, 2)', 'mean = 0.5')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {shown(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(shown(v) for v in value) + ")"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
