"""The proof that no function of the inputs can do: equal inputs, different optimal factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from avi_theory.figures.base import AVI, FVI, GREY, INK, Drawing
from avi_theory.results.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _accepts(result: Any) -> bool:
    return (
        isinstance(result, Report)
        and result.witness is not None
        and any(np.ndim(v) == 1 for v in result.witness.data.values())
    )


def _draw(figure: Figure, found: Report) -> None:
    assert found.witness is not None
    witness = found.witness
    sets: list[Mapping[str, Any]] = [witness.data]
    if witness.other_data is not None:
        sets.append(witness.other_data)
    series = [next(v for v in s.values() if np.ndim(v) == 1) for s in sets]
    name = next(k for k, v in witness.data.items() if np.ndim(v) == 1)
    axes = figure.subplots()
    for k, values in enumerate(series):
        label = f"{name}, data set {'ab'[k]}" if len(series) > 1 else name
        steps = np.arange(1, len(values) + 1)
        marker = "os"[k]
        axes.plot(steps, values, marker, color=(FVI, GREY)[k], markersize=5, label=label, zorder=2)
        axes.vlines(steps, 0, values, color=(FVI, GREY)[k], linewidth=1, zorder=1)
    low, high = _room(np.concatenate([np.asarray(s, float) for s in series]))
    axes.set_ylim(low, high)
    for k, (position, optimum) in enumerate(zip(witness.positions, witness.optima, strict=True)):
        at, height = _last(position), high - (0.08 + 0.13 * k) * (high - low)
        ends = (at - witness.window - 0.3, at + witness.window + 0.3)
        axes.plot(ends, (height, height), color=AVI, linewidth=4, solid_capstyle="butt")
        axes.plot([at, at], [0, height], ":", color=INK, linewidth=1, zorder=0)
        axes.plot(at, height, "o", color=AVI, markeredgecolor=INK, markersize=7)
        text = f" optimum {_number(optimum)}"
        axes.text(ends[1], height, text, va="center", color=INK, fontsize=8.5)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("position")
    axes.set_ylabel("observation")
    axes.set_title(f"{found.model}: the inputs under both bars agree, the optima differ")
    if len(series) > 1:
        axes.legend(loc="lower right")


def _room(values: np.ndarray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    span = (high - low) or 1.0
    return low - 0.08 * span, high + 0.5 * span


def _last(position: Any) -> float:
    return float(position[-1] if isinstance(position, (list, tuple)) else position)


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(_number(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_number(v) for v in value) + ")"
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value)


WITNESS = Drawing(
    "witness",
    "The witness: two positions whose inputs agree and whose optimal factors do not.",
    _accepts,
    _draw,
    (6.4, 3.0),
)
