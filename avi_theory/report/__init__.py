"""Results as a reader wants them: on the terminal, as text, as HTML.

A view turns a result into blocks; a renderer turns blocks into a medium.  One
entry in `VIEWS` gives a new kind of result all media.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from avi_theory.report import (
    check,
    comparison,
    gaps,
    listing,
    measurement,
    model,
    prediction,
    reproduction,
    training,
    trial,
)
from avi_theory.report.blocks import Block, Column, Prose, Table, Text, prose

if TYPE_CHECKING:
    from rich.console import RenderableType

    from avi_theory.results.base import Result
    from avi_theory.results.report import Step

__all__ = [
    "VIEWS",
    "Block",
    "Column",
    "Prose",
    "Table",
    "Text",
    "html",
    "markdown",
    "page",
    "prose",
    "screen",
    "text",
    "view",
]

View = Callable[[Any], list[Block]]

VIEWS: Mapping[str, View] = {
    "Choices": listing.choices,
    "Comparison": comparison.blocks,
    "Files": listing.files,
    "Gaps": gaps.blocks,
    "Listing": listing.gallery,
    "Measurement": measurement.blocks,
    "Portrait": model.blocks,
    "Prediction": prediction.blocks,
    "Report": check.blocks,
    "Reproduction": reproduction.blocks,
    "Sandwich": gaps.sandwich,
    "Training": training.blocks,
    "Trial": trial.blocks,
}
"""The name of a result's class, and how it is shown."""


def view(result: Result) -> list[Block]:
    """What a result says, before it becomes a medium."""
    return VIEWS[type(result).__name__](result)


def screen(result: Result, steps: tuple[Step, ...] = ()) -> RenderableType:
    """A result for a rich console, with a derivation below it if there is one."""
    from avi_theory.report.terminal import screen as render

    return render([*view(result), *check.explanation(steps)])


def text(result: Result) -> str:
    """A result as plain text."""
    from avi_theory.report.terminal import plain_text

    return plain_text(view(result))


def html(result: Result) -> str:
    """A result as an HTML fragment."""
    from avi_theory.report.hypertext import fragment

    return fragment(view(result))


def markdown(
    title: str,
    result: Result,
    figures: Sequence[tuple[str, str]] = (),
    steps: tuple[Step, ...] = (),
) -> str:
    """A result as a Markdown page, for keeping under version control.

    Args:
        title: of the page.
        result: what it shows.
        figures: pairs of a caption and a file's name beside the page.
        steps: a derivation to add.
    """
    from avi_theory.report.marked import markdown as render

    return render(title, [*view(result), *check.explanation(steps)], figures)


def page(
    title: str,
    result: Result,
    figures: Sequence[tuple[str, str]] = (),
    steps: tuple[Step, ...] = (),
) -> str:
    """A result as one self-contained HTML page.

    Args:
        title: of the page.
        result: what it shows.
        figures: pairs of a caption and an SVG.
        steps: a derivation to add.
    """
    from avi_theory.report.hypertext import page as render

    return render(title, [*view(result), *check.explanation(steps)], figures)
