"""A model bound to sizes and data: every variable's points, every known value.

`bind` is where data meet the declaration, and where every complaint about data is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Indexed

from avi_theory.errors import DataError, InputError, nearest
from avi_theory.spec.model import Axis, Given, Model, Range, Variable
from avi_theory.spec.read import Raw, read
from avi_theory.spec.tables import Ints, Table, evaluate_index, expand
from avi_theory.spec.terms import index_symbol, name_of


@dataclass(frozen=True, eq=False)
class Bound:
    """A model at concrete sizes, with the data it was given.

    Attributes:
        model: the declaration.
        sizes: every size by name.
        tables: the points of every variable and every indexed given.
        known: values of givens (always) and observed variables (if there are data): ``[P]`` for
            a scalar at each point, ``[P, d]`` for a vector, any shape for an array literal.
        present: for an observed variable declared ``missing``, which cells are filled.
        edges: values of variables at points outside their own range, by name: a table and values.
        source: where the data come from, in words.
    """

    model: Model
    sizes: Mapping[str, int]
    tables: Mapping[str, Table]
    known: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    source: str = "no data"

    @property
    def has_data(self) -> bool:
        """Whether every observed variable has values."""
        return all(v.name in self.known for v in self.model.observed)

    @property
    def latents(self) -> int:
        """The number of scalar coordinates of all locals (the N of 'per latent')."""
        return sum(self.tables[v.name].size * self.dim(v) for v in self.model.locals)

    def units(self, letter: str) -> int:
        """The number of values that an index letter takes."""
        tables = [t for t in self.tables.values() if letter in t.letters]
        found = [t.points[:, t.letters.index(letter)] for t in tables]
        return max((len(np.unique(x)) for x in found), default=0)

    def dim(self, variable: Variable) -> int:
        """The number of coordinates of a variable at a point: 1 for a scalar."""
        if variable.dim is None:
            return 1
        return int(evaluate_index(variable.dim, self.sizes, self.lookup))

    def lookup(self, atom: Expr, subscripts: tuple[Ints, ...]) -> Ints:
        """The whole-number value of a given (a map, a ragged size) at integer subscripts."""
        return given_lookup(self.model, self.tables, self.known)(atom, subscripts)

    def with_known(self, name: str, values: np.ndarray) -> Bound:
        """The same with other values for one variable."""
        return replace(self, known={**self.known, name: values})


def given_lookup(model: Model, tables: Mapping[str, Table], known: Mapping[str, np.ndarray]) -> Any:
    """A function that looks whole-number givens up, for `evaluate_index`."""

    def lookup(atom: Expr, subscripts: tuple[Ints, ...]) -> Ints:
        name = name_of(atom)
        if name not in known:
            raise InputError(
                f"{name} has no value yet, but the index ranges of the model need it. "
                f"Give it with --size {name}=… or --set {name}=…, or bring data."
            )
        values = np.asarray(known[name])
        if name in tables and tables[name].letters:
            positions = tables[name].positions(subscripts)
            if np.any(positions < 0):
                raise DataError(f"{atom} is used outside the range of its index.")
            values = values[positions]
        elif subscripts:
            values = values[tuple(np.asarray(s) for s in subscripts)]
        rounded = np.round(np.asarray(values, float))
        if not np.array_equal(rounded, np.asarray(values, float)):
            raise DataError(f"{name} is used as an index or a size, but holds fractions.")
        return rounded.astype(np.int64)

    return lookup


def solve_size(expression: Expr, value: int) -> tuple[str, int] | None:
    """The size that makes an affine end of a range equal to a value: ``N-1 = 9`` gives N=10."""
    symbols = [s for s in expression.free_symbols if not expression.atoms(Indexed)]
    if len(symbols) != 1:
        return None
    slope = sympy.diff(expression, symbols[0])
    if not slope.is_Integer or slope == 0:
        return None
    solved = (sympy.Integer(value) - expression.subs(symbols[0], 0)) / slope
    return (symbols[0].name, int(solved)) if solved.is_Integer else None


def bind(model: Model, source: Any = None, *, require_data: bool = False) -> Bound:
    """Bind a model to data and sizes.

    Sizes come, the stronger first, from ``model.values``, the data, ``model.default_sizes``.
    With data and an explicit smaller size the first points are used, and `Bound.source` says so.

    Args:
        model: the declaration.
        source: a path, a mapping of arrays, a data frame, or None for no data.
        require_data: raise unless every observed variable has values.

    Raises:
        DataError: a missing column, NaN, a wrong length, type or domain.
        InputError: a size that nothing tells.
    """
    raw = read(source) if source is not None else Raw({}, False, "no data")
    _known_names(model, raw)
    explicit = {k: int(v) for k, v in model.values.items() if k in model.sizes}
    from avi_theory.spec.columns import Columns

    columns = Columns.of(model, raw)
    sizes = {**model.default_sizes, **columns.sizes(explicit), **explicit}
    tables: dict[str, Table] = {}
    known: dict[str, np.ndarray] = {}
    present: dict[str, np.ndarray] = {}
    for name, value in model.values.items():
        if name in model.givens:
            known[name] = np.asarray(value, float)
    for given in _ordered_givens(model):
        _bind_given(model, given, columns, sizes, tables, known)
    _require_sizes(model, sizes, known)
    lookup = given_lookup(model, tables, known)
    for variable in model.variables.values():
        points = variable_points(model, variable, sizes, lookup)
        tables[variable.name] = Table.of(variable.name, variable.letters, points)
    for variable in model.observed:
        if columns.has(variable.name):
            values, mask = columns.values(variable, tables[variable.name], variable.missing)
            _check_shape(variable, values, tables[variable.name], sizes, lookup)
            values = _place_edges(model, variable.name, tables, values, sizes, lookup)
            known[variable.name] = values
            if variable.missing:
                present[variable.name] = mask
            _check_support(model, variable, values[mask], sizes)
    missing = [v.name for v in model.observed if v.name not in known]
    partial = any(v.name in known for v in model.observed)
    if missing and (require_data or partial):
        raise DataError(
            f"The data ({raw.source}) have no column {missing[0]!r} for the observed variable "
            f"{model.variables[missing[0]]}. "
            + (nearest(missing[0], raw.columns) or f"Found: {', '.join(raw.columns) or 'nothing'}.")
        )
    for given in model.givens.values():
        if require_data and given.name not in known:
            raise DataError(
                f"The data ({raw.source}) have no column {given.name!r} for the given "
                f"{given.name}. Add it, or set it with --set {given.name}=…."
            )
    shortened = columns.shortened(explicit)
    return Bound(model, sizes, tables, known, present, raw.source + shortened)


def _known_names(model: Model, raw: Raw) -> None:
    if not raw.columns:
        return
    wanted = {*model.givens, *(v.name for v in model.observed)}
    if not wanted & set(raw.columns):
        first = next(iter(v.name for v in model.observed), next(iter(wanted), "x"))
        raise DataError(
            f"The data ({raw.source}) have none of the model's columns "
            f"({', '.join(sorted(wanted))}); found {', '.join(raw.columns)}. "
            f"Name a column {first!r} as the model does."
        )


def _ordered_givens(model: Model) -> list[Given]:
    """Givens whose values need no other given first."""
    return sorted(model.givens.values(), key=lambda g: (len(g.axes), g.line))


def _axis_ranges(axes: Sequence[Axis]) -> list[Range]:
    return [Range(index_symbol(a.letter), a.low, a.high) for a in axes]


def _bind_given(
    model: Model,
    given: Given,
    columns: Any,
    sizes: dict[str, int],
    tables: dict[str, Table],
    known: dict[str, np.ndarray],
) -> None:
    name = given.name
    if not given.axes:
        if name not in known and columns.has(name):
            known[name] = columns.constant(name)
        elif name not in known and given.value is not None:
            known[name] = constant_value(given.value, sizes, known)
        _check_given(given, known.get(name))
        return
    if name in known or columns.has(name) or given.value is not None:
        try:
            env = expand({}, _axis_ranges(given.axes), sizes, given_lookup(model, tables, known))
        except InputError:
            if name in known or given.value is not None:
                raise
            return
        points = np.stack([env[a.letter] for a in given.axes], -1)
        tables[name] = Table.of(name, [a.letter for a in given.axes], points)
        if name in known:
            known[name] = _reshaped(given, known[name], tables[name])
        elif columns.has(name):
            known[name], _ = columns.values(given, tables[name], False)
        else:
            known[name] = _given_values(given, tables[name], sizes, known)
        _check_given(given, known[name])


def _reshaped(given: Given, values: np.ndarray, table: Table) -> np.ndarray:
    if values.ndim == 0:
        return np.full(table.size, float(values))
    if values.shape[: len(table.letters)] == table.box.shape:
        return values[tuple((table.points - np.asarray(table.low)).T)]
    if len(values) == table.size:
        return values
    raise DataError(
        f"{given.name} was set to an array of shape {values.shape}, "
        f"but its index points need {table.box.shape}."
    )


def _given_values(
    given: Given, table: Table, sizes: Mapping[str, int], known: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Values of an indexed given that the text itself tells (a literal or an expression)."""
    if isinstance(given.value, tuple):
        array = np.asarray(_floats(given.value))
        if array.shape[: len(table.letters)] != table.box.shape:
            raise DataError(
                f"{given.name} is written with shape {array.shape}, "
                f"but its index has {table.box.shape}."
            )
        return array[tuple((table.points - np.asarray(table.low)).T)]
    env = {letter: table.points[:, i] for i, letter in enumerate(table.letters)}
    return np.broadcast_to(evaluate_number(given.value, env, sizes, known), (table.size,)).astype(
        float
    )


