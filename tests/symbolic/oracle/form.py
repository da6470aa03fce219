r"""Where a local's density has another form, and whether every unit has the same one.

.. math:: \log p = A(\theta) + \sum_u \ell(z_u, x_u; \theta)

A factor at a point is known by its statement, its point seen from the local, and the references
through which the local enters.  Two places have one form if what one has and the other lacks does
not depend on the local.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable
from functools import cached_property
from itertools import combinations
from typing import Any

from .brute import Brute
from .densities import zero
from .reader import Code, Statement
from .world import Factor, Ref, Values

Slot = tuple[str, tuple[str, ...]]
"""A reference as the text writes it: a name and its subscripts."""


def slots(statement: Statement, names: list[str]) -> list[Slot]:
    """The references of a statement to some variables, the left side first."""
    found: list[Slot] = []
    if statement.name in names:
        found.append((statement.name, tuple(c.text for c in statement.subscripts)))
    for code in (*statement.arguments, *(c for _, c in statement.named)):
        tree = ast.parse(code.text.strip(), mode="eval")
        inside = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Subscript)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                subs = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                if node.value.id in names:
                    found.append((node.value.id, tuple(ast.unparse(s) for s in subs)))
            elif isinstance(node, ast.Name) and node.id in names and id(node) not in inside:
                found.append((node.id, ()))
    return found


class Forms:
    """The forms of the densities of one unrolled model.

    Args:
        brute: of a world with equal groups.
    """

    def __init__(self, brute: Brute) -> None:
        self.brute, self.world = brute, brute.world
        self.program = brute.world.program
        self._codes: dict[str, Code] = {}
        self._numbers: dict[tuple[str, tuple[int, ...]], int] = {}
        self._moves_with: dict[tuple[int, str], set[str]] = {}
        self._slots = {
            id(s): slots(s, self.program.of_role("local")) for s in self.program.statements
        }

    @property
    def _trials(self) -> int:
        """Many where a variable has few values to be drawn."""
        return 20 if self.world.kind == "discrete" else 3

    # -- one local at two places -------------------------------------------------------------

    def edges(self, z: Ref, letter: str) -> set[int]:
        """Places along a letter at which a local's density has another form than at `z`.

        Args:
            z: an interior member.
            letter: one of its own.
        """
        return {at for other, at in self._line(z, letter) if self.differs(z, other, letter)}

    def input_edges(self, z: Ref, letter: str, weighted: bool = False) -> set[int]:
        """Places along a letter at which the local's component has other inputs.

        Args:
            z: an interior member with a bounded component.
            letter: one of its own.
            weighted: whether the position enters the densities, so that data may have weight
                zero at some place; they count as inputs there.
        """
        here = z[1][self.program.axes[z[0]].index(letter)]
        ours = {self.seen(r, {letter: here}): r for r in self.brute.inputs(z)}
        found = set()
        for other, at in self._line(z, letter):
            theirs = {self.seen(r, {letter: at}) for r in self.brute.inputs(other)}
            if weighted:
                theirs |= self._beside(other, {letter: at}) & ours.keys()
            wanted = {k for k, r in ours.items() if not self._told(r, letter, at - here)}
            if theirs != wanted:
                found.add(at)
        return found

    def _beside(self, z: Ref, place: dict[str, int]) -> set[Hashable]:
        """All data that share a density with the local's component."""
        return {
            self.seen(r, place)
            for j in self.brute.component(z)
            for role in ("observed", "given")
            for r in self.world.scopes(j, role)
        }

    def _told(self, ref: Ref, letter: str, step: int) -> bool:
        """Whether the text gives the value of a reference some steps further."""
        axes = self.program.axes[ref[0]]
        place = tuple(i + step * (x == letter) for x, i in zip(axes, ref[1], strict=True))
        return self.world.edge((ref[0], place)) is not None

    def component_edges(self, z: Ref, letter: str) -> set[int]:
        """Places along a letter at which the local's component has other members or forms.

        Args:
            z: an interior member with a bounded component.
            letter: one of its own.
        """
        ours = self._members(z, letter)
        found = set()
        for other, at in self._line(z, letter):
            theirs = self._members(other, letter)
            if ours.keys() != theirs.keys() or any(
                self.differs(j, theirs[key], letter)
                for key, j in ours.items()
                if letter in self.program.axes[j[0]]
            ):
                found.add(at)
        return found

    def _line(self, z: Ref, letter: str) -> list[tuple[Ref, int]]:
        """The members of a family along a letter, with their places."""
        axis = self.program.axes[z[0]].index(letter)
        return [
            ((z[0], p), p[axis]) for p in sorted(self.world.points[z[0]])
            if all(i == j for k, (i, j) in enumerate(zip(p, z[1], strict=True)) if k != axis)
        ]  # fmt: skip

    def _members(self, z: Ref, letter: str) -> dict[Hashable, Ref]:
        at = z[1][self.program.axes[z[0]].index(letter)]
        return {self.seen(j, {letter: at}): j for j in self.brute.component(z)}

    def differs(self, z: Ref, other: Ref, letter: str) -> bool:
        """Whether two members of a family along a letter have different forms."""
        axis = self.program.axes[z[0]].index(letter)
        here, there = z[1][axis], other[1][axis]
        ours, theirs = self._instances(z, letter, here), self._instances(other, letter, there)
        if any(self._tied_beyond(z, ours.get(key), f) for key, f in theirs.items()):
            return True
        lacking = [f for key, f in ours.items() if key not in theirs]
        extra = [f for key, f in theirs.items() if key not in ours]
        if not lacking and not extra:
            return False
        for trial in range(self._trials):
            first = self._moves(z, lacking, letter, here, trial)
            second = self._moves(other, extra, letter, there, trial)
            if any(not zero(a - b) for a, b in zip(first, second, strict=True)):
                return True
        return False

    def _moves(self, z: Ref, factors: list[Factor], letter: str, at: int, trial: int) -> list[Any]:
        """How the energy of some factors changes with a local."""
        values = Values(self.world, ("form", trial), key=lambda r: self.seen(r, {letter: at}))
        values.edges = False
        energies = [
            self.world.energy(factors, values.changed({z: a}))
            for a in self.world.choices((z[0], ()), trial, 3)
        ]
        return [e - energies[0] for e in energies[1:]]

    def _instances(self, z: Ref, letter: str, at: int) -> dict[Hashable, Factor]:
        found: dict[Hashable, Factor] = {}
        for f in self.world.holders[z]:
            env = dict(f.letters)
            through = frozenset(
                k for k, slot in enumerate(self._slots[id(f.statement)]) if self._is(slot, env, z)
            )
            moving = self._moving(f.statement, letter)
            seen = tuple((x, i - at if x in moving else self.world.rank(x, i, {letter: at}))
                         for x, i in f.letters)  # fmt: skip
            found[id(f.statement), seen, through] = f
        return found

    def _moving(self, statement: Statement, letter: str) -> set[str]:
        """Bound letters that stand in a subscript along an index letter."""
        known = self._moves_with.get((id(statement), letter))
        if known is not None:
            return known
        found: set[str] = set()
        for name, subs in slots(statement, [*self.program.axes]):
            for sub, axis in zip(subs, self.program.axes[name], strict=False):
                if axis == letter and "[" not in sub and sub != ":":
                    found |= {n.id for n in ast.walk(ast.parse(sub)) if isinstance(n, ast.Name)}
        self._moves_with[id(statement), letter] = found
        return found

    def _is(self, slot: Slot, env: dict[str, int], z: Ref) -> bool:
        name, subs = slot
        return name == z[0] and (
            not subs
            or all(s == ":" or self._number(s, env) == i for s, i in zip(subs, z[1], strict=True))
        )

    def _number(self, text: str, env: dict[str, int]) -> int:
        key = text, tuple(env.values())
        if key not in self._numbers:
            self._codes.setdefault(text, Code.of(text))
            self._numbers[key] = self.world.whole(self._codes[text], env)
        return self._numbers[key]

    def _tied_beyond(self, z: Ref, ours: Factor | None, theirs: Factor) -> bool:
        """Whether a local at the other place is a value of the text, and z interacts with ours."""
        if ours is None:
            return False
        for name, subs in self._slots[id(theirs.statement)]:
            if ":" in subs or not subs:
                continue
            place = tuple(self._number(s, dict(theirs.letters)) for s in subs)
            if place not in self.world.points[name]:
                inner = (name, tuple(self._number(s, dict(ours.letters)) for s in subs))
                if self.brute.interact(z, inner):
                    return True
        return False

    def seen(self, ref: Ref, place: dict[str, int]) -> Hashable:
        """A reference seen from a place; globals are the same from everywhere."""
        if self.world.role(ref) == "global":
            return ref
        return ref[0], tuple(
            ("by", i - place[axis]) if axis in place else self.world.rank(axis, i, place)
            for axis, i in zip(self.program.axes.get(ref[0], ()), ref[1], strict=True)
        )

    # -- whole units -------------------------------------------------------------------------

    def one_form(self, unit: tuple[str, ...]) -> bool:
        """Whether the density is a product over units of one form.

        Args:
            unit: its letters.
        """
        members: dict[tuple[int, ...], set[Ref]] = {}
        for ref in self._variables:
            place = self._place(ref, unit)
            if place is None:
                return False
            members.setdefault(place, set()).add(ref)
        if self._crosses(unit) or self._covariates(unit):
            return False
        forms = [self._form(refs, dict(zip(unit, u, strict=True))) for u, refs in members.items()]
        names, moves = forms[0]
        return all(
            names == others and all(zero(a - b) for a, b in zip(moves, more, strict=True))
            for others, more in forms
        )

    @cached_property
    def _variables(self) -> list[Ref]:
        """Locals and observations."""
        return sorted(r for r in self.world.holders if self.world.role(r) in {"local", "observed"})

    def _place(self, ref: Ref, unit: tuple[str, ...]) -> tuple[int, ...] | None:
        known = dict(self.brute.closure(ref))
        return tuple(known[x] for x in unit) if all(x in known for x in unit) else None

    def _crosses(self, unit: tuple[str, ...]) -> bool:
        """Whether variables of two units interact."""
        pairs = {
            pair
            for f in self.world.factors
            for pair in combinations(
                sorted(r for r in f.holds if self.world.role(r) in {"local", "observed"}), 2
            )
            if self._place(pair[0], unit) != self._place(pair[1], unit)
        }
        return any(self.brute.interact(u, v) for u, v in sorted(pairs))

    def _covariates(self, unit: tuple[str, ...]) -> bool:
        """Whether a given that varies with the unit moves any density."""
        for ref, factors in self.world.holders.items():
            letters = {x for x, _ in self.brute.closure(ref)}
            if self.world.role(ref) == "given" and letters & set(unit):
                values = Values(self.world, "covariate")
                energies = [
                    self.world.energy(factors, values.changed({ref: a}))
                    for a in self.world.choices(ref, 0, 3)
                ]
                if any(not zero(e - energies[0]) for e in energies[1:]):
                    return True
        return False

    def _form(self, refs: set[Ref], unit: dict[str, int]) -> tuple[list[str], list[Any]]:
        """The references of a unit, and how its density moves between drawn values."""

        def key(ref: Ref) -> Hashable:
            return self.seen(ref, unit)

        factors = list({id(f): f for r in refs for f in self.world.holders[r]}.values())
        moves = []
        for trial in range(self._trials):
            one, two = (Values(self.world, ("unit", trial, k), key=key) for k in range(2))
            one.edges = two.edges = False
            moved = one.changed({r: two(r) for r in refs})
            moves.append(self.world.energy(factors, one) - self.world.energy(factors, moved))
        return sorted(str(key(r)) for r in refs), moves
