"""Steps to one per cent: both families at equal rates, many starts, beside published counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from avi_theory.reproductions.base import Progress
from avi_theory.reproductions.climb import Climb, Common, climb
from avi_theory.results.reproduction import Curve, Line, Panel

RATES = (1e-3, 1e-2, 1e-1)
FAMILIES = ("F-VI", "A-VI")
Races = Mapping[tuple[str, float], Climb]
Steps = Mapping[str, tuple[int, str]]
"""By family the published count, and the rate it belongs to, or "" where that is not told."""


def races(
    problem: Common, *, near: float, starts: int, most: int, seed: int, progress: Progress
) -> Races:
    """Both families at all rates."""
    runs = {}
    for family in FAMILIES:
        for rate in RATES:
            progress(f"{family} by Adam at rate {rate:g}, {starts} starts")
            runs[family, rate] = climb(
                problem,
                amortized=family == "A-VI",
                rate=rate,
                starts=starts,
                most=most,
                near=near,
                seed=seed,
            )
    return runs


def counted(runs: Races, published: Steps, place: str) -> list[Line]:
    """A line for each family and rate, and the ratios at equal rates."""
    lines = []
    for (family, rate), run in runs.items():
        low, high = run.span
        count, at = published[family]
        matching = at in ("", f"{rate:g}")
        lines.append(
            Line(
                f"steps to 1 %, {family} at rate {rate:g}",
                str(count) + ("" if at else " (rate not told)") if matching else None,
                place if matching else "",
                run.median,
                (high - low) / 2,
                "new" if not matching else "same" if low <= count <= high else "different",
                f"from {low:g} to {high:g} over {len(run.steps)} starts",
            )
        )
    printed = published["F-VI"][0] / published["A-VI"][0]
    rates = [at for _, at in published.values()]
    told = f" (rates {rates[0]} and {rates[1]})" if all(rates) else ""
    for rate in RATES:
        ratio = runs["F-VI", rate].median / runs["A-VI", rate].median
        near = abs(ratio / printed - 1) < 0.25
        lines.append(
            Line(
                f"F-VI's steps over A-VI's, both at rate {rate:g}",
                f"{printed:.2f}{told}",
                place,
                ratio,
                None,
                "same" if near else "different",
                "medians at one rate for both",
            )
        )
    return lines


def _shown(length: int) -> np.ndarray:
    """Steps evenly apart on a logarithmic axis."""
    return np.unique(np.geomspace(1, length, 150).round().astype(int))


def panels(runs: Races, published: Steps) -> tuple[Panel, ...]:
    """Steps against the rate, and the way of one start."""
    steps = tuple(
        Curve(
            family,
            RATES,
            tuple(runs[family, r].median for r in RATES),
            tuple(runs[family, r].span[0] for r in RATES),
            tuple(runs[family, r].span[1] for r in RATES),
        )
        for family in FAMILIES
    )
    levels = {
        f"published, {family}" + (f" at {at}" if at else ""): float(count)
        for family, (count, at) in published.items()
    }
    traces = tuple(
        Curve(f"{family} at 0.01", tuple(at.tolist()), tuple(run.trace[at - 1].tolist()))
        for family in FAMILIES
        for run in (runs[family, 1e-2],)
        for at in (_shown(len(run.trace)),)
    )
    first, second = "steps (median and range)", "loss above the optimum (nats)"
    return (
        Panel("Steps to 1 %", "learning rate", first, steps, True, True, levels),
        Panel("One start each, at equal rates", "step", second, traces, True, True),
    )
