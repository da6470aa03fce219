"""Paired differences between encoders: a dot for each seed, the mean with two standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avi_theory.figures.base import AVI, FVI, GREY, INK, Drawing
from avi_theory.results.trial import QUANTITIES, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _draw(figure: Figure, found: Trial) -> None:
    names = list(dict.fromkeys(c.quantity for c in found.contrasts))
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names,
                          strict=True):  # fmt: skip
        _panel(axes, found, name)


def _panel(axes: Axes, found: Trial, quantity: str) -> None:
    arms = {a.name: a for a in found.arms}
    rows = [c for c in found.contrasts if c.quantity == quantity]
    for k, c in enumerate(rows):
        apart = np.subtract(arms[c.arm].values[quantity], arms[c.against].values[quantity])
        shift = np.linspace(-0.16, 0.16, len(apart))
        axes.plot(apart, k + shift, "o", color=FVI, markersize=3, alpha=0.6)
        axes.errorbar(
            c.difference, k, xerr=2 * c.standard_error, fmt="D", color=AVI, markersize=6,
            markeredgecolor=INK, ecolor=INK, capsize=3,
        )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{c.arm}\n− {c.against}" for c in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"difference: {QUANTITIES[quantity]}")
    axes.set_title(f"{found.name}: {quantity}")
    axes.locator_params(axis="x", nbins=5)


TRIAL = Drawing(
    "differences",
    "Adaptive encoders less their controls, seed by seed (dots), and the mean with two standard "
    "errors (diamond).",
    lambda result: isinstance(result, Trial) and bool(result.contrasts),
    _draw,
    lambda result: (
        2.2 + 3.4 * len({c.quantity for c in result.contrasts}),
        0.9 + 0.62 * len({(c.arm, c.against) for c in result.contrasts}),
    ),
)
