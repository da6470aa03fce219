"""Where the nodes of a graph go: globals on top, then locals, observations at the bottom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from avi_theory.results.portrait import Node, Portrait

SWEEPS = 12
MARGIN, NESTING, FOOT = 0.46, 0.16, 0.08
ACROSS, DOWN = 1.15, 1.25
CLEARANCE = 0.34


def rows(found: Portrait) -> Mapping[str, int]:
    """The row of each node, 0 on top.

    Locals stand below what they depend on at the same index point; neighbours of one variable
    (``z[t-1]``, ``z[t]``) share a row; observations share the last one, covariates their child's.
    """
    nodes = {n.name: n for n in found.nodes}
    depth = {n.name: 0 if n.role in ("global", "network") else 1 for n in found.nodes}
    below = [
        (a, b)
        for a, b in found.edges
        if nodes[a].role == nodes[b].role == "local" and nodes[a].offset == nodes[b].offset
    ]
    for _ in below:
        for a, b in below:
            if _variable(a) != _variable(b):
                depth[b] = max(depth[b], depth[a] + 1)
    for n in found.nodes:
        twins = [m.name for m in found.nodes if _variable(m.name) == _variable(n.name)]
        depth[n.name] = max(depth[t] for t in twins)
    last = 1 + max([d for name, d in depth.items() if nodes[name].role == "local"], default=0)
    for n in found.nodes:
        if n.role == "observed":
            depth[n.name] = last
    for n in found.nodes:
        children = [b for a, b in found.edges if a == n.name]
        if n.role == "given" and children:
            depth[n.name] = min(depth[c] for c in children)
    return depth


def positions(found: Portrait) -> Mapping[str, tuple[float, float]]:
    """Coordinates of each node: rows as above, each node near its neighbours."""
    depth = rows(found)
    levels: dict[int, list[Node]] = {}
    for n in found.nodes:
        levels.setdefault(depth[n.name], []).append(n)
    order = {letter: k for k, letter in enumerate(_letters(found))}
    x: dict[str, float] = {}
    for level in levels.values():
        level.sort(key=lambda n: (_band(n, order), n.role == "given", n.offset))
        for k, n in enumerate(level):
            x[n.name] = k - (len(level) - 1) / 2
    joined = [*found.edges, *found.ties]
    near: dict[str, list[str]] = {n.name: [] for n in found.nodes}
    for a, b in joined:
        near[a].append(b)
        near[b].append(a)
    for _ in range(SWEEPS):
        for level in levels.values():
            wanted = [
                sum(x[m] for m in near[n.name]) / len(near[n.name]) if near[n.name] else x[n.name]
                for n in level
            ]
            for n, at in zip(level, _spaced(wanted), strict=True):
                x[n.name] = at
    return {n.name: (ACROSS * x[n.name], -DOWN * depth[n.name]) for n in found.nodes}


def _spaced(wanted: list[float]) -> list[float]:
    """Places in the given order, at least one apart, with the mean where it was wanted."""
    placed: list[float] = []
    for at in wanted:
        placed.append(max(at, placed[-1] + 1) if placed else at)
    shift = (sum(wanted) - sum(placed)) / len(placed)
    return [p + shift for p in placed]


def _letters(found: Portrait) -> list[str]:
    return list(dict.fromkeys(letter for n in found.nodes for letter in n.letters))


def _band(node: Node, order: Mapping[str, int]) -> float:
    if not node.letters:
        return -1.0
    return sum(order[x] for x in node.letters) / len(node.letters)


def _variable(name: str) -> str:
    return name.partition("[")[0]


@dataclass(frozen=True)
class Plate:
    """The box round the nodes of one index letter.

    Attributes:
        letter: the index.
        box: left, bottom, right, top.
        labelled_left: the letter stands in the left corner, as the right one lies in another box.
    """

    letter: str
    box: tuple[float, float, float, float]
    labelled_left: bool = False


def plates(found: Portrait, at: Mapping[str, tuple[float, float]]) -> list[Plate]:
    """One box for each index letter, outer ones with more room than those inside them."""
    members = {x: {n.name for n in found.nodes if x in n.letters} for x in _letters(found)}
    boxes: dict[str, tuple[float, float, float, float]] = {}
    for letter, names in members.items():
        xs, ys = [at[n][0] for n in names], [at[n][1] for n in names]
        pad = MARGIN + NESTING * sum(m < names for m in members.values())
        boxes[letter] = (min(xs) - pad, min(ys) - pad - FOOT, max(xs) + pad, max(ys) + pad)
    found_plates = []
    for letter, box in boxes.items():
        corner = (box[2], box[1])
        covered = any(
            b[0] < corner[0] < b[2]
            and b[1] <= corner[1] < b[3]
            and not members[o] < members[letter]
            for o, b in boxes.items()
            if o != letter and not members[letter] <= members[o]
        )
        found_plates.append(Plate(letter, box, covered))
    return found_plates


def crossed(found: Portrait, at: Mapping[str, tuple[float, float]], edge: tuple[str, str]) -> bool:
    """Whether a straight arrow would run through a third node."""
    (x0, y0), (x1, y1) = at[edge[0]], at[edge[1]]
    length = math.hypot(x1 - x0, y1 - y0)
    for n in found.nodes:
        if n.name in edge:
            continue
        x, y = at[n.name]
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        aside = abs((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
        if 0 < along < length and aside < CLEARANCE:
            return True
    return False
