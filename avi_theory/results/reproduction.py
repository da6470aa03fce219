"""A published experiment beside ours: number by number, with what explains a difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from avi_theory.results.base import Result
from avi_theory.results.shown import Shown

Finding = Literal["same", "different", "not comparable", "new"]


@dataclass(frozen=True)
class Line(Result):
    """One number.

    Attributes:
        quantity: what it is, with its unit.
        published: as printed in the source, or None.
        source: where it is printed, or "".
        ours: what this run found.
        error: its standard error or half its range, in the same unit; None where it is exact.
        finding: same, different, not comparable, or new (nothing was published).
        why: what explains it.
    """

    quantity: str
    published: str | None
    source: str
    ours: float | None
    error: float | None
    finding: Finding
    why: str = ""


@dataclass(frozen=True)
class Curve(Result):
    """One line or set of points of a panel; `low` and `high` span a band."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel(Result):
    """Axes with their curves.

    Attributes:
        title, x_label, y_label: with units.
        curves: in the order of the legend.
        x_log, y_log: logarithmic axes.
        levels: published values as horizontal lines, by label.
        points: points are not joined.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_log: bool = False
    y_log: bool = False
    levels: Mapping[str, float] = field(default_factory=dict)
    points: bool = False


@dataclass(frozen=True)
class Reproduction(Shown):
    """One experiment of one paper, run again.

    Attributes:
        name: as `avi reproduce` knows it.
        title, about: what was done, in the paper and here.
        paper: its citation.
        scale: small or full.
        lines: the numbers.
        panels: of the figure.
        notes: what else a reader must know.
        provenance: seed, hardware, versions, seconds, command.
    """

    name: str
    title: str
    about: str
    paper: str
    scale: str
    lines: tuple[Line, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]
