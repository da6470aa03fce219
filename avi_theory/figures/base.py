"""What a figure is: a name, a caption, what it accepts, and how it is drawn on an empty canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from avi_theory.results.base import Result

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "avi-theory",
    "pdf.fonttype": 42,
}
"""The house style; applied while a figure is drawn and taken back afterwards."""

INK, GREY, PALE = "#1f1f1f", "#7d7d7d", "#d9d9d9"
FVI, AVI, THEORY = "#0b3c6f", "#e08214", "#1f1f1f"
"""Dark blue and light orange stay apart when printed in grey."""


@dataclass(frozen=True)
class Drawing:
    """One kind of figure.

    Attributes:
        name: how it is asked for.
        caption: one sentence.
        accepts: whether it can draw a result.
        draw: puts the result on an empty figure.
        size: width and height in inches.
    """

    name: str
    caption: str
    accepts: Callable[[Any], bool]
    draw: Callable[[Figure, Any], None]
    size: tuple[float, float] | Callable[[Any], tuple[float, float]] = (6.4, 4.0)


def drawn(drawing: Drawing, result: Result) -> Figure:
    """The figure on a canvas of its own; no global state of matplotlib is touched for good."""
    import matplotlib

    from avi_theory.figures.canvas import Canvas

    size = drawing.size(result) if callable(drawing.size) else drawing.size
    with matplotlib.rc_context(STYLE):
        figure = Canvas(*size)
        drawing.draw(figure, result)
    return figure


def render(drawing: Drawing, result: Result, form: str) -> bytes:
    """The figure as a file's bytes; the same result gives the same bytes.

    Args:
        drawing: one of `FIGURES`.
        result: what it accepts.
        form: svg, pdf or png.
    """
    import matplotlib

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    out = BytesIO()
    figure = drawn(drawing, result)
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format=form, dpi=200, metadata=undated[form])
    return out.getvalue()
