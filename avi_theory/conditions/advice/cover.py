r"""The smallest set of latents to leave un-amortized so that no two amortized ones interact.

A vertex cover of the local-local graph: its complement is independent.  Where locals are tied at
fixed offsets the graph is invariant under shifts, and its largest independent sets can be sought
among periodic ones, :math:`\{(u, i) : (u, a \cdot i \bmod P) \in S\}`.

A finite box B of index points bounds them: averaged over its shifts, an independent set holds at
most :math:`\alpha(B) / |B|` of the members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from math import prod

from avi_theory.conditions.advice.ties import Offset, Shift, Ties

MOST_NODES = 12
"""A finite graph with more nodes is not searched."""


@dataclass(frozen=True)
class Pattern:
    """Which members stay amortized.

    Attributes:
        families: names, all with the same axes.
        step: the weights a of the index tuple.
        period: P.
        kept: for every family the residues of a·i that stay amortized.
        smallest: whether no cover leaves out a smaller share.
    """

    families: tuple[str, ...]
    step: Offset
    period: int
    kept: tuple[frozenset[int], ...]
    smallest: bool

    @property
    def share(self) -> Fraction:
        """The share of members that is left un-amortized."""
        kept = sum(len(k) for k in self.kept)
        return 1 - Fraction(kept, self.period * len(self.families))


@dataclass(frozen=True)
class Cover:
    """Whole families, and periodic parts of the others.

    Attributes:
        whole: names of families that are left un-amortized altogether.
        patterns: of the families that stay in part; only those that need it.
    """

    whole: tuple[str, ...]
    patterns: tuple[Pattern, ...]


def covers(ties: Ties, sizes: dict[str, int]) -> tuple[Cover, ...]:
    """The cheapest covers; several where sizes that nobody knows decide between them.

    Args:
        ties: the graph.
        sizes: for every family the number of its axes that grow with the data.
    """
    names = tuple(ties.families)
    if len(names) > 6:
        return ()
    found: list[tuple[tuple[int, ...], Cover]] = []
    for size in range(len(names) + 1):
        for whole in combinations(names, size):
            if all(pair & set(whole) for pair in ties.dense):
                rest = [n for n in names if n not in whole]
                patterns = _patterns(ties, rest)
                if rest and patterns is not None:
                    found.append((_cost(whole, sizes), Cover(whole, patterns)))
    least = min((cost for cost, _ in found), default=())
    return tuple(cover for cost, cover in found if cost == least)


def _cost(whole: Sequence[str], sizes: dict[str, int]) -> tuple[int, ...]:
    """How many families of each number of growing axes, the largest first."""
    degrees = [sizes[n] for n in whole]
    return tuple(degrees.count(d) for d in range(max(sizes.values()), 0, -1))


def _patterns(ties: Ties, names: Sequence[str]) -> tuple[Pattern, ...] | None:
    """A pattern for every group of families that are tied at offsets."""
    shifts = [s for s in ties.shifts if s.source in names and s.target in names]
    groups: list[set[str]] = []
    for shift in shifts:
        ends = {shift.source, shift.target}
        joined = [g for g in groups if g & ends]
        groups = [g for g in groups if not g & ends] + [ends.union(*joined)]
    found = []
    for group in groups:
        families = tuple(n for n in names if n in group)
        pattern = sparsest(families, tuple(s for s in shifts if s.source in group))
        if pattern is None:
            return None
        found.append(pattern)
    return tuple(found)


@cache
def sparsest(families: tuple[str, ...], shifts: tuple[Shift, ...]) -> Pattern | None:
    """The best periodic independent set of families tied at offsets.

    Args:
        families: names.
        shifts: the ties among them.
    """
    axes = len(shifts[0].offset)
    bound = min(_bounds(families, shifts, axes))
    best: Pattern | None = None
    for period in range(1, MOST_NODES // len(families) + 1):
        for step in product(range(period), repeat=axes):
            kept = _kept(families, shifts, step, period)
            pattern = Pattern(families, step, period, kept, False)
            if best is None or pattern.share < best.share:
                best = pattern
        if best is not None and 1 - best.share >= bound:
            return Pattern(best.families, best.step, best.period, best.kept, True)
    return best if best is not None and best.share < 1 else None


def _kept(
    families: tuple[str, ...], shifts: tuple[Shift, ...], step: Offset, period: int
) -> tuple[frozenset[int], ...]:
    """The largest independent set of the members modulo a period."""
    number = {f: k for k, f in enumerate(families)}
    neighbours = [0] * (len(families) * period)
    for shift in shifts:
        move = sum(a * d for a, d in zip(step, shift.offset, strict=True))
        for residue in range(period):
            u = number[shift.source] * period + residue
            v = number[shift.target] * period + (residue + move) % period
            neighbours[u] |= 1 << v
            neighbours[v] |= 1 << u
    chosen = _independent(neighbours)
    return tuple(
        frozenset(r for r in range(period) if chosen >> (k * period + r) & 1)
        for k in range(len(families))
    )


def _bounds(families: tuple[str, ...], shifts: tuple[Shift, ...], axes: int) -> Iterator[Fraction]:
    """Upper bounds of the share that can stay amortized, from finite boxes and single ties."""
    origin = (0,) * axes
    boxes = [[origin], *([origin, s.offset] for s in shifts if any(s.offset))]
    for sides in product(range(1, MOST_NODES + 1), repeat=axes):
        if prod(sides) * len(families) <= MOST_NODES:
            boxes.append(list(product(*(range(n) for n in sides))))
    for box in boxes:
        number = {node: k for k, node in enumerate(product(families, box))}
        neighbours = [0] * len(number)
        for shift in shifts:
            for point in box:
                there = tuple(p + d for p, d in zip(point, shift.offset, strict=True))
                v = number.get((shift.target, there))
                if v is not None:
                    u = number[shift.source, point]
                    neighbours[u] |= 1 << v
                    neighbours[v] |= 1 << u
        yield Fraction(_independent(neighbours).bit_count(), len(number))


def _independent(neighbours: list[int]) -> int:
    """A largest independent set of a graph as a bit mask; a node may be its own neighbour."""

    def grown(free: int) -> int:
        if not free:
            return 0
        node = free.bit_length() - 1
        free &= ~(1 << node)
        taken = grown(free & ~neighbours[node]) | 1 << node
        if not neighbours[node] & free:
            return taken
        left = grown(free)
        return taken if taken.bit_count() >= left.bit_count() else left

    loops = sum(1 << k for k, mask in enumerate(neighbours) if mask >> k & 1)
    return grown((1 << len(neighbours)) - 1 & ~loops)
