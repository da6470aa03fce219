"""Blocks as HTML: a fragment for notebooks, or one self-contained page with its figures inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Table, piece

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("avi_theory.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.filters["piece"] = piece
    return environment


def fragment(blocks: Iterable[Block]) -> str:
    """The blocks as HTML that can stand in a notebook."""
    return _environment().get_template("fragment.html.j2").render(blocks=list(blocks))


def page(title: str, blocks: Iterable[Block], figures: Sequence[tuple[str, str]] = ()) -> str:
    """One HTML file that needs nothing else: no scripts, no style sheets, no images.

    Args:
        title: of the page.
        blocks: what it says.
        figures: captions and SVG documents, drawn inline.
    """
    from jinja2.utils import markupsafe

    drawn = [
        (caption, markupsafe.Markup(inline(svg, k))) for k, (caption, svg) in enumerate(figures)
    ]
    template = _environment().get_template("page.html.j2")
    return template.render(title=title, blocks=list(blocks), figures=drawn)


def inline(svg: str, number: int = 0) -> str:
    """An SVG document as an element of a page: no prologue, and identifiers of its own.

    Example:
        >>> inline('<?xml version="1.0"?><svg><g id="a"/><use href="#a"/></svg>', 2)
        '<svg><g id="f2-a"/><use href="#f2-a"/></svg>'
    """
    body = svg[svg.index("<svg") :].strip()
    body = re.sub(r'\bid="([^"]+)"', rf'id="f{number}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#f{number}-\1"', body)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#f{number}-\1)", body)
