"""Blocks as Markdown, for pages that are kept under version control."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from avi_theory.report.blocks import Block, Cell, Prose, Table, piece


def markdown(title: str, blocks: Iterable[Block], figures: Sequence[tuple[str, str]] = ()) -> str:
    """A page.

    Args:
        title: its heading.
        blocks: one below the other.
        figures: pairs of a caption and a file's name, shown below the first block.
    """
    parts = [f"# {title}"]
    pictures = [f"![{caption}]({name})" for caption, name in figures]
    for k, block in enumerate(blocks):
        if block.title and not block.title.startswith(title):
            parts.append(f"## {block.title}")
        parts.append(_table(block) if isinstance(block, Table) else _prose(block))
        if k == 0:
            parts.extend(pictures)
    return "\n\n".join(parts) + "\n"


def _prose(block: Prose) -> str:
    lines = ["".join(_plain(c) for c in line).strip() for line in block.lines]
    return "\n\n".join(line for line in lines if line)


def _table(block: Table) -> str:
    head = "| " + " | ".join(c.name for c in block.columns) + " |"
    rule = "|" + "|".join("---:" if c.number else "---" for c in block.columns) + "|"
    rows = ["| " + " | ".join(_cell(c) for c in row) + " |" for row in block.rows]
    return "\n".join([head, rule, *rows])


def _cell(cell: Cell) -> str:
    return _plain(cell).replace("|", "\\|").replace("\n", " ")


def _plain(cell: Cell) -> str:
    """The text, with the stars of products kept from turning into emphasis."""
    return piece(cell).text.replace("*", "\\*")
