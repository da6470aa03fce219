"""A program at concrete sizes: every factor at every point, evaluated at drawn values.

References are `(name, (i, j, …))`.  Values are drawn on demand from a seed and the reference's
key, so that the same factor at another position can be evaluated at the same values.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

from .densities import ExactLog, log_density
from .reader import Code, Interval, Program, Statement

Ref = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Factor:
    """A statement at one point, with the references that it holds."""

    statement: Statement
    letters: tuple[tuple[str, int], ...]
    holds: frozenset[Ref]


class Values:
    """Values by reference, drawn when first asked for.

    Args:
        world: tells supports.
        seed: of the draw.
        fixed: values that are not drawn.
        key: renames references before drawing.

    Set `edges` to False to draw values outside a range instead of taking the text's.
    """

    def __init__(
        self,
        world: World,
        seed: object,
        fixed: Mapping[Ref, Any] | None = None,
        key: Callable[[Ref], object] = lambda ref: ref,
    ) -> None:
        self.world, self.seed, self.fixed, self.key = world, seed, dict(fixed or {}), key
        self.drawn: dict[Ref, Any] = {}
        self.edges = True

    def changed(self, fixed: Mapping[Ref, Any]) -> Values:
        """The same values but for some."""
        new = Values(self.world, self.seed, {**self.fixed, **fixed}, self.key)
        new.drawn, new.edges = self.drawn, self.edges
        return new

    def __call__(self, ref: Ref) -> Any:
        if ref in self.fixed:
            return self.fixed[ref]
        if ref not in self.drawn:
            stream = random.Random(f"{self.seed}|{self.key(ref)}")
            self.drawn[ref] = self.world.draw(ref, stream)
        return self.drawn[ref]


class _Array:
    """An indexed name inside an expression."""

    def __init__(self, scope: _Scope, name: str) -> None:
        self.scope, self.name = scope, name

    def __getitem__(self, subs: Any) -> Any:
        subs = subs if isinstance(subs, tuple) else (subs,)
        world = self.scope.world
        if self.name in world.program.values:
            table = world.tables[self.name]
            for s in subs:
                table = table[int(s)]
            return table
        if any(isinstance(s, slice) for s in subs):
            wanted = [None if isinstance(s, slice) else int(s) for s in subs]
            return [
                self.scope.look((self.name, p))
                for p in sorted(world.points[self.name])
                if all(w is None or w == q for w, q in zip(wanted, p, strict=True))
            ]
        return self.scope.look((self.name, tuple(int(s) for s in subs)))

    def __iter__(self) -> Iterator[Any]:
        return iter(self[(slice(None),) * len(self.scope.world.program.axes[self.name])])


class _Scope(dict):  # type: ignore[type-arg]
    """Names of an expression at one point."""

    def __init__(self, world: World, values: Callable[[Ref], Any], env: Mapping[str, int]) -> None:
        super().__init__(_FUNCTIONS)
        self.world, self.values = world, values
        self.update({k: Fraction(v) for k, v in {**world.sizes, **env}.items()})
        self.seen: set[Ref] = set()

    def __missing__(self, name: str) -> Any:
        program = self.world.program
        if program.axes.get(name):
            return _Array(self, name)
        if name in program.values:
            table = self.world.tables[name]
            return _Array(self, name) if isinstance(table, list) else table
        return self.look((name, ()))

    def look(self, ref: Ref) -> Any:
        world = self.world
        name = ref[0]
        if name in world.shape:
            return world.shape[name][ref[1]]
        edge = world.edge(ref) if getattr(self.values, "edges", True) else None
        if edge is not None:
            return edge
        self.seen.add(ref)
        return self.values(ref)

    def run(self, code: Code) -> Any:
        self.update(code.constants)
        return eval(code.code, {"__builtins__": {}}, self)


def _sum(values: Any) -> Any:
    total: Any = Fraction(0)
    for v in values:
        total = total + v
    return total


_FUNCTIONS: dict[str, Any] = {
    "sum": _sum, "exp": math.exp, "log": math.log, "sin": math.sin, "cos": math.cos,
    "sqrt": math.sqrt, "tanh": math.tanh, "abs": abs,
}  # fmt: skip


@dataclass
class World:
    """A program at sizes, with maps and ragged sizes chosen.

    Args:
        program: the text, read.
        sizes: every size.
        seed: for the maps and the ragged sizes.
        balanced: give every group equally many members, and ragged indices one length.
    """

    program: Program
    sizes: dict[str, int]
    seed: int = 0
    balanced: bool = False
    shape: dict[str, dict[tuple[int, ...], int]] = field(default_factory=dict)
    points: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = {
            n: _Scope(self, self._nothing, {}).run(c) for n, c in self.program.values.items()
        }  # fmt: skip
        self.kind = self._kind()
        self._ragged()
        for name, letter in self.program.maps.items():
            self._map(name, letter)
        self.factors = self._unrolled()
        self.holders: dict[Ref, list[Factor]] = {}
        for f in self.factors:
            for ref in f.holds:
                self.holders.setdefault(ref, []).append(f)

    def _nothing(self, ref: Ref) -> Any:
        raise KeyError(ref)

    def _kind(self) -> str:
        families = {s.family for s in self.program.statements} - {""}
        if any(s.named for s in self.program.statements):
            return "mixed"
        if families <= {"Normal", "Flat"}:
            return "gaussian"
        return "discrete" if families <= {"Categorical", "Bernoulli"} else "mixed"

    def _ragged(self) -> None:
        counters = {
            n for i in self.program.letters.values() for n in i.high.code.co_names
            if n in self.program.axes
        }  # fmt: skip
        stream = random.Random(self.seed)
        for name in counters:
            points = self.grid([self.program.letters[x] for x in self.program.axes[name]])
            self.shape[name] = {
                tuple(p.values()): 3 if self.balanced else stream.randint(2, 4) for p in points
            }

    def _map(self, name: str, letter: str) -> None:
        """Membership maps shape the graph; maps that only select globals are values."""
        self.points[name] = {
            tuple(p.values())
            for p in self.grid([self.program.letters[x] for x in self.program.axes[name]])
        }
        if not self.is_membership(name):
            return
        target = self.grid([self.program.letters[letter]])
        labels = [next(iter(p.values())) for p in target]
        stream = random.Random(f"{self.seed} {name}")
        places = sorted(self.points[name])
        chosen = [labels[k % len(labels)] for k in range(len(places))]
        if not self.balanced:
            stream.shuffle(chosen)
        self.shape[name] = dict(zip(places, chosen, strict=True))

    def led(self, letter: str, i: int) -> dict[str, int]:
        """Where membership maps lead from an index value, in one step or several."""
        found: dict[str, int] = {}
        for name, target in self.program.maps.items():
            shape = self.shape.get(name, {})
            if self.program.axes[name] == (letter,) and (i,) in shape:
                found[target] = shape[i,]
                found.update(self.led(target, shape[i,]))
        return found

    def rank(self, letter: str, i: int, place: Mapping[str, int]) -> Hashable:
        """An index value, or its rank in its group where maps lead from it to the place."""
        for target, at in place.items():
            goal = self.led(letter, i).get(target)
            if goal is not None:
                line = (p[letter] for p in self.grid((self.program.letters[letter],)))
                group = [k for k in line if self.led(letter, k).get(target) == goal]
                return "member", goal - at, group.index(i)
        return i

    def is_membership(self, name: str) -> bool:
        """Whether a map stands in the subscript of a local."""
        needles = [f"{v}[" for v in self.program.of_role("local")]
        for s in self.program.statements:
            for code in (*s.arguments, *(c for _, c in s.named)):
                compact = code.text.replace(" ", "")
                for needle in needles:
                    at = compact.find(needle)
                    while at >= 0:
                        inside = compact[at + len(needle) :]
                        if inside.startswith(f"{name}["):
                            return True
                        at = compact.find(needle, at + 1)
        return False

    def grid(self, ranges: list[Interval] | tuple[Interval, ...]) -> list[dict[str, int]]:
        """Every point of nested ranges."""
        points: list[dict[str, int]] = [{}]
        for r in ranges:
            points = [
                {**p, r.letter: k}
                for p in points
                for k in range(self.whole(r.low, p), self.whole(r.high, p) + 1)
            ]
        return points

    def whole(self, code: Code, env: Mapping[str, int]) -> int:
        return int(_Scope(self, self._nothing, env).run(code))

    def _unrolled(self) -> list[Factor]:
        places: list[tuple[Statement, dict[str, int]]] = []
        for s in self.program.statements:
            for env in self.grid(s.ranges):
                places.append((s, env))
                if s.name:
                    point = tuple(self.whole(c, env) for c in s.subscripts)
                    self.points.setdefault(s.name, set()).add(point)
        found = []
        values = Values(self, "trace")
        for s, env in places:
            scope = _Scope(self, values, env)
            for code in (*s.arguments, *(c for _, c in s.named)):
                scope.run(code)
            if s.name:
                scope.look((s.name, tuple(self.whole(c, env) for c in s.subscripts)))
            found.append(Factor(s, tuple(env.items()), frozenset(scope.seen)))
        return found

    def edge(self, ref: Ref) -> Any:
        """The value that the text gives a variable outside its range, or None."""
        name, place = ref
        for (owner, subs), code in self.program.edges.items():
            if owner == name and all(
                s in self.program.letters or int(s) == p for s, p in zip(subs, place, strict=True)
            ):
                return _Scope(self, self._nothing, {}).run(code)
        return None

    def role(self, ref: Ref) -> str:
        """``local``, ``observed``, ``global`` or ``given``."""
        return self.program.roles.get(ref[0], "given")

    def draw(self, ref: Ref, stream: random.Random) -> Any:
        """A random value in the reference's support; a fraction unless the model is mixed."""
        name = ref[0]
        if name in self.program.maps:
            interval = self.program.letters[self.program.maps[name]]
            return stream.choice([next(iter(p.values())) for p in self.grid([interval])])
        kind, count = self.program.supports.get(name, ("real", 0))
        if kind == "categories":
            return stream.randrange(count)
        if kind == "count":
            return stream.randrange(7)
        value = Fraction(stream.randint(1, 60), stream.randint(20, 29))
        if kind == "unit":
            value = Fraction(stream.randint(1, 28), 29)
        elif kind == "real" and name not in self.program.positive and stream.random() < 0.5:
            value = -value
        return float(value) if self.kind == "mixed" else value

    def choices(self, ref: Ref, seed: object, many: int = 2) -> list[Any]:
        """Distinct values to compare: all categories, else `many` random ones."""
        kind, count = self.program.supports.get(ref[0], ("real", 0))
        if kind == "categories":
            return list(range(count))
        stream = random.Random(f"{seed} {ref}")
        found: list[Any] = []
        for _ in range(99):
            value = self.draw(ref, stream)
            if value not in found:
                found.append(value)
            if len(found) == many:
                break
        return found

    def energy(self, factors: list[Factor], values: Callable[[Ref], Any]) -> Any:
        """The summed log density of some factors."""
        total: Any = ExactLog() if self.kind == "discrete" else Fraction(0)
        for f in factors:
            scope = _Scope(self, values, dict(f.letters))
            arguments = [scope.run(c) for c in f.statement.arguments]
            named = {k: scope.run(c) for k, c in f.statement.named}
            if not f.statement.name:
                total = total + arguments[0]
                continue
            env = dict(f.letters)
            place = tuple(self.whole(c, env) for c in f.statement.subscripts)
            x = scope.look((f.statement.name, place))
            total = total + log_density(self.kind, f.statement.family, x, arguments, named)
        return total

    def scopes(self, ref: Ref, role: str) -> list[Ref]:
        """References of a role that share a factor with this one."""
        found = {r for f in self.holders.get(ref, []) for r in f.holds if self.role(r) == role}
        return sorted(found - {ref})

    def assignments(self, refs: set[Ref], seed: int, limit: int = 96) -> Iterator[dict[Ref, Any]]:
        """All values of some categorical references, or `limit` random ones; `{}` if none are."""
        sizes = {r: self.program.supports[r[0]][1] for r in sorted(refs)
                 if self.program.supports.get(r[0], ("", 0))[0] == "categories"}  # fmt: skip
        total = math.prod(sizes.values())
        if total <= limit:
            for choice in product(*(range(k) for k in sizes.values())):
                yield dict(zip(sizes, choice, strict=True))
            return
        stream = random.Random(seed)
        for _ in range(limit):
            yield {r: stream.randrange(k) for r, k in sizes.items()}
