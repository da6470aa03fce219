r"""A witness for ``no``: equal inputs, different optima.

Chains get a spike, \(x_t = 0\) but for one t: two positions see the same window of zeros at
different distances from the spike, and \(\nu^\star\) decays with the distance.  Exchangeable
models get two data sets that differ outside a unit's inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import sympy
from sympy import Expr

from avi_theory.results.report import Witness
from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.reference import Optimum, solve
from avi_theory.symbolic.small import Small
from avi_theory.symbolic.telling import Found, told

WINDOW = 1
LENGTH = 10
SHORT = 8
SPIKE = 4
TRIED = 4
"""So many far observations are disturbed in turn before giving up."""
STARTS = 4
SECONDS = 1.4
"""After this no further attempt is begun."""
SPARE = 0.4
"""So long an attempt may go on beyond that."""


def find_witness(analysis: Analysis, *, window: int = WINDOW) -> Witness | None:
    """Two places with equal inputs within a window and different optima; None if none is found.

    Args:
        analysis: a model with the verdict ``no``.
        window: observations up to this distance agree.
    """
    return Search(analysis, window).run()


@dataclass
class Search:
    """Attempts in order of their price, until one tells or the time is over.

    Args:
        analysis: a model with the verdict ``no``.
        window: observations up to this distance agree.

    Attributes:
        reasons: why attempts came to nothing.
    """

    analysis: Analysis
    window: int = WINDOW
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.until = time.process_time() + SECONDS

    def run(self) -> Witness | None:
        """The first witness found."""
        tied = [v for v in self.analysis.locals.values() if v.closes == "no"]
        tied.sort(key=lambda v: not self._many(v.name))
        masks = any(v.missing for v in self.analysis.model.observed)
        for absent in (False, True) if masks else (False,):
            for verdict in tied:
                try:
                    found = self._of(verdict, absent)
                except Stuck as stuck:
                    self.reasons.append(str(stuck))
                    continue
                if found is not None:
                    return told(self.analysis, verdict, found, self.window)
        return None

    @property
    def silence(self) -> str:
        """Why there is no witness, in one sentence."""
        why = "; ".join(dict.fromkeys(self.reasons)) or "no attempt told two optima apart in time"
        return (
            f"No numeric witness was found, so the verdict rests on the interactions alone ({why})."
        )

    def _many(self, name: str) -> bool:
        """Whether a family grows with the data, so that its members have observations."""
        axes = self.analysis.structure.axes(name)
        return any(not (a.high - a.low).is_number for a in axes)

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.process_time() > self.until

    def _of(self, verdict: LocalVerdict, absent: bool) -> Found | None:
        axis = _chain_axis(self.analysis, verdict)
        if axis is not None:
            end = self.analysis.structure.axes(verdict.name)[axis].high
            for length, others in ((LENGTH, 3), (SHORT, 2)):
                sizes = {str(s): length for s in end.free_symbols}
                small = Small(self.analysis.structure, sizes, others, absent)
                if len(small.locals) <= MANY or length == SHORT:
                    break
            return self._spike(verdict, small, axis) or self._two_sets(verdict, small)
        for default in (3, 6):
            small = Small(self.analysis.structure, {}, default, absent)
            found = self._two_sets(verdict, small)
            if found is not None or self.late:
                return found
        return None

    def _spike(self, verdict: LocalVerdict, small: Small, axis: int) -> Found | None:
        letter = self.analysis.structure.axes(verdict.name)[axis].letter
        spiked = [a for a in small.observed if position(small, a, letter) == SPIKE]
        for level, height in product(LEVELS[:2], HEIGHTS):
            if not spiked or self.late:
                return None
            data = baseline(small, level)
            data[spiked[0]] = loud(small, spiked[0], height)
            optima = self._solved(small, data)
            for first, second in _pairs(small, verdict, axis, self.window):
                values = _different(optima, optima, first, second)
                if values is not None:
                    return Found(small, data, None, (first, second), values, optima[0])
        return None

    def _two_sets(self, verdict: LocalVerdict, small: Small) -> Found | None:
        members = [z for z in small.locals if terms.name_of(z) == verdict.name]
        mixed = any(small.discrete(z) for z in small.locals) and len(members) < len(small.locals)
        for level in reversed(LEVELS) if mixed else LEVELS:
            if self.late:
                return None
            data = baseline(small, level)
            first = self._solved(small, data)
            for z, height in product(members[:2], HEIGHTS):
                near = _near(small, z, self.window)
                far = [atom for atom in small.observed if atom not in near]
                for atom in dict.fromkeys((*far[: TRIED - 1], *far[-1:])):
                    if self.late or not first:
                        break
                    other = {**data, atom: loud(small, atom, height)}
                    if other[atom] == data[atom]:
                        continue
                    second = self._solved(small, other)
                    values = _different(first, second, z, z)
                    spread = False
                    if values is None and not any(o.exact for o in first):
                        values, spread = _spread(small, first, second, z), True
                    if values is not None:
                        return Found(small, data, other, (z, z), values, first[0], spread)
        return None

    def _solved(self, small: Small, data: Mapping[Expr, Any]) -> list[Optimum]:
        now = time.process_time()
        return solve(
            small, data, starts=STARTS, until=now + (self.until - now) / 4, stop=self.until + SPARE
        )


MANY = 60
"""More latents than this and a shorter chain is written out."""
LEVELS = (0, 1, None)
"""Quiet values of the observations; None for a different one each."""
HEIGHTS = (5, 2)
"""By how much the loud observation stands out."""


def _chain_axis(analysis: Analysis, verdict: LocalVerdict) -> int | None:
    """The axis along which a local is tied by an offset to its own family or a neighbour's."""
    component = verdict.component
    if component is None:
        return None
    own, _ = analysis.components.site(component.root)
    letters = analysis.model.variables[verdict.name].letters
    for same in (True, False):
        for link in verdict.links:
            name = link.target.name
            if (name == verdict.name) is not same:
                continue
            if analysis.model.variables[name].letters != letters:
                continue
            for k, (a, b) in enumerate(
                zip(terms.subscripts_of(own), terms.subscripts_of(link.atom), strict=True)
            ):
                if (b - a).is_number and b != a:
                    return k
    for k, letter in enumerate(letters):
        if component.grows and any(
            _offset(analysis, node.name, letter) for node in component.nodes
        ):
            return k
    return None


