r"""Ground a bound model: each statement becomes one expression over slots with gather arrays.

.. math:: \log p = \sum_f \sum_{i=1}^{I_f} e_f(s_1[i], \dots, s_k[i])

A `GroundFactor` keeps one sympy expression ``e_f`` in placeholder symbols; a `Slot` says where
the i-th value of a placeholder comes from: positions in a latent variable's table, or known
numbers.  Theory (numpy), numeric (torch) and the reference solver all evaluate these same
factors, vectorised over instances; cost is linear in their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.errors import DataError, InputError
from avi_theory.spec.bound import Bound, edge_points
from avi_theory.spec.factors import GroundFactor, GroundSum, Kernel, Slot
from avi_theory.spec.model import Density, Factor, Given, Model, Potential, Range, Variable
from avi_theory.spec.tables import Ints, evaluate_index, expand
from avi_theory.spec.terms import (
    ALL,
    index_symbol,
    name_of,
    pick,
    ref,
    scalar_symbol,
    subscripts_of,
)


@dataclass(frozen=True, eq=False)
class Ground:
    """All factors of a bound model."""

    bound: Bound
    factors: tuple[GroundFactor, ...]


def ground(bound: Bound, *, generative: bool = False) -> Ground:
    """Ground every factor at the bound sizes and data.

    Args:
        bound: the model at its sizes.
        generative: leave observed variables open: their slots carry positions and no values, as
            simulation and the population regime need them (values at given edges stay known).

    Raises:
        DataError: an instance reaches outside a variable's range where no ``given`` value stands.
        InputError: a given without a value.
    """
    factors: list[GroundFactor] = []
    for factor in bound.model.factors():
        factors.extend(_Grounder(bound, _in_coordinates(bound.model, factor), generative).run())
    return Ground(bound, tuple(factors))


def ground_argument(factor: GroundFactor, bound: Bound, name: str) -> GroundFactor:
    """One argument of a density (``mean``, ``sd``, …) at the instances of its ground factor.

    Observed variables stay open, as with ``generative=True``.
    """
    source = factor.source
    assert isinstance(source, Density)
    expression = sympy.sympify(source.arguments[name])
    if source.over:
        if name == "cov":
            assert factor.kernel is not None
            kernel = factor.kernel
            return GroundFactor(kernel.expression, kernel.slots, 1, source, {})
        mean = factor.expression.args[1]
        slots = tuple(s for s in factor.slots if s.symbol in mean.free_symbols)
        return GroundFactor(mean, slots, 1, source, {})
    part = _Grounder(bound, Factor(expression, source.ranges, source), True)
    part.env, part.count = dict(factor.env), factor.count
    return part._build()


@dataclass
class _Grounder:
    bound: Bound
    factor: Factor
    generative: bool
    env: dict[str, Ints] = field(default_factory=dict)
    count: int = 0

    def run(self) -> list[GroundFactor]:
        source = self.factor.source
        joint = isinstance(source, Density) and bool(source.over)
        ranges = () if joint else self.factor.ranges
        self.env = expand({}, ranges, self.bound.sizes, self.bound.lookup)
        self.count = len(next(iter(self.env.values()))) if self.env else (1 if not ranges else 0)
        if self.count == 0:
            return []
        self._drop_missing()
        if joint:
            return [self._joint(source)]  # type: ignore[arg-type]
        pattern = self._edge_pattern()
        groups = []
        for key in np.unique(pattern):
            chosen = pattern == key
            part = _Grounder(self.bound, self.factor, self.generative)
            part.env = {k: v[chosen] for k, v in self.env.items()}
            part.count = int(chosen.sum())
            if part.count:
                groups.append(part._build())
        return groups

    def _drop_missing(self) -> None:
        """Leave out instances whose observed target is an empty cell (it integrates out)."""
        source = self.factor.source
        if isinstance(source, Potential) or self.generative:
            return
        mask = self.bound.present.get(source.variable)
        if mask is None or not self.env:
            return
        keep = mask[self._positions(source.variable, source.subscripts)]
        self.env = {k: v[keep] for k, v in self.env.items()}
        self.count = int(keep.sum())

    def _scope(self) -> dict[str, Ints | int]:
        return {**self.bound.sizes, **self.env}

    def _positions(self, name: str, subscripts: tuple[Expr, ...]) -> Ints:
        scope = self._scope()
        values = [evaluate_index(s, scope, self.bound.lookup) for s in subscripts]
        positions = self.bound.tables[name].positions(values)
        return np.broadcast_to(positions, (self.count,))

    def _plain(self, atom: Expr) -> bool:
        """Whether all subscripts are index expressions (no latent category, no whole axis)."""
        return all(s != ALL and not self._selecting(s) for s in subscripts_of(atom))

    def _selecting(self, subscript: Expr) -> list[Expr]:
        """References to unknown discrete variables inside a subscript."""
        model = self.bound.model
        found = []
        for r in model.references_in(subscript):
            v = model.variables.get(name_of(r))
            if v is not None and (v.role != "observed" or self.generative):
                found.append(r)
        return found

    def _edge_pattern(self) -> Ints:
        """A number per instance: which latent references fall on a ``given`` edge value."""
        pattern = np.zeros(self.count, np.int64)
        bit = 1
        for atom in self.bound.model.references_in(_without_sums(self.factor.expression)):
            v = self.bound.model.variables.get(name_of(atom))
            if v is None or not v.axes or not self._plain(atom):
                continue
            outside = self._positions(v.name, subscripts_of(atom)) < 0
            pattern += bit * outside
            bit *= 2
        return pattern

    def _joint(self, source: Density) -> GroundFactor:
        table = self.bound.tables[source.variable]
        size = table.size
        row, column = source.over
        letters = {row.name: table.points[:, 0]}
        symbol = scalar_symbol("_joint")
        known = None
        if source.variable in self.bound.known and not self.generative:
            known = self.bound.known[source.variable][None]
        role = self.bound.model.variables[source.variable].role
        slot = Slot(symbol, source.variable, role, np.arange(size)[None], known, vector=True)
        mean_part = _Grounder(self.bound, self.factor, self.generative, letters, size)
        mean, mean_slots = mean_part._slots(sympy.sympify(source.arguments["mean"]), "_m")
        mean_slots = tuple(
            Slot(s.symbol, s.name, s.role,
                 None if s.positions is None else s.positions[None],
                 None if s.values is None else s.values[None], s.selectors, True)
            for s in mean_slots
        )  # fmt: skip
        grid = {row.name: table.points[:, 0][:, None], column.name: table.points[:, 0][None, :]}
        flat = {k: np.broadcast_to(v, (size, size)).ravel() for k, v in grid.items()}
        kernel_part = _Grounder(self.bound, self.factor, self.generative, flat, size * size)
        kernel, kernel_slots = kernel_part._slots(sympy.sympify(source.arguments["cov"]), "_k")

        def square(a: np.ndarray | None) -> np.ndarray | None:
            return None if a is None else a.reshape(size, size, *a.shape[1:])

        kernel_slots = tuple(
            Slot(s.symbol, s.name, s.role, square(s.positions), square(s.values), s.selectors)
            for s in kernel_slots
        )
        cov = scalar_symbol("_kernel")
        from avi_theory.spec.terms import mvn_log_density

        return GroundFactor(
            mvn_log_density(symbol, mean, cov), (slot, *mean_slots), 1, source, {},
            symbol, (), Kernel(cov, kernel, kernel_slots),
        )  # fmt: skip

    def _build(self) -> GroundFactor:
        source = self.factor.source
        expression = self.factor.expression
        sums: list[GroundSum] = []
        for k, s in enumerate(sorted(expression.atoms(sympy.Sum), key=sympy.default_sort_key)):
            ground_sum = self._sum(s, k)
            sums.append(ground_sum)
            expression = expression.xreplace({s: ground_sum.symbol})
        target_atom = source.target if isinstance(source, Density) else None
        expression, slots = self._slots(expression, "_s")
        target = None
        if target_atom is not None and isinstance(source, Density):
            wanted = self._positions(source.variable, source.subscripts)
            for s in slots:
                if s.name != source.variable or s.positions is None or s.selectors:
                    continue
                if np.array_equal(s.positions, wanted):
                    target = s.symbol
        return GroundFactor(
            expression, slots, self.count, source, dict(self.env), target, tuple(sums)
        )

    def _sum(self, s: sympy.Sum, k: int) -> GroundSum:
        env: dict[str, Ints] = {**self.env, "#instance": np.arange(self.count)}
        ranges = [Range(lim[0], lim[1], lim[2]) for lim in reversed(s.limits)]
        inner = expand(env, ranges, self.bound.sizes, self.bound.lookup)
        segments = inner.pop("#instance")
        part = _Grounder(self.bound, self.factor, self.generative, inner, len(segments))
        expression, slots = part._slots(s.function, f"_u{k}_")
        return GroundSum(scalar_symbol(f"_sum{k}"), expression, slots, segments)

    def _slots(self, expression: Expr, prefix: str) -> tuple[Expr, tuple[Slot, ...]]:
        """Replace references and letters by placeholders, innermost selectors first."""
        slots: dict[Expr, Slot] = {}
        model = self.bound.model

        def selectors(atom: Expr) -> None:
            for s in subscripts_of(atom):
                for r in self._selecting(s):
                    place(r)

        def place(atom: Expr) -> None:
            if atom in slots:
                return
            selectors(atom)
            symbol = scalar_symbol(f"{prefix}{len(slots)}")
            slots[atom] = self._slot(atom, symbol, slots)

        atoms = model.references_in(expression)
        for atom in atoms:
            place(atom)
        replaced = expression.xreplace({a: s.symbol for a, s in slots.items()})
        letters: list[Slot] = []
        sizes: dict[Expr, Expr] = {}
        for symbol in sorted(replaced.free_symbols, key=str):
            if symbol.name in self.env:
                place_symbol = scalar_symbol(f"{prefix}i_{symbol.name}")
                value = np.asarray(self.env[symbol.name], float)
                letters.append(Slot(place_symbol, symbol.name, "index", None, value))
                sizes[symbol] = place_symbol
            elif symbol.name in self.bound.sizes and symbol == index_symbol(symbol.name):
                sizes[symbol] = sympy.Integer(self.bound.sizes[symbol.name])
        return replaced.xreplace(sizes), (*slots.values(), *letters)

    def _slot(self, atom: Expr, symbol: Symbol, placed: Mapping[Expr, Slot]) -> Slot:
        model, bound = self.bound.model, self.bound
        name = name_of(atom)
        declared = model.variables.get(name) or model.givens[name]
        role = declared.role if isinstance(declared, Variable) else "given"
        vector = isinstance(declared, Variable) and declared.dim is not None
        known = bound.known.get(name)
        if role == "observed" and self.generative:
            known = self._edges_only(declared, atom)  # type: ignore[arg-type]
        if isinstance(declared, Given) and known is None:
            raise InputError(
                f"The given {name} has no value. Bring a column {name!r}, or set it: "
                f"--set {name}=…."
            )
        if role == "observed" and known is None and not self.generative:
            raise DataError(
                f"The observed variable {name!r} has no data. Give --data FILE, or simulate."
            )
        subs = subscripts_of(atom)
        if isinstance(declared, Given) and not declared.axes:
            return self._literal(atom, symbol, np.asarray(known), placed)
        if not subs and not getattr(declared, "axes", ()):
            positions = np.zeros(self.count, np.int64)
            value = None if known is None else np.broadcast_to(known, (1, *np.shape(known)[1:]))[0]
            values = None if value is None else np.broadcast_to(value, (self.count, *value.shape))
            return Slot(symbol, name, role, positions, values, (), vector)
        positions, chosen = self._gather(atom, placed)
        if np.any(positions < 0):
            return self._edge_slot(atom, symbol, role, positions)
        values = None if known is None else known[positions]
        mask = bound.present.get(name)
        if values is not None and mask is not None and not np.all(mask[positions]):
            raise DataError(
                f"An empty cell of {name} is used by another density ({self.factor.source.text}). "
                "Only observations that nothing else depends on may be missing."
            )
        whole = any(s == ALL for s in subs) or len(subs) < len(getattr(declared, "axes", ()))
        return Slot(symbol, name, role, positions, values, chosen, vector or whole)

    def _edges_only(self, variable: Variable, atom: Expr) -> np.ndarray | None:
        """Known values of an open observed variable: only where every instance is an edge."""
        if not variable.axes or not self._plain(atom):
            return None
        positions = self._positions(variable.name, subscripts_of(atom))
        values = np.full(self.bound.tables[variable.name].size, np.nan)
        bound = self.bound
        table = bound.tables[variable.name]
        for points, edge in edge_points(bound.model, variable.name, bound.sizes, bound.lookup):
            values[table.positions(tuple(points.T))] = edge
        return values if np.all(~np.isnan(values[positions])) else None

    def _literal(
        self, atom: Expr, symbol: Symbol, array: np.ndarray, placed: Mapping[Expr, Slot]
    ) -> Slot:
        """A scalar given or an array literal, whole or at (zero-based) subscripts."""
        name, subs = name_of(atom), subscripts_of(atom)
        if not subs:
            return Slot(symbol, name, "given", None, array, (), array.ndim > 0, batched=False)
        index, chosen = self._subscript_arrays(subs, placed, array.shape)
        for axis, i in enumerate(index):
            if np.any(i < 0) or np.any(i >= array.shape[axis]):
                raise DataError(
                    f"{atom} reaches outside the array {name} of shape {array.shape}. "
                    "Array literals are zero-based."
                )
        values = array[tuple(np.broadcast_arrays(*index))]
        vector = len(subs) < array.ndim
        return Slot(symbol, name, "given", None, values, chosen, vector)

    def _gather(self, atom: Expr, placed: Mapping[Expr, Slot]) -> tuple[Ints, tuple[Symbol, ...]]:
        table = self.bound.tables[name_of(atom)]
        subs = subscripts_of(atom)
        full = (*subs, *(ALL for _ in range(len(table.letters) - len(subs))))
        index, chosen = self._subscript_arrays(full, placed, table.box.shape, table.low)
        positions = table.positions(index)
        if not chosen and not any(s == ALL for s in full):
            positions = np.broadcast_to(positions, (self.count,))
        return np.asarray(positions), chosen

    def _subscript_arrays(
        self,
        subs: tuple[Expr, ...],
        placed: Mapping[Expr, Slot],
        shape: tuple[int, ...],
        low: tuple[int, ...] | None = None,
    ) -> tuple[list[Ints], tuple[Symbol, ...]]:
        """Each subscript as integers that broadcast to ``[I, K…, L…]``."""
        scope = self._scope()
        selecting = [r for s in subs for r in self._selecting(s)]
        distinct = list(dict.fromkeys(selecting))
        wholes = [k for k, s in enumerate(subs) if s == ALL]
        rank = 1 + len(distinct) + len(wholes)
        out: list[Ints] = []
        for k, s in enumerate(subs):
            if s == ALL:
                axis = 1 + len(distinct) + wholes.index(k)
                values = np.arange(shape[k]) + (low[k] if low else 0)
                out.append(values.reshape([-1 if a == axis else 1 for a in range(rank)]))
                continue
            inner = self._selecting(s)
            if inner:
                if len(inner) > 1:
                    raise InputError(f"The subscript {s} holds two discrete latents; use one.")
                axis = 1 + distinct.index(inner[0])
                letter = index_symbol("#category")
                count = self._categories(inner[0])
                expression = s.xreplace({inner[0]: letter})
                values = evaluate_index(
                    expression, {**self.bound.sizes, "#category": np.arange(count)},
                    self.bound.lookup,
                )  # fmt: skip
                out.append(values.reshape([-1 if a == axis else 1 for a in range(rank)]))
                continue
            values = np.broadcast_to(self._known_subscript(s, scope), (self.count,))
            out.append(values.reshape(-1, *([1] * (rank - 1))))
        return out, tuple(placed[r].symbol for r in distinct)

    def _known_subscript(self, s: Expr, scope: Mapping[str, Ints | int]) -> Ints:
        """A subscript of letters, maps and observed categories."""
        model = self.bound.model

        def lookup(atom: Expr, subs: tuple[Ints, ...]) -> Ints:
            v = model.variables.get(name_of(atom))
            if v is None:
                return self.bound.lookup(atom, subs)
            return self.bound.known[v.name][self.bound.tables[v.name].positions(subs)].astype(
                np.int64
            )

        return evaluate_index(s, scope, lookup)

    def _categories(self, atom: Expr) -> int:
        v = self.bound.model.variables[name_of(atom)]
        if v.categories is None:
            raise InputError(
                f"{v} selects another variable, but has no fixed number of categories. "
                "Declare it Categorical or Bernoulli."
            )
        return int(evaluate_index(v.categories, self.bound.sizes, self.bound.lookup))

    def _edge_slot(self, atom: Expr, symbol: Symbol, role: str, positions: Ints) -> Slot:
        """A reference outside the variable's points: its ``given`` edge value, or an error."""
        bound, name = self.bound, name_of(atom)
        values = np.full(positions.shape, np.nan)
        scope = self._scope()
        wanted = np.stack(
            [
                np.broadcast_to(evaluate_index(s, scope, bound.lookup), (self.count,))
                for s in subscripts_of(atom)
            ],
            -1,
        )
        for points, edge in edge_points(bound.model, name, bound.sizes, bound.lookup):
            lookup = {tuple(p): v for p, v in zip(points.tolist(), edge.tolist(), strict=True)}
            for k, p in enumerate(wanted.tolist()):
                if tuple(p) in lookup:
                    values[k] = lookup[tuple(p)]
        if np.any(np.isnan(values)):
            where = wanted[int(np.flatnonzero(np.isnan(values))[0])].tolist()
            point = ",".join(str(w) for w in where)
            raise DataError(
                f"{self.factor.source.text or self.factor.expression} needs {name}[{point}], which "
                f"is outside the range of {name}. Add 'given {name}[{point}] = …' or narrow the "
                "statement's range."
            )
        return Slot(symbol, name, role, None, values)


def _in_coordinates(model: Model, factor: Factor) -> Factor:
    """Entries of vector variables as coordinates: ``theta[d, c[d]]`` is pick(theta[d], c[d])."""

    def beyond(atom: Expr) -> bool:
        v = model.variables.get(name_of(atom)) if isinstance(atom, Indexed) else None
        return v is not None and v.dim is not None and len(atom.indices) > len(v.axes)

    def picked(atom: Expr) -> Expr:
        return pick(ref(name_of(atom), *atom.indices[:-1]), atom.indices[-1])

    return replace(factor, expression=factor.expression.replace(beyond, picked))


def _without_sums(expression: Expr) -> Expr:
    return expression.xreplace({s: sympy.Integer(0) for s in expression.atoms(sympy.Sum)})
