"""The verdict on one local, and how verdicts compare."""

from __future__ import annotations

from dataclasses import dataclass

from avi_theory.symbolic.components import Component, Link
from avi_theory.symbolic.entries import Input

ORDER = ("own", "inputs", "component", "unknown", "no")
"""Verdicts from best to worst."""


@dataclass(frozen=True)
class LocalVerdict:
    """The verdict on one local variable.

    Attributes:
        name: of the local.
        closes: one of `ORDER`.
        inputs: as the contract writes them, sorted.
        needed: the same as expressions.
        interacts_with: locals at other index points, or other locals at the same point.
        edges: positions whose form differs.
        unit: letters of the index tuple inside which the component lies.
        component: the component; None if unknown.
        links: the interactions of the local itself.
        stuck: what could not be decided, or "".
        randomised: whether some absent interaction holds only with probability one.
        parts: the parts of the local's index that have different densities, as ``1:L``.
    """

    name: str
    closes: str
    inputs: tuple[str, ...]
    needed: tuple[Input, ...] = ()
    interacts_with: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    component: Component | None = None
    links: tuple[Link, ...] = ()
    stuck: str = ""
    randomised: bool = False
    parts: tuple[str, ...] = ()