def _offset(analysis: Analysis, name: str, letter: str) -> bool:
    """Whether a family of the component is itself a chain along a letter."""
    return any(
        a.letter == letter and any(
            terms.name_of(x) == name and x.indices[k] == s - 1
            for term in analysis.structure.terms if term.variable == name
            for x in term.references for y in term.references
            if terms.name_of(y) == name
            for s in y.indices[k : k + 1]
        )
        for k, a in enumerate(analysis.structure.axes(name))
    )  # fmt: skip


def baseline(small: Small, level: int | None = 0) -> dict[Expr, Any]:
    """A quiet value for every observation: the same within a variable, or spread out."""
    return {a: _quiet(small, a, k % 4 if level is None else level)
            for k, a in enumerate(small.observed)}  # fmt: skip


def _quiet(small: Small, atom: Expr, level: int) -> Any:
    support = small.support(atom)
    if support == "real":
        return sympy.Integer(level)
    if support in {"binary", "categories"}:
        return sympy.Integer(level % small.categories(atom))
    if support == "unit":
        return sympy.Rational(1 + level % 3, 4)
    return sympy.Integer(1 + level)


def loud(small: Small, atom: Expr, height: int = 5) -> Any:
    """A value that stands out from the quiet ones."""
    support = small.support(atom)
    if support == "binary":
        return sympy.Integer(height % 2)
    if support == "categories":
        return sympy.Integer(small.categories(atom) - 1 if height > 2 else 0)
    if support == "unit":
        return sympy.Rational(9, 10)
    return sympy.Integer(height)


def _pairs(
    small: Small, verdict: LocalVerdict, axis: int, window: int
) -> Iterator[tuple[Expr, Expr]]:
    """Pairs of members on one side of the spike whose windows miss it and both ends."""
    members = [z for z in small.locals if terms.name_of(z) == verdict.name]
    start = SPIKE + window + 1
    length = max((int(terms.subscripts_of(z)[axis]) for z in members), default=0)
    for z in members:
        subs = terms.subscripts_of(z)
        if subs[axis] != start:
            continue
        for step in range(1, length - start - window + 1):
            other = list(subs)
            other[axis] = subs[axis] + step
            partner = terms.ref(verdict.name, *other)
            if partner in small.locals:
                yield z, partner


