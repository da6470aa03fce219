"""The cover is a cover, and no smaller one exists: by brute force on cycles and tori."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from avi_theory.conditions.advice.cover import Pattern, covers, sparsest
from avi_theory.conditions.advice.ties import Offset, Shift, Ties

LATTICES = [
    ([(1, 0), (0, 1)], Fraction(1, 2)),
    ([(1, 0), (0, 1), (1, 1)], Fraction(2, 3)),
    ([(1, 0), (0, 1), (1, 1), (1, -1)], Fraction(3, 4)),
]
"""Four, six and eight neighbours, and the share of members in a smallest cover."""


def shifts_of(offsets: list[Offset]) -> tuple[Shift, ...]:
    return tuple(Shift("z", "z", o) for o in offsets)


def edges(shifts: tuple[Shift, ...], sides: tuple[int, ...]) -> list[tuple[object, object]]:
    """The ties on a torus."""
    return [
        (
            (s.source, point),
            (s.target, tuple((p + d) % n for p, d, n in zip(point, s.offset, sides, strict=True))),
        )
        for s in shifts
        for point in product(*map(range, sides))
    ]


def smallest_cover(families: tuple[str, ...], shifts: tuple[Shift, ...], sides: tuple[int, ...]
                   ) -> Fraction:  # fmt: skip
    """The share of members in a smallest cover of a torus, over all subsets of its members."""
    nodes = list(product(families, product(*map(range, sides))))
    number = {node: k for k, node in enumerate(nodes)}
    subsets = np.arange(1 << len(nodes))
    covering = np.ones(len(subsets), dtype=bool)
    for u, v in edges(shifts, sides):
        covering &= ((subsets >> number[u]) | (subsets >> number[v])) & 1 == 1
    sizes = sum((subsets >> k) & 1 for k in range(len(nodes)))
    return Fraction(int(sizes[covering].min()), len(nodes))


def assert_covers(pattern: Pattern, shifts: tuple[Shift, ...], sides: tuple[int, ...]) -> None:
    """Of every tie one end at least is left un-amortized."""

    def kept(node: tuple[str, Offset]) -> bool:
        family, point = node
        residue = sum(a * i for a, i in zip(pattern.step, point, strict=True)) % pattern.period
        return residue in pattern.kept[pattern.families.index(family)]

    for u, v in edges(shifts, sides):
        assert not (kept(u) and kept(v)), f"{u} and {v} are both amortized under {pattern}"


def random_offsets(seed: int) -> list[Offset]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    return [(int(d),) for d in sorted(rng.choice(np.arange(1, 6), size=count, replace=False))]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_a_chain_of_an_order_leaves_all_but_one_of_its_reach(order: int) -> None:
    pattern = sparsest(("z",), shifts_of([(d,) for d in range(1, order + 1)]))
    assert pattern is not None and pattern.smallest
    assert pattern.share == Fraction(order, order + 1)


@pytest.mark.parametrize("seed", range(25))
def test_random_offsets_on_cycles(seed: int) -> None:
    """A cover of a cycle unrolls to one of the line, so no cycle has a smaller one."""
    shifts = shifts_of(random_offsets(seed))
    pattern = sparsest(("z",), shifts)
    assert pattern is not None and pattern.smallest
    assert_covers(pattern, shifts, (pattern.period * 12,))
    shares = {n: smallest_cover(("z",), shifts, (n,)) for n in range(2, 13)}
    assert min(shares.values()) >= pattern.share, f"seed {seed}: {shares}"
    assert shares[pattern.period] == pattern.share


@pytest.mark.parametrize("seed", range(12))
def test_two_families_on_cycles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shifts = (
        *(Shift("z", "z", o) for o in random_offsets(seed)[:2]),
        *(Shift("u", "u", o) for o in random_offsets(seed + 100)[:1]),
        Shift("z", "u", (int(rng.integers(-2, 3)),)),
    )
    pattern = sparsest(("z", "u"), shifts)
    assert pattern is not None
    assert_covers(pattern, shifts, (pattern.period * 12,))
    shares = [smallest_cover(("z", "u"), shifts, (n,)) for n in range(2, 7)]
    assert min(shares) >= pattern.share


@pytest.mark.parametrize(("offsets", "share"), LATTICES)
def test_lattices_on_tori(offsets: list[Offset], share: Fraction) -> None:
    shifts = shifts_of(offsets)
    pattern = sparsest(("z",), shifts)
    assert pattern is not None and pattern.smallest
    assert pattern.share == share
    assert_covers(pattern, shifts, (pattern.period * 3,) * 2)
    tori = [(2, 2), (2, 4), (3, 3), (4, 4), (3, 5)]
    shares = {sides: smallest_cover(("z",), shifts, sides) for sides in tori}
    assert min(shares.values()) == share, f"{shares}"


def test_a_cover_that_is_not_known_to_be_smallest_does_not_say_so() -> None:
    """Long odd cycles of three families are beyond the boxes that are searched."""
    shifts = (
        Shift("a", "a", (5,)), Shift("b", "b", (7,)), Shift("c", "c", (3,)),
        Shift("a", "b", (1,)), Shift("b", "c", (2,)), Shift("c", "a", (4,)),
    )  # fmt: skip
    pattern = sparsest(("a", "b", "c"), shifts)
    assert pattern is not None
    assert_covers(pattern, shifts, (pattern.period * 12,))
    assert pattern.share == Fraction(1, 2)
    assert not pattern.smallest


def test_dense_ties_take_a_whole_family_the_smaller_one() -> None:
    """A vertex cover of a complete bipartite graph holds one side."""
    dense = frozenset({frozenset(("a", "b")), frozenset(("b", "c"))})
    ties = Ties({"a": ("i",), "b": ("i", "j"), "c": ("j",)}, (), dense)
    assert [c.whole for c in covers(ties, {"a": 1, "b": 2, "c": 1})] == [("a", "c")]
    assert [c.whole for c in covers(ties, {"a": 1, "b": 0, "c": 1})] == [("b",)]


def test_members_all_tied_to_each_other_have_no_cover_worth_naming() -> None:
    ties = Ties({"f": ("n",)}, (), frozenset({frozenset(("f",))}))
    assert covers(ties, {"f": 1}) == ()
