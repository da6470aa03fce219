"""A declared model seen from outside: its text, its equation, its graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avi_theory.results.base import Result
from avi_theory.results.shown import Shown


@dataclass(frozen=True)
class Node(Result):
    """A node of the graph: a variable or a covariate at a generic index point.

    Attributes:
        name: as written, ``z[t-1]``.
        role: global, local, observed, given or network.
        letters: the plates it lies on, outermost first.
        offset: how far it lies from the generic point along its last index (−1 for ``z[t-1]``).
    """

    name: str
    role: str
    letters: tuple[str, ...] = ()
    offset: int = 0


@dataclass(frozen=True)
class Portrait(Shown):
    """What `avi show` answers.

    Attributes:
        model, title, about, references: as the file says.
        text: the statements; equation: the same in LaTeX.
        nodes: of the graph.
        edges: pairs of names, parent first; a potential ties its members without direction.
        ties: pairs of names that a potential holds together.
    """

    model: str
    title: str
    about: str
    references: tuple[str, ...]
    text: str
    equation: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    ties: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the graph under one key."""
        found = super().to_dict()
        graph = {k: found.pop(k) for k in ("nodes", "edges", "ties")}
        return {**found, "graph": graph}

    @property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Every node that has parents, with their names."""
        children = dict.fromkeys(child for _, child in self.edges)
        return {c: tuple(p for p, child in self.edges if child == c) for c in children}