def _floats(value: Any) -> Any:
    return [_floats(v) for v in value] if isinstance(value, tuple) else float(value)


def evaluate_number(
    expression: Any,
    env: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    known: Mapping[str, np.ndarray],
) -> np.ndarray:
    """A numeric expression of letters, sizes and scalar givens, at every instance."""
    expression = sympy.sympify(expression)
    symbols = sorted(expression.free_symbols, key=str)
    scope = {**{k: np.asarray(v) for k, v in sizes.items()}, **known, **env}
    absent = [str(s) for s in symbols if str(s) not in scope]
    if absent:
        raise InputError(f"{absent[0]} has no value. Set it with --set {absent[0]}=….")
    from avi_theory.spec.terms import numpy_functions

    function = sympy.lambdify(symbols, expression, modules=[numpy_functions(), "numpy"])
    return np.asarray(function(*(scope[str(s)] for s in symbols)), float)


def constant_value(
    value: Any, sizes: Mapping[str, int], known: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The number or array behind a given's literal or expression."""
    if isinstance(value, tuple):
        return np.asarray(_floats(value))
    return evaluate_number(value, {}, sizes, known)


def _check_given(given: Given, values: np.ndarray | None) -> None:
    if values is None:
        return
    if not np.all(np.isfinite(values)):
        raise DataError(f"The given {given.name} holds NaN or infinity. Covariates must be known.")
    if given.positive and not np.all(np.asarray(values) > 0):
        worst = float(np.min(values))
        raise DataError(f"The given {given.name} must be > 0, but holds {worst:g}. Mend the data.")


def _require_sizes(model: Model, sizes: Mapping[str, int], known: Mapping[str, Any]) -> None:
    for name in model.sizes:
        if name not in sizes and name not in known:
            raise InputError(
                f"The size {name} is not known: no data tell it. Set it, e.g. --size {name}=100."
            )
        if name in sizes and sizes[name] < 1:
            raise InputError(f"The size {name}={sizes[name]} must be at least 1.")


def variable_points(
    model: Model, variable: Variable, sizes: Mapping[str, int], lookup: Any
) -> np.ndarray:
    """All index points of a variable: the union over its statements (its axes if it has none).

    Values at ``given x[0] = 0`` count as points of an observed variable: they are known there.
    """
    if not variable.axes:
        return np.zeros((1, 0), np.int64)
    found = []
    statements = [d for d in model.densities if d.variable == variable.name and not d.over]
    for d in statements:
        env = expand({}, d.ranges, sizes, lookup)
        found.append(subscript_points(d.subscripts, env, sizes, lookup))
    conditioned = variable.role == "observed" and not statements
    if conditioned or any(d.over for d in model.densities if d.variable == variable.name):
        env = expand({}, _axis_ranges(variable.axes), sizes, lookup)
        found.append(np.stack([env[a.letter] for a in variable.axes], -1))
    if variable.role == "observed":
        found += [p for p, _ in edge_points(model, variable.name, sizes, lookup)]
    return np.concatenate(found)


def subscript_points(
    subscripts: Sequence[Expr], env: Mapping[str, Ints], sizes: Mapping[str, int], lookup: Any
) -> np.ndarray:
    """The points ``[instances, axes]`` that subscripts take."""
    count = len(next(iter(env.values()))) if env else 1
    scope: dict[str, Ints | int] = {**sizes, **env}
    return np.stack(
        [np.broadcast_to(evaluate_index(s, scope, lookup), (count,)) for s in subscripts], -1
    ).astype(np.int64)


def edge_points(
    model: Model, name: str, sizes: Mapping[str, int], lookup: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points and values of a variable's ``given x[0] = …`` statements."""
    found = []
    for edge in model.edge_values:
        if edge.variable != name:
            continue
        env = expand({}, edge.ranges, sizes, lookup)
        points = subscript_points(edge.subscripts, env, sizes, lookup)
        constants = {
            g.name: constant_value(model.values.get(g.name, g.value), sizes, {})
            for g in model.givens.values()
            if not g.axes and model.values.get(g.name, g.value) is not None
        }
        values = evaluate_number(edge.value, env, sizes, constants)
        found.append((points, np.broadcast_to(values, (len(points),))))
    return found


def _place_edges(
    model: Model,
    name: str,
    tables: Mapping[str, Table],
    values: np.ndarray,
    sizes: Mapping[str, int],
    lookup: Any,
) -> np.ndarray:
    values = np.array(values, float)
    for points, edge in edge_points(model, name, sizes, lookup):
        positions = tables[name].positions(tuple(points.T))
        values[positions] = edge if values.ndim == 1 else edge[:, None]
    return values


def _check_shape(
    variable: Variable, values: np.ndarray, table: Table, sizes: Mapping[str, int], lookup: Any
) -> None:
    """One number a point for a scalar, one row of its length for a vector, none of it infinite."""
    wanted: tuple[int, ...] = ()
    if variable.dim is not None:
        wanted = (int(evaluate_index(variable.dim, sizes, lookup)),)
    if values.shape[1:] != wanted:
        found = " × ".join(map(str, values.shape[1:])) or "1"
        raise DataError(
            f"The data for {variable.name!r} have {found} numbers at each point, but {variable} "
            f"needs {wanted[0] if wanted else 1}. Give arrays by shape (NPZ), the coordinates last."
        )
    if np.any(np.isinf(values)):
        first = int(np.flatnonzero(np.isinf(values).reshape(len(values), -1).any(1))[0])
        raise DataError(
            f"The column {variable.name!r} holds an infinite number at {table.label(first)}. "
            "Mend the data, or leave the cell empty and declare the variable 'missing'."
        )


def _check_support(
    model: Model, variable: Variable, values: np.ndarray, sizes: Mapping[str, int]
) -> None:
    support = variable.support
    whole = np.array_equal(values, np.round(values))
    upper: float | None = None
    if variable.categories is not None and support == "categories":
        upper = float(evaluate_number(variable.categories, {}, sizes, {})) - 1
    rules = {
        "binary": (bool(np.all((values == 0) | (values == 1))), "0 or 1"),
        "count": (whole and bool(np.all(values >= 0)), "whole numbers 0, 1, 2, …"),
        "bounded_count": (whole and bool(np.all(values >= 0)), "whole numbers 0, 1, 2, …"),
        "categories": (
            whole and bool(np.all(values >= 0) and (upper is None or np.all(values <= upper))),
            "whole numbers from 0" + (f" to {upper:g}" if upper is not None else ""),
        ),
        "positive": (bool(np.all(values > 0)), "positive numbers"),
        "unit": (bool(np.all((values > 0) & (values < 1))), "numbers between 0 and 1"),
    }
    ok, wanted = rules.get(support, (True, ""))
    if not ok:
        raise DataError(
            f"The column {variable.name!r} must hold {wanted}, as its distribution says, but it "
            f"ranges from {values.min():g} to {values.max():g}. Mend the data or the density."
        )
