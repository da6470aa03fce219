"""The model's graph at a generic index point, with its plates."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from avi_theory.figures.base import GREY, INK, PALE, Drawing
from avi_theory.figures.layout import crossed, plates, positions
from avi_theory.results.portrait import Node, Portrait

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

RADIUS = 0.3
GREEK = re.compile(
    "alpha|beta|[Gg]amma|[Dd]elta|epsilon|zeta|eta|[Tt]heta|iota|kappa|[Ll]ambda|mu|nu|[Xx]i|[Pp]i|"
    "rho|[Ss]igma|tau|[Uu]psilon|[Pp]hi|chi|[Pp]si|[Oo]mega"
)


def label(name: str) -> str:
    r"""A name as mathematics.

    Example:
        >>> label("z[t-1]"), label("mu"), label("decoder")
        ('$z_{t-1}$', '$\\mu$', '$\\mathrm{decoder}$')
    """
    base, _, index = name.partition("[")
    stem = re.fullmatch(r"([A-Za-z]+?)_?(\d*)", base)
    word, digits = (stem[1], stem[2]) if stem else (base.replace("_", r"\_"), "")
    head = word if len(word) == 1 else rf"\mathrm{{{word}}}"
    if GREEK.fullmatch(word):
        head = f"\\{word}"
    lower = ",".join(x for x in (digits, index.rstrip("]")) if x)
    return f"${head}_{{{lower}}}$" if lower else f"${head}$"


def _draw(figure: Figure, found: Portrait) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    axes = figure.subplots()
    at = positions(found)
    boxes = plates(found, at)
    for plate in boxes:
        left, bottom, right, top = plate.box
        box = FancyBboxPatch(
            (left, bottom),
            right - left,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=0.12",
            fill=False,
            edgecolor=GREY,
            linewidth=1,
        )
        axes.add_patch(box)
        side = "left" if plate.labelled_left else "right"
        corner = (left + 0.07 if plate.labelled_left else right - 0.07, bottom + 0.04)
        axes.text(*corner, f"${plate.letter}$", ha=side, va="bottom", color=GREY, fontsize=10)
    shapes = {n.name: _shape(axes, n, at[n.name]) for n in found.nodes}
    for parent, child in found.edges:
        arrow = FancyArrowPatch(
            at[parent],
            at[child],
            arrowstyle="-|>",
            mutation_scale=13,
            patchA=shapes[parent],
            patchB=shapes[child],
            color=INK,
            linewidth=1.1,
            connectionstyle=f"arc3,rad={0.33 if crossed(found, at, (parent, child)) else 0}",
        )
        axes.add_patch(arrow)
    for a, b in found.ties:
        axes.plot(*zip(at[a], at[b], strict=True), color=INK, linewidth=1.1, zorder=0.5)
    xs, ys = [p[0] for p in at.values()], [p[1] for p in at.values()]
    axes.set_xlim(min(xs) - 0.8, max(xs) + 0.8)
    axes.set_ylim(min(ys) - 1.1, max(ys) + 0.7)
    axes.set_aspect("equal")
    axes.set_axis_off()
    title = textwrap.fill(found.title or found.model, int(11 * figure.get_figwidth()))
    axes.set_title(title, loc="center")
    foot = "white: latent   grey: observed   square: known"
    middle = 0.5 * (min(xs) + max(xs))
    lowest = min([min(ys) - RADIUS, *(p.box[1] for p in boxes)])
    axes.text(middle, lowest - 0.12, foot, ha="center", va="top", color=GREY, fontsize=8)


def _shape(axes: Axes, node: Node, at: tuple[float, float]) -> Patch:
    from matplotlib.patches import Circle, FancyBboxPatch

    fill = PALE if node.role == "observed" else "white"
    width = 1.6 if node.role == "local" else 1.0
    shape: Patch
    if node.role in ("given", "network"):
        side = 0.44
        corner = (at[0] - side / 2, at[1] - side / 2)
        shape = FancyBboxPatch(corner, side, side, boxstyle="square,pad=0", facecolor="white")
        if node.role == "network":
            shape.set_linestyle("--")
    else:
        shape = Circle(at, RADIUS, facecolor=fill)
    shape.set_edgecolor(INK)
    shape.set_linewidth(width)
    shape.set_zorder(2)
    axes.add_patch(shape)
    text = label(node.name)
    long = len(re.sub(r"\\mathrm|[${}_\\]", "", text))
    axes.text(*at, text, ha="center", va="center", fontsize=11 if long < 6 else 7.5, zorder=3)
    return shape


def _size(found: Portrait) -> tuple[float, float]:
    at = positions(found)
    xs, ys = [p[0] for p in at.values()], [p[1] for p in at.values()]
    return max(3.4, 1.1 * (max(xs) - min(xs) + 1.8)), 1.1 * (max(ys) - min(ys) + 2.2)


GRAPH = Drawing(
    "graph",
    "The model at a generic index point; boxes are repeated along their index.",
    lambda result: isinstance(result, Portrait),
    _draw,
    _size,
)
