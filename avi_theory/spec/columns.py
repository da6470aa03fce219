"""Columns of data placed at a model's index points: wide rows, long format, arrays by shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avi_theory.errors import DataError
from avi_theory.spec.model import Given, Model, Variable
from avi_theory.spec.read import Raw
from avi_theory.spec.tables import Table


@dataclass(frozen=True, eq=False)
class Columns:
    """The data's columns together with the index columns that place them.

    Attributes:
        model: the declaration.
        raw: the columns as read.
        index: for a frame, the index letters that have a column, as whole numbers per row.
    """

    model: Model
    raw: Raw
    index: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, model: Model, raw: Raw) -> Columns:
        """Find the index columns: a column named like an index letter, labels made numbers."""
        if not raw.is_frame:
            return cls(model, raw, {})
        letters = {a.letter for t in (model.variables, model.givens) for v in t.values()
                   for a in v.axes}  # fmt: skip
        index: dict[str, np.ndarray] = {}
        for letter in letters & set(raw.columns):
            low = _integer(model.indices[letter].range.low) if letter in model.indices else 1
            index[letter] = labels(raw, letter, low)
        columns = cls(model, raw, index)
        return cls(model, raw, {**index, **columns._inner_positions()})

    def _inner_positions(self) -> dict[str, np.ndarray]:
        """Positions inside a group where a long table has the group's column alone."""
        found: dict[str, np.ndarray] = {}
        for v in self.model.variables.values():
            letters = [a.letter for a in v.axes]
            if len(letters) == 2 and v.name in self.raw.columns and letters[0] in self.index:
                if letters[1] in self.index:
                    continue
                group = self.index[letters[0]]
                order = np.argsort(group, kind="stable")
                ordered = group[order]
                starts = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
                inside = np.arange(len(group)) - np.repeat(
                    starts, np.diff(np.r_[starts, len(group)])
                )
                position = np.empty(len(group), np.int64)
                position[order] = inside + _integer(v.axes[1].low)
                found[letters[1]] = position
        return found

    def has(self, name: str) -> bool:
        """Whether the data bring this name (a ragged size is counted from its rows)."""
        return name in self.raw.columns or self._counted(name) is not None

    def _counted(self, name: str) -> tuple[str, str] | None:
        """The (outer, inner) letters that a ragged size counts, if a long table shows them."""
        for index in self.model.indices.values():
            atoms = [str(a.base.label) for a in index.range.high.atoms() if hasattr(a, "base")]
            bases = {str(a) for a in index.range.high.free_symbols}
            letters = (*index.parents, index.name)
            shown = len(letters) == 2 and all(letter in self.index for letter in letters)
            if shown and (name in atoms or name in bases):
                return letters[0], letters[1]
        return None

    def sizes(self, explicit: Mapping[str, int]) -> dict[str, int]:
        """Sizes that the data tell, in agreement with those set explicitly.

        Raises:
            DataError: two columns tell different sizes, or fewer rows than the size asked for.
        """
        from avi_theory.spec.bound import solve_size

        told: dict[str, tuple[int, str]] = {}

        def tell(name: str, size: int, by: str) -> None:
            if name in told and told[name][0] != size:
                raise DataError(
                    f"The data tell two sizes: {name}={told[name][0]} by {told[name][1]}, "
                    f"{name}={size} by {by}. Every column must cover its variable's own range."
                )
            told[name] = (size, by)

        # Columns filled to the end speak first: an empty end is either a narrower range, or NaN.
        for v in sorted(indexed(self.model), key=self._open_ended):
            if v.name not in self.raw.columns or not v.axes:
                continue
            for k, axis in enumerate(v.axes):
                low = solve_low(axis.low)
                if low is None:
                    continue
                if self.raw.is_frame:
                    length = self._frame_length(v, k, low)
                else:
                    shape = self.raw.columns[v.name].shape
                    if k >= len(shape):
                        raise DataError(
                            f"The array {v.name!r} has shape {shape}, but {v} has "
                            f"{len(v.axes)} indices. Give one array axis per index."
                        )
                    length = shape[k]
                solved = solve_size(axis.high, low + length - 1)
                if solved and self._open_ended(v):
                    whole = solve_size(axis.high, low + len(self.raw.columns[v.name]) - 1)
                    if whole and (whole[0] not in told or told[whole[0]][0] == whole[1]):
                        solved = whole
                if solved:
                    tell(solved[0], solved[1], f"the column {v.name!r}")
            if isinstance(v, Variable) and v.dim is not None and not self.raw.is_frame:
                shape = self.raw.columns[v.name].shape
                solved = solve_size(v.dim, shape[-1]) if len(shape) == len(v.axes) + 1 else None
                if solved:
                    tell(solved[0], solved[1], f"the vectors {v.name!r}")
        for g in self.model.givens.values():
            if g.member_of and g.name in self.raw.columns:
                target = self.model.indices[g.member_of].range
                last = int(labels(self.raw, g.name, _integer(target.low)).max())
                solved = solve_size(target.high, last)
                if solved and solved[0] not in told:
                    told[solved[0]] = (solved[1], f"the map {g.name!r}")
        for name, size in explicit.items():
            if name in told and told[name][0] < size:
                raise DataError(
                    f"{name}={size} was asked for, but {told[name][1]} tells {name}="
                    f"{told[name][0]}. Ask for at most as many as there are."
                )
        return {k: s for k, (s, _) in told.items()}

    def shortened(self, explicit: Mapping[str, int]) -> str:
        """A remark if an explicit size uses only the first part of the data."""
        told = {k: v for k, v in self.sizes(explicit).items() if explicit.get(k, v) < v}
        return "".join(f" (first {explicit[k]} of {n} {k})" for k, n in told.items())

    def _open_ended(self, v: Variable | Given) -> bool:
        """Whether a table's column ends in empty cells (and is not declared ``missing``)."""
        if not self.raw.is_frame or v.name not in self.raw.columns or len(v.axes) != 1:
            return False
        if v.axes[0].letter in self.index or (isinstance(v, Variable) and v.missing):
            return False
        column = self.raw.columns[v.name]
        return len(column) > 0 and bool(_is_nan(column[-1:])[0])

    def _frame_length(self, v: Variable | Given, k: int, low: int) -> int:
        letter = v.axes[k].letter
        if letter in self.index:
            return int(self.index[letter].max()) - low + 1
        if len(v.axes) > 1:
            raise DataError(
                f"{v} has {len(v.axes)} indices, but the table ({self.raw.source}) has no column "
                f"{letter!r}. Use the long format: one column per index, and {v.name!r}."
            )
        column = self.raw.columns[v.name]
        if not self._open_ended(v):
            return len(column)
        filled = np.flatnonzero(~_is_nan(column))
        return int(filled[-1]) + 1 if len(filled) else len(column)

    def constant(self, name: str) -> np.ndarray:
        """A given without index: one value, or a whole array by shape."""
        values = _numbers(name, self.raw.columns[name])
        if self.raw.is_frame:
            if np.unique(values).size != 1:
                raise DataError(f"The given {name!r} is one number, but its column varies.")
            return values[0]
        return values

    def values(
        self, v: Variable | Given, table: Table, missing: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The values at a table's points, and which of them are present.

        Raises:
            DataError: NaN where none may be, a point without a row, text for numbers.
        """
        own = own_points(self.model, v, table)
        if self.raw.is_frame:
            values = self._frame_values(v, table)
        else:
            values = self._array_values(v, table, own)
        present = ~np.isnan(values if values.ndim == 1 else values.sum(-1))
        if not missing and not np.all(present[own]):
            first = np.flatnonzero(own & ~present)[0]
            raise DataError(
                f"The column {v.name!r} has no number (NaN or an absent row) at "
                f"{table.label(int(first))}. Fill it, or declare the observed variable 'missing'."
            )
        return values, present

    def _frame_values(self, v: Variable | Given, table: Table) -> np.ndarray:
        counted = self._counted(v.name)
        if v.name not in self.raw.columns and counted:
            outer = self.index[counted[0]]
            counts = np.bincount(outer - table.low[0], minlength=table.size)
            return counts[: table.size].astype(float)
        column = self.raw.columns[v.name]
        if isinstance(v, Given) and v.member_of:
            target = self.model.indices[v.member_of].range
            numbers = labels(self.raw, v.name, _integer(target.low)).astype(float)
        else:
            numbers = _numbers(v.name, column)
        letters = [a.letter for a in v.axes]
        values = np.full(table.size, np.nan)
        if all(letter in self.index for letter in letters):
            positions = table.positions([self.index[letter] for letter in letters])
        elif len(letters) == 1:
            start = _integer(v.axes[0].low)
            positions = table.positions([np.arange(len(numbers)) + start])
        else:
            absent = next(letter for letter in letters if letter not in self.index)
            raise DataError(
                f"{v} needs the long format: the table has no column {absent!r} for its index."
            )
        inside = positions >= 0
        at, given = positions[inside], numbers[inside]
        values[at] = given
        if not np.array_equal(values[at], given, equal_nan=True):
            clash = int(at[np.flatnonzero(values[at] != given)[0]])
            raise DataError(
                f"The column {v.name!r} has two values at {table.label(clash)}. "
                "A value must be constant within its own index."
            )
        return values

    def _array_values(self, v: Variable | Given, table: Table, own: np.ndarray) -> np.ndarray:
        array = _numbers(v.name, self.raw.columns[v.name])
        axes = len(v.axes)
        if axes == 0:
            return array.reshape(1, *array.shape)
        if array.ndim < axes:
            raise DataError(f"The array {v.name!r} has {array.ndim} axes; {v} needs {axes}.")
        points = table.points[own]
        low = points.min(0)
        needed = points.max(0) - low + 1
        if np.any(np.asarray(array.shape[:axes]) < needed):
            raise DataError(
                f"The array {v.name!r} has shape {array.shape}, but the index points of {v} "
                f"need at least {tuple(int(s) for s in needed)}."
            )
        values = np.full((table.size, *array.shape[axes:]), np.nan)
        values[own] = array[tuple((points - low).T)]
        return values


def indexed(model: Model) -> list[Variable | Given]:
    """Everything that data can bring: observed variables and givens."""
    return [*model.observed, *model.givens.values()]


def own_points(model: Model, v: Variable | Given, table: Table) -> np.ndarray:
    """Which points of a table data must cover: all but those that the text gives a value."""
    own = np.ones(table.size, bool)
    for edge in model.edge_values:
        if edge.variable != v.name:
            continue
        at = np.ones(table.size, bool)
        for axis, s in enumerate(edge.subscripts):
            if s.is_Integer:
                at &= table.points[:, axis] == int(s)
        own &= ~at
    return own


def solve_low(low: object) -> int | None:
    """The lower end as a number, or None if it is not a plain one."""
    try:
        return int(low)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None


def _integer(low: object) -> int:
    number = solve_low(low)
    return 1 if number is None else number


def _is_nan(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "fc":
        return np.asarray(np.isnan(column))
    if column.dtype.kind == "O":
        return np.asarray([x is None or x != x for x in column])
    return np.zeros(len(column), bool)


def _numbers(name: str, column: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(column, float)
    except (TypeError, ValueError) as e:
        raise DataError(
            f"The column {name!r} must hold numbers, but holds {_first_text(column)!r}. Mend it."
        ) from e


def _first_text(column: np.ndarray) -> object:
    for x in np.ravel(column):
        try:
            float(x)
        except (TypeError, ValueError):
            return x
    return column.dtype


def labels(raw: Raw, name: str, low: int) -> np.ndarray:
    """A column of labels as whole numbers from `low`.

    Raises:
        DataError: an empty cell, or a fraction.
    """
    column = raw.columns[name]
    return np.asarray(column, np.int64) if name in raw.coded else _labels(name, column, low)


def _labels(name: str, column: np.ndarray, low: int) -> np.ndarray:
    """Labels as whole numbers from `low`: numbers as they are, texts by first appearance."""
    if np.any(_is_nan(column)):
        raise DataError(f"The index column {name!r} has empty cells. Every row needs its label.")
    try:
        numbers = np.asarray(column, float)
    except (TypeError, ValueError):
        seen: dict[object, int] = {}
        return np.asarray([seen.setdefault(x, low + len(seen)) for x in column], np.int64)
    if not np.array_equal(numbers, np.round(numbers)):
        raise DataError(f"The index column {name!r} holds fractions. Use whole numbers or texts.")
    whole = numbers.astype(np.int64)
    unique = np.unique(whole)
    if unique[0] == low and unique[-1] == low + len(unique) - 1:
        return whole
    return np.searchsorted(unique, whole) + low
