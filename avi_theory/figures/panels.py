"""Panels that several figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from avi_theory.figures.base import AVI, FVI, GREY, INK, PALE, THEORY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 1e-12
"""Nats below which a trace is at its end."""


def bars(axes: Axes, rows: Sequence[tuple[str, float | None, float | None, str, str]]) -> None:
    """Named gaps as horizontal bars with their numbers; an unknown one says so.

    Args:
        axes: where.
        rows: name, value, standard error, kind (exact, upper, lower, none), colour.
    """
    known = [v for _, v, _, _, _ in rows if v is not None]
    reach = max([abs(v) + 3 * (e or 0) for _, v, e, _, _ in rows if v is not None] + [0.0]) or 1.0
    low = min([*known, 0.0])
    for k, (_, value, error, kind, colour) in enumerate(rows):
        if value is None:
            axes.text(0.01 * reach, k, "not known", va="center", color=GREY, style="italic")
            continue
        axes.barh(k, value, height=0.55, color=colour, edgecolor=INK, linewidth=0.6)
        if error:
            axes.errorbar(value, k, xerr=3 * error, color=INK, capsize=2.5, linewidth=1)
        sign = {"upper": "≤ ", "lower": "≥ "}.get(kind, "")
        text = sign + number(value) + (f" ± {error:.1g}" if error else "")
        axes.text(max(value, 0.0) + 3 * (error or 0) + 0.02 * reach, k, text, va="center")
    axes.set_yticks(range(len(rows)), [r[0] for r in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(min(0.0, 1.2 * low), 1.45 * reach)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("nats")


def number(value: float) -> str:
    """A gap on a label: zero is zero.

    Example:
        >>> number(2e-11), number(3.14159), number(0.000123)
        ('0', '3.142', '0.000123')
    """
    return "0" if abs(value) < 1e-9 else f"{value:.4g}"


def agreement(
    axes: Axes,
    measured: float | None,
    error: float | None,
    predicted: float | None,
    kind: str,
    size: float,
) -> None:
    """The predicted gap as a line, the measured one as a point with three standard errors.

    Args:
        axes: where.
        measured: in nats.
        error: its standard error, in nats.
        predicted: in nats.
        kind: exact, upper, lower or none.
        size: of the ELBO in nats, for a scale on which rounding is not seen as a gap.
    """
    values = [v for v in (measured, predicted) if v is not None]
    if not values:
        axes.text(0.5, 0.5, "no numbers", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    spread = max(values) - min(values)
    span = max(1.5 * spread, 5 * (error or 0), 0.25 * max(map(abs, values)), 2e-6 * (1 + size))
    middle = 0.5 * (max(values) + min(values))
    axes.set_xlim(middle - span, middle + span)
    if predicted is not None:
        label = {"upper": "predicted, upper bound", "lower": "predicted, lower bound"}.get(
            kind, "predicted"
        )
        axes.axvline(predicted, 0, 0.68, color=THEORY, linestyle="--", linewidth=1.4, label=label)
        if kind in ("upper", "lower"):
            edge = axes.get_xlim()[0 if kind == "upper" else 1]
            left, right = sorted((predicted, edge))
            axes.axvspan(left, right, 0, 0.68, color=PALE, alpha=0.6, linewidth=0)
    if measured is not None:
        axes.errorbar(
            measured,
            -0.35,
            xerr=3 * error if error else None,
            fmt="o",
            color=AVI,
            markeredgecolor=INK,
            ecolor=INK,
            capsize=3,
            markersize=8,
            label="measured (±3 s.e.)" if error else "measured",
        )
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("amortization gap (nats)")
    axes.legend(loc="upper center", ncols=2, handlelength=1.6)


def traces(axes: Axes, found: Mapping[str, Sequence[float]], gap: float | None = None) -> None:
    """How far each run is below the best ELBO, iteration by iteration, on logarithmic scales.

    Args:
        axes: where.
        found: per run (``fvi``, ``avi``) the ELBO after each iteration, in nats.
        gap: the predicted amortization gap, where A-VI must end.
    """
    runs = {k: np.asarray(v, float) for k, v in found.items() if len(v)}
    finite = [v[np.isfinite(v)] for v in runs.values()]
    finite = [v for v in finite if len(v)]
    if not finite:
        axes.text(0.5, 0.5, "no traces kept", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    best = max(float(v.max()) for v in finite)
    styles = {"fvi": ("F-VI", FVI, "-"), "avi": ("A-VI", AVI, "-")}
    shown = []
    for name, elbo in runs.items():
        label, colour, line = styles[name]
        below = np.where(best - elbo > FLOOR, best - elbo, np.nan)
        shown.append(below)
        marker = "o" if len(elbo) < 30 else None
        steps = np.arange(1, len(elbo) + 1)
        axes.plot(steps, below, line, color=colour, label=label, marker=marker, markersize=3.5)
    if gap is not None and gap > 1e-6:
        axes.axhline(gap, color=THEORY, linestyle="--", linewidth=1.2, label="predicted gap")
        shown.append(np.asarray([gap]))
    axes.set_yscale("log")
    if max(len(v) for v in runs.values()) > 60:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", integer=True)
    seen = np.concatenate([v[np.isfinite(v)] for v in shown])
    if len(seen):
        axes.set_ylim(0.4 * max(float(seen.min()), 1e-9), 3 * max(float(seen.max()), 1e-9))
    axes.set_xlabel("iteration")
    axes.set_ylabel("nats below the best ELBO")
    axes.legend(loc="best")
