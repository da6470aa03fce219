"""Figures of results, by matplotlib, which is imported only when one is drawn.

One file per figure and one entry in `FIGURES`: a figure says which results it accepts, and every
result finds the figures that draw it.  `STYLE` (matplotlib settings) and the colours `FVI`, `AVI`,
`GREY` and `INK` let a figure of one's own match them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avi_theory.errors import InputError, nearest
from avi_theory.figures.base import AVI, FVI, GREY, INK, STYLE, Drawing, drawn, render
from avi_theory.figures.gap import GAP
from avi_theory.figures.graph import GRAPH
from avi_theory.figures.image_gaps import DIFFICULTY, IMAGE_GAPS, IMAGE_LADDER, WORST_IMAGES
from avi_theory.figures.ladder import LADDER
from avi_theory.figures.reproduction import REPRODUCTION
from avi_theory.figures.traces import TRACES
from avi_theory.figures.training import TRAINING
from avi_theory.figures.trial import TRIAL
from avi_theory.figures.window import WINDOW
from avi_theory.figures.witness import WITNESS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "AVI",
    "FIGURES",
    "FVI",
    "GREY",
    "INK",
    "STYLE",
    "Drawing",
    "draw",
    "fitting",
    "named",
    "render",
]

FIGURES: tuple[Drawing, ...] = (
    LADDER,
    TRACES,
    GAP,
    WINDOW,
    GRAPH,
    WITNESS,
    REPRODUCTION,
    IMAGE_LADDER,
    IMAGE_GAPS,
    WORST_IMAGES,
    DIFFICULTY,
    TRIAL,
    TRAINING,
)


def fitting(result: Any) -> tuple[Drawing, ...]:
    """The figures that can draw a result."""
    return tuple(f for f in FIGURES if f.accepts(result))


def named(name: str) -> Drawing:
    """The figure of this name.

    Raises:
        InputError: there is none.
    """
    for figure in FIGURES:
        if figure.name == name:
            return figure
    names = [f.name for f in FIGURES]
    raise InputError(f"No figure is called {name!r}. {nearest(name, names) or names}")


def draw(result: Any, name: str | None = None) -> Figure:
    """A result as a matplotlib figure.

    Args:
        result: any result.
        name: which figure, where several can draw it; by default the first.

    Raises:
        InputError: no figure of that name draws this result.
    """
    possible = fitting(result)
    chosen = [f for f in possible if name in (None, f.name)]
    if not chosen:
        what = type(result).__name__
        names = ", ".join(repr(f.name) for f in possible)
        hint = f"It has {names}." if possible else "It has none: print it instead."
        raise InputError(f"A {what} has no figure {name or ''}".rstrip() + f". {hint}")
    return drawn(chosen[0], result)
