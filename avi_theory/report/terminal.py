"""Blocks as a terminal screen, by rich."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text as RichText

from avi_theory.report.blocks import Block, Cell, Prose, Table, piece

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100
"""Columns of a screen that is not a terminal."""

STYLES = {
    "plain": "",
    "good": "bold green",
    "warn": "bold yellow",
    "bad": "bold red",
    "dim": "dim",
    "strong": "bold",
    "code": "",
}


def screen(blocks: Iterable[Block]) -> RenderableType:
    """All blocks, one below the other."""
    parts: list[RenderableType] = []
    for block in blocks:
        if parts:
            parts.append(RichText(""))
        if block.title:
            minor = isinstance(block, Prose) and block.minor
            parts.append(RichText(block.title, style="bold" if minor else "bold underline"))
        parts.append(_table(block) if isinstance(block, Table) else _prose(block))
    return Group(*parts)


def plain_text(blocks: Iterable[Block], width: int = WIDTH) -> str:
    """The same without colours, as a string."""
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False)
    console.print(screen(blocks))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _cell(cell: Cell) -> RichText:
    found = piece(cell)
    return RichText(found.text, style=STYLES[found.tone])


def _prose(block: Prose) -> RichText:
    lines = [RichText.assemble(*(_cell(c) for c in line)) for line in block.lines]
    text = RichText("\n").join(lines)
    if block.verbatim:
        text.no_wrap, text.overflow = True, "ignore"
    return text


def _table(block: Table) -> RichTable:
    headed = any(c.name for c in block.columns)
    table = RichTable(
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in block.columns:
        side = "right" if column.number else "left"
        table.add_column(column.name, justify=side, no_wrap=column.number)  # type: ignore[arg-type]
    for row in block.rows:
        table.add_row(*(_cell(c) for c in row))
    return table
