"""What a report is made of, before it becomes a terminal screen or a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "good", "warn", "bad", "dim", "strong", "code"]


@dataclass(frozen=True)
class Text:
    """A piece of text with a tone; renderers choose the colour, the words must do without."""

    text: str
    tone: Tone = "plain"


Cell = str | Text


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand to the right."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under headings; columns without any heading are drawn without a head."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Prose:
    """Lines of text, each a tuple of pieces on one line.

    `verbatim` keeps the spacing; `minor` is a part of the block above.
    """

    lines: tuple[tuple[Cell, ...], ...]
    title: str = ""
    verbatim: bool = False
    minor: bool = False


Block = Table | Prose


def prose(*lines: Cell | tuple[Cell, ...], title: str = "") -> Prose:
    """Lines given one by one, a single piece as it is."""
    return Prose(tuple(x if isinstance(x, tuple) else (x,) for x in lines), title)


def piece(cell: Cell) -> Text:
    """A cell as a `Text`."""
    return cell if isinstance(cell, Text) else Text(cell)