def position(small: Small, atom: Expr, letter: str) -> int | None:
    """Where a reference stands along an index; None if it has no such axis."""
    axes = small.structure.axes(terms.name_of(atom))
    for axis, sub in zip(axes, small.point(atom), strict=True):
        if axis.letter == letter and sub.is_number:
            return int(sub)
    return None


def _near(small: Small, z: Expr, window: int) -> set[Expr]:
    """Observations that share a factor with a local, and those within the window of its place."""
    near: set[Expr] = set()
    point = small.point(z)
    for expr in small.factors:
        atoms = small.atoms(expr)
        own = [a for a in atoms if terms.name_of(a) == terms.name_of(z) and small.point(a) == point]
        chosen = any(
            terms.name_of(a) == terms.name_of(z) and not all(s.is_Integer for s in small.point(a))
            for a in atoms
        )
        if own and not chosen and not _holds_all(small, atoms, z):
            near |= {a for a in atoms if a in small.observed}
    near |= {a for a in small.observed if attached(small, a, z)}
    axes = small.structure.axes(terms.name_of(z))
    variables = small.structure.model.variables
    for atom in small.observed:
        same = variables[terms.name_of(z)].letters == variables[terms.name_of(atom)].letters
        for axis, sub in zip(axes, point, strict=True):
            place = position(small, atom, axis.letter)
            if same and place is not None and len(axes) == 1 and abs(place - int(sub)) <= window:
                near.add(atom)
    whole = {(terms.name_of(a), small.point(a)) for a in near}
    return {a for a in small.observed if (terms.name_of(a), small.point(a)) in whole}


def attached(small: Small, atom: Expr, z: Expr) -> bool:
    """Whether an observation stands at a local's own index tuple, by their letters."""
    letters = [a.letter for a in small.structure.axes(terms.name_of(z))]
    there = {
        a.letter: s
        for a, s in zip(small.structure.axes(terms.name_of(atom)), small.point(atom), strict=True)
    }
    own = zip(letters, small.point(z), strict=True)
    return bool(letters) and all(there.get(letter) == s for letter, s in own)


def _holds_all(small: Small, atoms: list[Expr], z: Expr) -> bool:
    """Whether a factor holds the whole family: then its observations are everybody's."""
    name = terms.name_of(z)
    family = {small.point(a) for a in small.locals if terms.name_of(a) == name}
    held = {small.point(a) for a in atoms if terms.name_of(a) == name}
    return len(family) > 2 and family <= held


def _different(
    first: list[Optimum], second: list[Optimum], a: Expr, b: Expr
) -> tuple[Any, Any] | None:
    """The two optima if they differ for every pair of solutions found."""
    if not first or not second:
        return None
    pairs = list(zip(first, first, strict=True)) if first is second else product(first, second)
    for p, q in pairs:
        if _close(p.values[a], q.values[b]):
            return None
    return first[0].values[a], second[0].values[b]


def _spread(
    small: Small, first: list[Optimum], second: list[Optimum], z: Expr
) -> tuple[float, float] | None:
    """Σ log sd over the coordinates of one latent, if it differs for every pair of solutions."""
    point = small.point(z)
    own = [a for a in small.locals if terms.name_of(a) == terms.name_of(z)]
    own = [a for a in own if small.point(a) == point]
    if not first or not second or any(a not in first[0].spreads for a in own):
        return None
    sums = [[sum(o.spreads[a] for a in own) for o in group] for group in (first, second)]
    if any(_close(p, q) for p, q in product(*sums)):
        return None
    return sums[0][0], sums[1][0]


def _close(p: Any, q: Any) -> bool:
    if isinstance(p, Fraction):
        return bool(p == q)
    if isinstance(p, tuple):
        return max(abs(x - y) for x, y in zip(p, q, strict=True)) < 1e-4
    return bool(abs(p - q) < 1e-4 * (1 + abs(p)))
