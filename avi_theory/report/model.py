"""A declared model as a reader wants it: what it says, its equation, its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from avi_theory.report.blocks import Block, Prose, Text, prose

if TYPE_CHECKING:
    from avi_theory.results.portrait import Portrait


def blocks(result: Portrait) -> list[Block]:
    """The whole portrait."""
    found = result.to_dict()
    name = Text(
        f"{found['model']}: {found['title']}" if found["title"] else found["model"], "strong"
    )
    shown: list[Block] = [prose(name)]
    for title, body in (
        ("About", found["about"]),
        ("Text", found["text"]),
        ("Equation (LaTeX)", found["equation"]),
    ):
        if body:
            shown.append(_verbatim(title, body))
    arrows = "\n".join(_arrows(found["graph"]))
    shown.append(_verbatim("Graph", arrows))
    if found["references"]:
        shown.append(prose(*found["references"], title="References"))
    return shown


def _verbatim(title: str, body: str) -> Prose:
    return Prose(tuple((line,) for line in body.strip().splitlines()), title, True)


def _arrows(graph: Mapping[str, Any]) -> list[str]:
    lines: dict[str, list[str]] = {}
    for parent, child in graph["edges"]:
        lines.setdefault(child, []).append(parent)
    drawn = [f"{', '.join(parents)} → {child}" for child, parents in lines.items()]
    drawn += [f"{a} — {b}" for a, b in graph["ties"]]
    alone = {n["name"] for n in graph["nodes"]} - {x for e in graph["edges"] for x in e}
    return drawn + sorted(alone - {x for t in graph["ties"] for x in t})
