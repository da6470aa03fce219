"""A reproduction as a reader wants it: published beside ours, and why they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Column, Table, Text, Tone, prose
from avi_theory.report.numbers import UNKNOWN

if TYPE_CHECKING:
    from avi_theory.results.reproduction import Line, Reproduction

TONES: dict[str, Tone] = {"same": "good", "different": "warn", "not comparable": "dim"}


def blocks(found: Reproduction) -> list[Block]:
    """The whole reproduction."""
    columns = (
        Column("quantity"),
        Column("published", True),
        Column("ours", True),
        Column(""),
        Column("why"),
    )
    rows = tuple(
        (
            line.quantity,
            line.published or UNKNOWN,
            number(line),
            Text(line.finding, TONES.get(line.finding, "plain")),
            line.why,
        )
        for line in found.lines
    )
    sources = dict.fromkeys(line.source for line in found.lines if line.source)
    ran = {k: str(v) for k, v in found.provenance.items()}
    return [
        prose(*found.about.split("\n"), title=f"{found.title} ({found.scale})"),
        Table(columns, rows, title="Published and found here"),
        *([prose(*found.notes, title="Notes")] if found.notes else []),
        prose(*dict.fromkeys((found.paper, *sources)), title="Sources of the published numbers"),
        Table((Column(""), Column("")), tuple(ran.items()), title="How it was run"),
    ]


def number(line: Line) -> str:
    """Our value with its error, six digits.

    Example:
        >>> from avi_theory.results.reproduction import Line
        >>> number(Line("q", None, "", 553.0141, None, "new"))
        '553.014'
        >>> number(Line("q", None, "", 2.0, 0.1, "new"))
        '2 ± 0.1'
    """
    if line.ours is None:
        return UNKNOWN
    if abs(line.ours) < 1e-9:
        return "0"
    return f"{line.ours:.6g}" + (f" ± {line.error:.2g}" if line.error else "")
