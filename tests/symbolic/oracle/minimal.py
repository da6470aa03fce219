r"""Whether an inference function can do without an input: two data sets say that it cannot.

.. math:: (w_n \setminus v)(x) = (w_n \setminus v)(x'), \quad \nu^\star_n(x) \ne \nu^\star_n(x')
    \;\Rightarrow\; \text{no } f(w_n \setminus v) \text{ attains F-VI}

Exact in linear-Gaussian models (a linear system in fractions), converged coordinate ascent from
many starts in discrete ones.  Nothing is asked about interactions but in the discrete case, where
they say which locals must be enumerated together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from avi_theory.results.report import Report

from .brute import POSITION, Brute
from .exact import Linear
from .fixpoint import MeanField
from .verdict import Oracle
from .world import Ref, Values, World
from .written import expanded


@dataclass(frozen=True)
class Pair:
    """Two data sets that agree on all inputs but one.

    Attributes:
        changed: what differs: a reference, or two members at different positions.
        values: of the reference in either data set; the positions.
        factors: the optimal factors in either.
    """

    changed: str
    values: tuple[Any, Any]
    factors: tuple[Any, Any]


class Solver(Protocol):
    """Optimal factors at drawn values of data and globals."""

    world: World

    def data(self, z: Ref) -> Iterator[Values]:
        """Data sets worth trying."""

    def factor(self, z: Ref, values: Values) -> Any:
        """The optimal factor of a local; all the best ones if there are several."""

    def differ(self, one: Any, other: Any) -> bool:
        """Whether no best factor of one data set is a best one of the other."""


class Discrete:
    """Optimal factors of small discrete models.

    Args:
        brute: the unrolled model.
    """

    def __init__(self, brute: Brute) -> None:
        self.brute, self.world = brute, brute.world

    def data(self, z: Ref) -> Iterator[Values]:
        """Every data set of the local's component, or some of them if there are many."""
        seen = {x for j in self.brute.component(z) for x in self.world.scopes(j, "observed")}
        values = Values(self.world, "data")
        for put in self.world.assignments(seen, 0, limit=64):
            yield values.changed(put)

    def factor(self, z: Ref, values: Values) -> Any:
        """All best factors found from many starts, states last."""
        component = self.brute.component(z)
        field = MeanField(self.world, component, values)
        return field.best(z, starts=24, sweeps=400)

    def differ(self, one: Any, other: Any) -> bool:
        """Whether every pair of best factors is apart."""
        return all(abs(p - q).max() > 1e-8 for p in one for q in other)


class Inputs:
    """The inputs of one local, each put to the test.

    Args:
        oracle: of the text.
        solver: of the world with equal groups.
        name: of the local.
        texts: its inputs as a report writes them.
    """

    def __init__(self, oracle: Oracle, solver: Solver, name: str, texts: tuple[str, ...]) -> None:
        self.oracle, self.solver, self.world = oracle, solver, solver.world
        self.texts = texts
        self.members = oracle.interior(Brute(self.world), name)

    def shown(self, text: str) -> Pair | None:
        """A pair of data sets that differ in one input alone, or None if none was found.

        Args:
            text: the input.
        """
        for z in self.members:
            pair = self.needed(z, text)
            if pair is not None:
                return pair
        return None

    def needed(self, z: Ref, text: str) -> Pair | None:
        """The same for one interior member."""
        refs = expanded((text,), z, self.world)
        if any(r[0] == POSITION for r in refs):
            return self._elsewhere(z, text)
        return self._poked(z, refs - self._others(z, text))

    def _others(self, z: Ref, text: str) -> set[Any]:
        return expanded(tuple(t for t in self.texts if t != text), z, self.world)

    def _poked(self, z: Ref, refs: set[Ref]) -> Pair | None:
        """Two data sets in which one of these references differs."""
        for values in self.solver.data(z) if refs else ():
            base = self.solver.factor(z, values)
            for ref in sorted(refs):
                old = values(ref)
                for new in self.world.choices(ref, "poke", 3):
                    other = self.solver.factor(z, values.changed({ref: new}))
                    if new != old and self.solver.differ(base, other):
                        return Pair(f"{ref[0]}{list(ref[1])}", (old, new), (base, other))
        return None

    def _elsewhere(self, z: Ref, text: str) -> Pair | None:
        """Two members whose other inputs agree, in a data set each."""
        rest = tuple(t for t in self.texts if t != text)
        for values in self.solver.data(z):
            base = self.solver.factor(z, values)
            for other, fixed in self._moved(z, rest, values):
                factor = self.solver.factor(other, values.changed(fixed))
                if self.solver.differ(base, factor):
                    return Pair(text, (z, other), (base, factor))
        return None

    def _moved(
        self, z: Ref, rest: tuple[str, ...], values: Values
    ) -> Iterator[tuple[Ref, dict[Ref, Any]]]:
        """Members near by, with values that make their other inputs agree with those of `z`."""
        near = sorted(
            (p for p in self.world.points[z[0]] if p != z[1]),
            key=lambda p: (sum(abs(i - j) for i, j in zip(p, z[1], strict=True)), p),
        )
        for place in near[:NEAR]:
            fixed: dict[Ref, Any] = {}
            for text in rest:
                ours = sorted(expanded((text,), z, self.world))
                theirs = sorted(expanded((text,), (z[0], place), self.world))
                if len(ours) != len(theirs):
                    break
                fixed |= {b: values(a) for a, b in zip(ours, theirs, strict=True)
                          if a[0] != POSITION}  # fmt: skip
            else:
                yield (z[0], place), fixed


NEAR = 8
"""Members near by that are tried for the sake of a position."""


def solver(oracle: Oracle) -> Solver | None:
    """The solver that fits a model: exact, discrete, or None where neither does.

    Args:
        oracle: of the text.
    """
    world = World(oracle.program, oracle.small, oracle.seed, balanced=True)
    if world.kind == "discrete":
        return Discrete(Brute(world))
    linear = Linear(world)
    return linear if linear.fits and linear.proper else None


@dataclass(frozen=True)
class Found:
    """What came of all the inputs of one model.

    Attributes:
        pairs: local and input to the data sets that show it needed.
        idle: local and input for which no such data sets were found.
    """

    pairs: dict[tuple[str, str], Pair]
    idle: list[tuple[str, str]]


def examined(oracle: Oracle, solver: Solver, report: Report) -> Found:
    """Every input of every local that closes.

    Args:
        oracle: of the text.
        solver: for the same text.
        report: what `check` says.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    idle: list[tuple[str, str]] = []
    for name, local in report.locals.items():
        if local.closes not in {"own", "inputs", "component"}:
            continue
        inputs = Inputs(oracle, solver, name, local.inputs)
        for text in local.inputs:
            pair = inputs.shown(text)
            if pair is None:
                idle.append((name, text))
            else:
                pairs[name, text] = pair
    return Found(pairs, idle)
