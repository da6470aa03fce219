"""The gallery at a glance, and the choices of inputs side by side."""

from __future__ import annotations

from avi_theory.report.blocks import Block, Column, Table, Text, prose
from avi_theory.report.check import TONES
from avi_theory.report.numbers import listed, nats
from avi_theory.results.files import Files
from avi_theory.results.listing import Choices, Listing


def gallery(found: Listing) -> list[Block]:
    """The models of the gallery."""
    rows = tuple(
        (Text(m.name, "strong"), m.title, Text(m.closes, TONES[m.closes]))
        if m.closes in TONES
        else (Text(m.name, "strong"), m.title, m.closes)
        for m in found.models
    )
    return [Table((Column("model"), Column("title"), Column("closes")), rows)]


def choices(found: Choices) -> list[Block]:
    """What each choice of inputs costs, and the smallest that is good enough."""
    smallest = found.smallest
    rows = tuple(
        (
            listed(c.inputs),
            nats(c.gap_per_latent, c.standard_error, c.kind),
            c.kind,
            Text("smallest within the tolerance", "good") if c == smallest else "",
        )
        for c in found.choices
    )
    columns = (Column("inputs"), Column("nats per latent", True), Column("kind"), Column(""))
    result: list[Block] = [Table(columns, rows, title="What each choice of inputs costs")]
    if not smallest:
        result.append(prose(Text("No choice is known to stay within the tolerance.", "warn")))
    told = smallest or (found.choices[-1] if found.choices else None)
    if told is not None and told.assumptions:
        why = "Why there is no number" if told.kind == "none" else "Assumptions"
        result.append(prose(*told.assumptions, title=f"{why} ({listed(told.inputs)})"))
    return result


def files(found: Files) -> list[Block]:
    """Files that were written."""
    return [prose(*(f"wrote {path}" for path in found.files))]
