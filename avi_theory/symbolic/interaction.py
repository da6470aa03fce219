r"""Do two variables interact? The mixed second difference of the log density, decided.

.. math:: \Delta_u \Delta_v \ell = \ell(u,v) - \ell(u,v') - \ell(u',v) + \ell(u',v')

summed over all factors that hold both.  It vanishes identically exactly if \(\ell = a(u) + b(v)\)
with everything else fixed, so cancellations between factors count (docs/theory.md).  A
value away from zero at one point is a proof of interaction; a zero is proved by exact algebra
where that succeeds, else it holds with probability one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.algebra import decide_exactly, has_kink, quadratic, smoothed
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.instances import Finder, Instance, Place
from avi_theory.symbolic.numbers import OutOfDomain, arithmetic_of
from avi_theory.symbolic.structure import Structure
from avi_theory.symbolic.worlds import MODES, Domains, Key, World

Evidence = Literal["symbolic", "randomised"]
TRIALS = 5
ATTEMPTS = 60
MOST = 6
"""So many categories of a discrete variable are compared at a point; other points take others."""


@dataclass(frozen=True)
class Interaction:
    """Whether two references interact, and how surely this is known.

    Attributes:
        present: True if they interact.
        evidence: ``symbolic`` or ``randomised``; an interaction that is present is certain.
        instances: the factors that hold both.
    """

    present: bool
    evidence: Evidence
    instances: tuple[Instance, ...]


class Decider:
    """Decides interactions in one model; answers are remembered.

    Args:
        structure: the prepared model.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.finder = Finder(structure)
        self.domains = Domains(structure)
        self._known: dict[object, Interaction] = {}
        self._fast = arithmetic_of()
        self._exact = arithmetic_of(50)

    def pair(self, place: Place, u: Expr, v: Expr) -> Interaction:
        """Whether two references interact, over all factors that hold both."""
        known = (u, v, tuple(place.generics.values()))
        if known not in self._known:
            instances = self.finder.holding(place, u, v)
            self._known[known] = self._decide(instances, u, v)
        return self._known[known]

    def position(self, place: Place, u: Expr, letter: Symbol) -> Interaction:
        """Whether the density of a reference changes with the value of a letter.

        The letter's value counts where it stands for itself and where it selects a global, not
        where it names an observation or a covariate.
        """
        instances = [
            i for i in self.finder.holding(place, u) if self.mentions(i.expr, letter)
        ]  # fmt: skip
        return self._decide(instances, u, letter)

    def selector(self, place: Place, u: Expr, given: Expr) -> Interaction:
        """Whether the density of a reference changes with a given that selects something."""
        instances = [i for i in self.finder.holding(place, u) if i.expr.has(given)]
        return self._decide(instances, u, given)

    def depends(self, plus: Iterable[Expr], minus: Iterable[Expr], u: Expr) -> bool:
        """Whether the difference of two sums changes with a reference."""
        signed = [*((1, e) for e in plus), *((-1, e) for e in minus)]
        for attempt, (arithmetic, least) in product(
            range(ATTEMPTS // 4), ((self._fast, 0.03), (self._exact, 1e-30))
        ):
            world = World(self.domains, attempt, attempt % MODES, arithmetic)
            try:
                evaluators = map(world.evaluator, self._choices(world, u, "u", 3))
                values = [sum(s * value(e) for s, e in signed) for value in evaluators]
            except OutOfDomain:
                continue
            if any(abs(v) == arithmetic.infinity or v != v for v in values):
                continue
            if max(values) - min(values) > least * (1 + max(abs(v) for v in values)):
                return True
        return False

    def mentions(self, expr: Expr, letter: Symbol) -> bool:
        """Whether a letter counts by its value: written as a number, or naming a global."""
        if expr == letter:
            return True
        if isinstance(expr, Indexed):
            if self.structure.role(expr) == "global":
                return any(self.mentions(s, letter) for s in expr.indices)
            return any(
                self.mentions(a, letter) for s in expr.indices for a in s.atoms(Indexed)
            )  # fmt: skip
        return any(self.mentions(a, letter) for a in expr.args)

    # -- deciding --------------------------------------------------------------------------

    def _decide(self, instances: Sequence[Instance], u: Expr, v: Expr) -> Interaction:
        found = tuple(i for i in instances if i.expr.has(u) or self._hidden(i.expr, u))
        if not found:
            return Interaction(False, "symbolic", ())
        hidden = self._hidden(u, u) or self._hidden(v, v)
        number = None if hidden else quadratic(found, u, v)
        if number is not None:
            return Interaction(number != 0, "symbolic", found)
        zeros = 0
        for attempt in range(ATTEMPTS):
            outcome = self._trial(found, u, v, attempt)
            if outcome is True:
                return Interaction(True, "symbolic", found)
            if outcome is False:
                zeros += 1
                algebra = self._exactly(found, u, v) if zeros == 1 else None
                if algebra is not None:
                    return Interaction(not algebra, "symbolic", found)
                if zeros >= self._wanted(u, v):
                    break
        if zeros < 2:
            raise Stuck(found[0].expr, "no point inside its domain was found")
        present = any(has_kink(i.expr) for i in found) and self._across_kinks(found, u, v)
        return Interaction(present, "randomised", found)

    def _across_kinks(self, instances: tuple[Instance, ...], u: Expr, v: Expr) -> bool:
        """Whether a kinked density interacts although random points saw no difference.

        With the kinks smoothed a zero is a zero everywhere.  If the smooth density interacts, a
        point on the other side of a kink is looked for far and near.

        Raises:
            Stuck: the smooth density interacts, yet no such point was found.
        """
        smooth = tuple(replace(i, expr=smoothed(i.expr)) for i in instances)
        if not any(self._trial(smooth, u, v, attempt) for attempt in range(2 * TRIALS)):
            return False
        for attempt in range(2 * TRIALS):
            world = World(self.domains, attempt, attempt % MODES, self._exact)
            try:
                size = self._difference(world, list(instances), u, v, far=True)
            except OutOfDomain:
                continue
            if size is not None and size[0] > 1e-30 * (1 + size[1]):
                return True
        raise Stuck(instances[0].expr, "a kink that no point was found across")

    def _exactly(self, found: tuple[Instance, ...], u: Expr, v: Expr) -> bool | None:
        """True (zero), False (not zero) or None where exact algebra does not apply."""
        letter = isinstance(v, Symbol) and not self.structure.role(v)
        if letter or self._hidden(u, u) or self._hidden(v, v):
            return None
        return decide_exactly(self.domains, found, u, v)

    def _hidden(self, expr: Expr, u: Expr) -> bool:
        """Whether a reference may be meant by one whose subscript is a random variable."""
        name = terms.name_of(u)
        return any(owner == name for owner, _ in self.domains.labelled)

    def _wanted(self, u: Expr, v: Expr) -> int:
        """How many zeros at random points it takes: more where only some categories are seen."""
        if self._hidden(u, u) or self._hidden(v, v):
            return 2 * TRIALS
        many = any(
            self.domains.categories(terms.name_of(a)) > MOST
            or (self.domains.kind(terms.name_of(a)) == "label" and self.domains.labels > MOST)
            for a in (u, v)
        )
        return 4 * TRIALS if many else TRIALS

    def _trial(self, instances: Iterable[Instance], u: Expr, v: Expr, attempt: int) -> bool | None:
        """One random point: True (they interact), False (no difference here), None (no value)."""
        for arithmetic in (self._fast, self._exact):
            world = World(self.domains, attempt, attempt % MODES, arithmetic)
            try:
                size = self._difference(world, list(instances), u, v)
            except OutOfDomain:
                return None
            if size is None:
                return None
            largest, scale = size
            threshold = 0.03 if arithmetic.digits == 0 else 1e-30
            if largest > threshold * (1 + scale):
                return True
            if arithmetic.digits == 0 and largest == 0 == scale:
                return False
        return False

    def _difference(
        self, world: World, instances: list[Instance], u: Expr, v: Expr, *, far: bool = False
    ) -> tuple[Any, Any] | None:
        many = 4 if any(i.expr.has(terms.where_positive, sympy.loggamma) for i in instances) else 2
        us, vs = self._choices(world, u, "u", many), self._choices(world, v, "v", many)
        if far:
            us, vs = self._far(world, us), self._far(world, vs)
        table: dict[tuple[int, int], Any] = {}
        scale: Any = 0
        for (a, first), (b, second) in product(enumerate(us), enumerate(vs)):
            evaluate = world.evaluator({**first, **second})
            whole: Any = 0
            terms_size: Any = 0
            for instance in instances:
                value = evaluate(instance.expr)
                if isinstance(value, list):
                    raise Stuck(instance.expr, "a vector where a log density should be")
                weighted = self._weight(world, instance) * value
                whole = whole + weighted
                terms_size = terms_size + abs(weighted)
            if whole != whole or whole == world.arithmetic.infinity:
                return None
            table[a, b] = whole
            if whole != -world.arithmetic.infinity:
                scale = max(scale, terms_size)
        return self._corners(table, len(us), len(vs), scale, world)

    def _corners(
        self, table: dict[tuple[int, int], Any], rows: int, columns: int, scale: Any, world: World
    ) -> tuple[Any, Any] | None:
        infinite = -world.arithmetic.infinity
        largest: Any = None
        for a in range(rows):
            for a2 in range(a + 1, rows):
                for b in range(columns):
                    for b2 in range(b + 1, columns):
                        four = [table[a, b], table[a2, b2], table[a, b2], table[a2, b]]
                        closed = [x == infinite for x in four]
                        if any(closed):
                            if (closed[0] or closed[1]) != (closed[2] or closed[3]):
                                return world.arithmetic.number(1), world.arithmetic.number(0)
                            continue
                        size = abs(four[0] + four[1] - four[2] - four[3])
                        largest = size if largest is None else max(largest, size)
        return None if largest is None else (largest, scale)

    def _weight(self, world: World, instance: Instance) -> Any:
        weight = world.arithmetic.number(1)
        evaluate = world.evaluator({})
        for g in instance.free:
            if g.facts:
                stream = world.stream(("members", g))
                weight = weight * world.arithmetic.number(stream.uniform(1.5, 4.5))
            else:
                weight = weight * (evaluate(g.high) - evaluate(g.low) + 1)
        return weight

    def _choices(self, world: World, atom: Expr, side: str, many: int) -> list[dict[Key, Any]]:
        """Values to put in for a reference: all categories of a small discrete one, else `many`."""
        key = world.key(atom, world.evaluator({}))
        name = terms.name_of(atom)
        stream = world.stream((side, key))
        number = world.arithmetic.number
        if isinstance(atom, Symbol) and not self.structure.role(atom):
            labels = stream.sample(range(30, 90), 2)
            return [{key: number(x)} for x in labels]
        kind = self.domains.kind(name)
        if kind in {"categories", "binary"} and self.domains.length(name) is None:
            count = self.domains.categories(name)
            choices = [{key: number(k)} for k in stream.sample(range(count), min(count, MOST))]
        elif kind == "label":
            count = self.domains.labels
            choices = [{key: number(k)} for k in stream.sample(range(count), min(count, MOST))]
        else:
            choices = []
            while len(choices) < many:
                choice = {key: world.draw(name, stream)}
                if choice not in choices:
                    choices.append(choice)
        mask = self.structure.mask(atom) if isinstance(atom, Indexed) else None
        if mask is not None:
            mask_key = world.key(mask, world.evaluator({}))
            for choice in choices:
                choice[mask_key] = number(stream.uniform(0.2, 1.0))
        return choices

    def _far(self, world: World, choices: list[dict[Key, Any]]) -> list[dict[Key, Any]]:
        """The same unknowns at several orders of magnitude, both signs where allowed."""
        first = choices[0]
        if any(isinstance(value, list) for value in first.values()):
            return choices
        key = next(iter(first))
        signs = (1,) if self.domains.kind(str(key[0]) if isinstance(key, tuple) else str(key)) in {
            "positive", "count", "unit"} else (1, -1)  # fmt: skip
        scales = (1e-3, 0.3, 3.0, 40.0, 2e3, 3e5)
        return choices + [
            {**first, key: world.arithmetic.number(sign * scale)}
            for sign in signs
            for scale in scales
        ]
