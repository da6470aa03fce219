"""What each choice of inputs costs by theory, against the tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.figures.base import AVI, FVI, GREY, INK, Drawing
from avi_theory.results.listing import Choices
from avi_theory.results.words import by_position

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = {"exact": "o", "upper": "v", "lower": "^"}
LABELS = {"exact": "exact", "upper": "upper bound", "lower": "lower bound"}


def _draw(figure: Figure, found: Choices) -> None:
    axes = figure.subplots()
    at = [k for k, c in enumerate(found.choices) if c.gap_per_latent is not None]
    gaps = [found.choices[k].gap_per_latent or 0.0 for k in at]
    positive = [g for g in gaps if g > 0]
    floor = 0.3 * min([*positive, found.tolerance or 1.0]) if positive else 1e-3
    heights = [max(g, floor) for g in gaps]
    axes.plot(at, heights, "-", color=FVI, zorder=1)
    for kind, marker in MARKERS.items():
        own = [i for i, k in enumerate(at) if found.choices[k].kind == kind]
        if own:
            axes.plot(
                [at[i] for i in own],
                [heights[i] for i in own],
                marker,
                color=FVI,
                markersize=7,
                markeredgecolor=INK,
                label=f"predicted, {LABELS[kind]}",
            )
    for k, gap, height in zip(at, gaps, heights, strict=True):
        if gap <= 0:
            axes.annotate("0", (k, height), (0, 7), textcoords="offset points", ha="center")
    for k, choice in enumerate(found.choices):
        if choice.gap_per_latent is None:
            axes.text(k, floor, "not known", color=GREY, rotation=90, ha="center", va="bottom")
    if found.tolerance > 0:
        label = f"tolerance {found.tolerance:g}"
        axes.axhline(found.tolerance, color=AVI, linestyle="--", linewidth=1.4, label=label)
    if found.smallest in found.choices:
        chosen = found.choices.index(found.smallest)
        axes.axvline(chosen, color=GREY, linewidth=6, alpha=0.25, zorder=0)
    if positive:
        axes.set_yscale("log")
    axes.set_xticks(range(len(found.choices)), [_label(c.inputs) for c in found.choices])
    axes.set_xlim(-0.5, len(found.choices) - 0.5)
    axes.set_xlabel("what the inference function sees")
    axes.set_ylabel("amortization gap per latent (nats)")
    axes.set_title(f"{found.model}: the price of each choice of inputs")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right")


def _label(inputs: tuple[str, ...]) -> str:
    """Few inputs one below the other, many by their ends."""
    if not inputs:
        return "nothing"
    ordered = by_position(inputs)
    if len(ordered) <= 3:
        return "\n".join(ordered)
    return f"{ordered[0]}\n…\n{ordered[-1]}\n({len(ordered)} inputs)"


WINDOW = Drawing(
    "window",
    "The predicted gap per latent for each choice of inputs, against the tolerance.",
    lambda result: isinstance(result, Choices),
    _draw,
)
