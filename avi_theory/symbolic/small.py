"""A model written out at a handful of points, for the reference solver only.

The verdict never looks at this: sizes here are chosen by the witness, open numbers get fixed
values, membership maps a fixed assignment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy import Expr, Indexed, Rational, Symbol

from avi_theory.spec import terms
from avi_theory.spec.model import Density, Range
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.spread import Spread
from avi_theory.symbolic.structure import Row, Structure, number, opaque

COUNTS = 15
"""Largest count that is enumerated."""


@dataclass
class Small:
    """The factors of a model at given sizes.

    Args:
        structure: the prepared model.
        sizes: value of each size symbol's name; others get `default`.
        default: of sizes that are not listed.
        absent: leave out all cells that may be missing.
    """

    structure: Structure
    sizes: Mapping[str, int]
    default: int = 3
    absent: bool = False
    factors: list[Expr] = field(default_factory=list)
    locals: dict[Expr, None] = field(default_factory=dict)
    observed: dict[Expr, None] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spread = Spread(self)
        for density in self.structure.model.densities:
            if density.over:
                self.factors.extend(self._joint(density))
        for term in self.structure.terms:
            if isinstance(term.expr, opaque):
                continue
            for env in self._points(term.ranges):
                self._add(self._opened(term.expr.xreplace(env)))
        for expr in self.factors:
            for atom in self.atoms(expr):
                role = self.structure.role(atom)
                if not all(s.is_Integer for s in terms.subscripts_of(atom)):
                    if role == "local":
                        self.locals.update(dict.fromkeys(self._members(terms.name_of(atom))))
                    continue
                if role == "local":
                    self.locals.setdefault(atom)
                elif role == "observed":
                    self.observed.setdefault(atom)

    # -- writing out -----------------------------------------------------------------------

    def _joint(self, density: Density) -> Iterator[Expr]:
        """A joint Gaussian prior over an index, at spread-out covariates: one term per pair."""
        import numpy as np

        axis = self.structure.axes(density.variable)[0]
        points = range(self._int(axis.low, {}), self._int(axis.high, {}) + 1)
        row, column = density.over
        kernel = density.arguments["cov"]
        cov = np.array(
            [[float(self._spread(kernel, {row: a, column: b})) for b in points] for a in points]
        )
        if np.linalg.cond(cov) > 1e10:
            cov = cov + 1e-6 * np.eye(len(cov))
        precision = np.linalg.inv(cov)
        means = [
            self._spread(density.arguments["mean"], dict.fromkeys(density.over, a)) for a in points
        ]
        sites = [terms.ref(density.variable, k) for k in points]
        for i, a in enumerate(sites):
            for j, b in enumerate(sites):
                value = Rational(str(round(float(precision[i, j]), 9)))
                yield -value * (a - means[i]) * (b - means[j]) / 2

    def _spread(self, expr: Any, env: Mapping[Expr, int]) -> Expr:
        """An expression at index points, covariates equal to half the position."""
        expr = self.structure.plain(sympy.sympify(expr))
        expr = expr.xreplace({k: sympy.Integer(v) for k, v in env.items()})
        put: dict[Expr, Expr] = {}
        for atom in self.atoms(expr):
            subs = terms.subscripts_of(atom)
            if subs and self.structure.role(atom) == "given":
                put[atom] = sympy.Add(*subs) / 2
                self.opened[terms.name_of(atom)] = "half the position"
            else:
                put[atom] = self.value(atom)
        return expr.xreplace(put)

    def _points(self, ranges: Any) -> Iterator[dict[Expr, Expr]]:
        envs: list[dict[Expr, Expr]] = [{}]
        for r in ranges:
            envs = [
                {**env, r.letter: sympy.Integer(k)}
                for env in envs
                for k in range(self._int(r.low, env), self._int(r.high, env) + 1)
            ]
        yield from envs

    def _int(self, expr: Expr, env: Mapping[Expr, Expr]) -> int:
        expr = expr.xreplace(dict(env))
        expr = expr.xreplace({a: sympy.Integer(self.default) for a in expr.atoms(Indexed)})
        expr = expr.xreplace({
            s: sympy.Integer(self.sizes.get(str(s), self._size(str(s))))
            for s in expr.free_symbols
        })  # fmt: skip
        if not expr.is_Integer:
            raise Stuck(expr, "not a whole number")
        return int(expr)

    def _size(self, name: str) -> int:
        """Enough members for every combination of the maps on an index, else the default."""
        for index in self.structure.model.indices.values():
            maps = self.structure.maps_on(index.name)
            if maps and str(index.range.high) == name:
                return int(self.default ** min(len(maps), 2)) + self.default
        return self.default

    def _opened(self, expr: Expr) -> Expr:
        if isinstance(expr, (Row, sympy.Sum)):
            if isinstance(expr, Row):
                body, letter, low, high = expr.args
                limits: list[tuple[Any, Any, Any]] = [(letter, low, high)]
            else:
                body, limits = expr.function, list(expr.limits)
            entries = [body]
            for letter, low, high in limits:
                span = range(self._int(low, {}), self._int(high, {}) + 1)
                entries = [e.xreplace({letter: sympy.Integer(k)}) for e in entries for k in span]
            entries = [self._opened(e) for e in entries]
            return terms.vector(*entries) if isinstance(expr, Row) else sympy.Add(*entries)
        if isinstance(expr, Indexed):
            subs = [self._opened(s) for s in expr.indices]
            atom = terms.ref(terms.name_of(expr), *subs)
            if self.structure.is_map(atom):
                return sympy.Integer(self._member(atom))
            return atom
        if not expr.args:
            return expr
        return expr.func(*(self._opened(a) for a in expr.args))

    def _member(self, atom: Expr) -> int:
        given = self.structure.model.givens[terms.name_of(atom)]
        target = self.structure.model.indices[str(given.member_of)].range
        low, high = self._int(target.low, {}), self._int(target.high, {})
        count = high - low + 1
        place = int(terms.subscripts_of(atom)[0]) - 1
        maps = self.structure.maps_on(given.axes[0].letter)
        digit = maps.index(given.name) if given.name in maps else 0
        return low + (place // self.default**digit) % count

    def _add(self, expr: Expr) -> None:
        if expr.has(opaque):
            raise Stuck(expr, "the reference solver cannot open it")
        put: dict[Expr, Expr] = {}
        for atom in self.atoms(expr):
            name = terms.name_of(atom)
            if name in self.structure.tables:
                continue
            if name.startswith("missing·"):
                put[atom] = sympy.Integer(0 if self.absent else 1)
                continue
            edge = self._edge(atom)
            if edge is not None:
                put[atom] = edge
            elif self.structure.role(atom) in {"given", "global"} and not self._chosen(atom):
                put[atom] = self.value(atom)
        expr = expr.xreplace(put)
        expr = expr.xreplace({
            s: sympy.Integer(self.sizes.get(s.name, self._size(s.name)))
            for s in expr.free_symbols
            if isinstance(s, Symbol) and s.is_integer and not self.structure.role(s)
        })  # fmt: skip
        spread = self.spread(self._unguarded(self.looked_up(expr)))
        parts = spread if isinstance(spread, list) else [spread]
        for part in (p for entry in parts for p in sympy.Add.make_args(entry)):
            if any(self.structure.role(a) == "local" for a in self.atoms(part)):
                self.factors.append(part)

    def _chosen(self, atom: Expr) -> bool:
        """Whether a random variable selects the entry, so that it is looked up later."""
        return isinstance(atom, Indexed) and any(
            self.structure.role(a) in {"local", "observed"}
            for s in atom.indices
            for a in s.atoms(Indexed, Symbol)
        )

    def _edge(self, atom: Expr) -> Expr | None:
        for pattern, value in self.structure.edge_values.items():
            if terms.name_of(pattern) != terms.name_of(atom):
                continue
            pairs = list(zip(
                terms.subscripts_of(pattern), terms.subscripts_of(atom), strict=True
            ))  # fmt: skip
            if all(p == a or (p.is_Symbol and a.is_number) for p, a in pairs):
                known = {p: a for p, a in pairs if p.is_Symbol}
                return value.xreplace(known)
        return None

    def coordinates(self, atom: Expr) -> list[Expr]:
        """The entries of a vector-valued variable at one index point."""
        variable = self.structure.model.variables[terms.name_of(atom)]
        cells = [
            terms.ref(variable.name, *terms.subscripts_of(atom), k)
            for k in range(self.whole(variable.dim))
        ]
        if variable.role == "observed" and all(s.is_Integer for s in terms.subscripts_of(atom)):
            for cell in cells:
                self.observed.setdefault(cell)
        return cells

    def _members(self, name: str) -> Iterator[Expr]:
        """Every scalar of a family whose members are selected by a latent."""
        axes = self.structure.axes(name)
        ranges = [Range(terms.index_symbol(a.letter), a.low, a.high) for a in axes]
        for env in self._points(ranges):
            atom = terms.ref(name, *(env[r.letter] for r in ranges))
            spread = self.spread(atom)
            yield from spread if isinstance(spread, list) else [spread]

    def ends(self, atom: Expr) -> tuple[float, float]:
        """The ends of a bounded latent's interval.

        Raises:
            Stuck: they are not numbers, or differ between statements.
        """
        found = set()
        for density in self.structure.model.densities:
            if density.variable == terms.name_of(atom):
                pair = [
                    self.structure.plain(sympy.sympify(density.arguments[k]))
                    for k in ("low", "high")
                ]
                if not all(e.is_number for e in pair):
                    raise Stuck(density.text, "the interval of a factor must be numbers")
                found.add((float(pair[0]), float(pair[1])))
        if len(found) != 1:
            raise Stuck(atom, "its statements give it several intervals")
        return found.pop()

    def _unguarded(self, expr: Expr) -> Expr:
        """The expression without the supports that hold for every value of a factor."""

        def open_(condition: Expr, value: Expr) -> Expr:
            own = [a for a in self.atoms(condition) if self.structure.role(a) == "local"]
            if len(own) == 1 and self.support(own[0]) == "interval":
                self.ends(own[0])
                return value
            return terms.where_positive(condition, value)

        while expr.has(terms.where_positive):
            plain = expr.replace(terms.where_positive, open_)
            if plain == expr:
                break
            expr = plain
        return expr

    def whole(self, expr: Any) -> int:
        """A size or dimension as an integer."""
        return self._int(sympy.sympify(expr), {})

    def point(self, atom: Expr) -> tuple[Expr, ...]:
        """The index point of a reference, without the coordinate of a vector."""
        axes = self.structure.axes(terms.name_of(atom))
        return terms.subscripts_of(atom)[: len(axes)]

    # -- reading ---------------------------------------------------------------------------

    def atoms(self, expr: Expr) -> list[Expr]:
        """References in an expression, outermost and inside subscripts; sorted."""
        found: set[Expr] = set()

        def walk(e: Any) -> None:
            if isinstance(e, Indexed):
                if terms.name_of(e) not in self.structure.tables:
                    found.add(e)
                for s in e.indices:
                    walk(s)
            elif isinstance(e, Symbol):
                if self.structure.role(e):
                    found.add(e)
            else:
                for a in getattr(e, "args", ()):
                    walk(a)

        walk(expr)
        return sorted(found, key=sympy.default_sort_key)

    def support(self, atom: Expr) -> str:
        """Where a variable lives."""
        return self.structure.model.variables[terms.name_of(atom)].support

    def discrete(self, atom: Expr) -> bool:
        """Whether a variable takes a few values that can be enumerated."""
        support = self.support(atom)
        if self.structure.role(atom) == "local" and support in {"count", "bounded_count"}:
            return True
        return support in {"binary", "categories"}

    def categories(self, atom: Expr) -> int:
        """The number of values of a discrete variable; unbounded counts are cut off."""
        variable = self.structure.model.variables[terms.name_of(atom)]
        if variable.support == "binary":
            return 2
        if variable.support in {"count", "bounded_count"}:
            return COUNTS + 1
        if variable.categories is None:
            return self.default
        return self._int(sympy.sympify(variable.categories), {})

    def value(self, atom: Expr) -> Any:
        """The fixed value of a given or a global that the text leaves open."""
        name = terms.name_of(atom)
        model = self.structure.model
        own = model.values.get(name)
        plain = number(own) if own is not None else None
        if len(terms.subscripts_of(atom)) > len(self.point(atom)):
            whole = self.value(terms.ref(name, *self.point(atom)))
            return whole.args[int(terms.subscripts_of(atom)[-1])]
        if plain is None:
            plain = self._open(atom)
        role = self.structure.role(atom)
        if role == "global":
            self.fixed[str(atom).replace(" ", "")] = plain
        return plain

    def _open(self, atom: Expr) -> Any:
        name = terms.name_of(atom)
        variable = self.structure.model.variables.get(name)
        if variable is None:
            if name in self.structure.model.givens:
                self.opened.setdefault(name, "1")
            return sympy.Integer(1)
        stream = random.Random(str(atom))
        if variable.dim is not None:
            count = self._int(sympy.sympify(variable.dim), {})
            weights = [stream.randrange(1, 9) for _ in range(count)]
            scale = sum(weights) if variable.support == "simplex" else 4
            return terms.vector(*(Rational(w, scale) for w in weights))
        if variable.support == "unit":
            return Rational(stream.randrange(2, 9), 10)
        if variable.support == "real":
            return Rational(stream.randrange(-10, 11), 10) if variable.axes else sympy.Integer(0)
        return sympy.Integer(1)

    def looked_up(self, expr: Expr) -> Expr:
        """Array literals, coordinates and selected entries put in where they are known."""
        for _ in range(3):
            put = {
                a: self.structure.looked_up(terms.name_of(a), list(a.indices))
                for a in expr.atoms(Indexed)
                if terms.name_of(a) in self.structure.tables
            }
            expr = expr.xreplace(put).replace(_is_pick, _picked)
        tables = self.structure.tables
        return expr.replace(
            lambda e: (
                isinstance(e, terms.pick)
                and e.args[1].is_Integer
                and terms.name_of(e.args[0]) in tables
            ),
            lambda e: self.structure.looked_up(terms.name_of(e.args[0]), [e.args[1]]),
        )


def _is_pick(expr: Expr) -> bool:
    return (
        isinstance(expr, terms.pick)
        and isinstance(expr.args[0], terms.vector)
        and bool(expr.args[1].is_Integer)
    )


def _picked(expr: Expr) -> Expr:
    return expr.args[0].args[int(expr.args[1])]
