"""The units of a data set, bound a few at a time.

A unit is one value of an index letter n with everything that belongs to it: the entries of
``x[n]``, the rows of a long table with that label, the rows i with ``g[i] = n``.  Sizes and labels
other than the unit's are read off the whole data once, so that every batch means the same globals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from avi_theory.errors import DataError, InputError
from avi_theory.spec.bound import Bound, bind, solve_size
from avi_theory.spec.columns import Columns, indexed, labels, solve_low
from avi_theory.spec.model import Model
from avi_theory.spec.read import Raw
from avi_theory.spec.tables import evaluate_index
from avi_theory.spec.terms import name_of, subscripts_of


@dataclass(frozen=True, eq=False)
class Rows:
    """Which entries of a column belong to which unit.

    Attributes:
        axis: of the column that runs along the units.
        order: entries sorted by unit; None where entry k is unit k.
        starts: where each unit's entries begin in `order`, ``[units + 1]``.
    """

    axis: int = 0
    order: np.ndarray | None = None
    starts: np.ndarray | None = None

    @classmethod
    def by_label(cls, axis: int, of_entry: np.ndarray, units: int) -> Rows:
        """From the unit of each entry; entries of units beyond the last are left out."""
        entries = np.flatnonzero(of_entry < units)
        counts = np.bincount(of_entry[entries], minlength=units)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(axis, entries[np.argsort(of_entry[entries], kind="stable")], starts)

    def of(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The entries of some units in their order, and the place of each entry's unit."""
        if self.order is None or self.starts is None:
            return units, np.arange(len(units))
        lengths = self.starts[units + 1] - self.starts[units]
        place = np.repeat(np.arange(len(units)), lengths)
        inside = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entries = self.order[np.repeat(self.starts[units], lengths) + inside]
        sort = np.argsort(entries, kind="stable")
        return entries[sort], place[sort]


@dataclass(frozen=True, eq=False)
class Units:
    """A model and data that can be bound for any set of units.

    Attributes:
        model: with every size set but the unit's own.
        raw: the columns, on the disk or in memory.
        letter: of the unit.
        size: the size that tells how many units there are; low: the letter's first value.
        rows: by column, for those that run along the units.
        chosen: the units that there are, ascending.
    """

    model: Model
    raw: Raw
    letter: str
    size: str
    low: int
    rows: Mapping[str, Rows]
    chosen: np.ndarray

    @classmethod
    def of(cls, model: Model, raw: Raw, letter: str) -> Units:
        """Find what belongs to each unit.

        Raises:
            InputError: a letter that is no index set with a size of its own.
            DataError: data that have nothing along the units.
        """
        if letter not in model.indices:
            raise InputError(
                f"{letter!r} is no index set of {model.name}, so its data cannot be taken in "
                "batches. Measure without batch."
            )
        model, raw = _coded(*_with_values(model, raw, letter))
        columns = Columns.of(model, raw)
        explicit = {k: int(v) for k, v in model.values.items() if k in model.sizes}
        sizes = {**model.default_sizes, **columns.sizes(explicit), **explicit}
        span = model.indices[letter].range
        low = solve_low(span.low)
        solved = None if low is None else solve_size(span.high, low)
        if low is None or solved is None or solved[0] not in sizes:
            raise InputError(
                f"How many values {letter} has is not told by a size of its own ({span}), so the "
                "data cannot be taken in batches. Measure without batch."
            )
        count = int(evaluate_index(span.high, sizes, _no_lookup)) - low + 1
        rows = _rows(model, raw, letter, low, count, shorter=solved[0] in explicit)
        if not rows:
            raise DataError(
                f"No column of the data ({raw.source}) runs along [{letter}], so they cannot be "
                "taken in batches."
            )
        varying = {solved[0], *_sizes_of_entries(model, letter)}
        others = {k: v for k, v in sizes.items() if k not in varying and k not in model.givens}
        model = model.replace(values={**model.values, **others})
        raw = replace(raw, source=raw.source + columns.shortened(explicit))
        return cls(model, raw, letter, solved[0], low, rows, np.arange(count))

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, places: np.ndarray) -> Bound:
        """Some units (places among those there are, ascending), bound as a data set of their own.

        Raises:
            DataError: data that do not fit the model.
        """
        units = self.chosen[places]
        columns: dict[str, np.ndarray] = dict(self.raw.columns)
        for name, rows in self.rows.items():
            entries, place = rows.of(units)
            column = self.raw.columns[name]
            if name in self.raw.coded and name in self._labelling:
                columns[name] = place + self.low
            else:
                columns[name] = np.asarray(np.take(column, entries, rows.axis))
        span = self.model.indices[self.letter].range
        solved = solve_size(span.high, self.low + len(units) - 1)
        assert solved is not None
        model = self.model.replace(values={**self.model.values, solved[0]: solved[1]})
        part = replace(self.raw, columns=columns)
        return bind(model, part, require_data=True)

    @property
    def _labelling(self) -> frozenset[str]:
        """Columns whose entries name the unit itself."""
        maps = {g.name for g in self.model.givens.values() if g.member_of == self.letter}
        return frozenset({self.letter, *maps})

    def split(self, fraction: float, seed: int) -> tuple[Units, Units]:
        """Units to fit, and units held out at random.

        Raises:
            InputError: a fraction outside (0, 1), or one that leaves a part empty.
        """
        count = round(fraction * len(self)) if 0 < fraction < 1 else 0
        if not 0 < count < len(self):
            raise InputError(
                f"Holding {fraction:g} of {len(self)} units [{self.letter}] out leaves one part "
                "empty. Choose a --holdout between 0 and 1."
            )
        shuffled = np.random.default_rng(seed).permutation(self.chosen)
        held, kept = np.sort(shuffled[:count]), np.sort(shuffled[count:])
        return replace(self, chosen=kept), replace(self, chosen=held)


def steps(model: Model, letter: str) -> bool:
    """Whether a density reads positions of an index by number or by distance: a series."""
    for factor in model.factors():
        for atom in model.references_in(factor.expression):
            declared = model.variables.get(name_of(atom)) or model.givens[name_of(atom)]
            for axis, s in zip(declared.axes, subscripts_of(atom), strict=False):
                if axis.letter == letter and (s.is_Add or s.is_Integer):
                    return True
    return False


def _sizes_of_entries(model: Model, letter: str) -> set[str]:
    """Sizes of indices whose points belong to units by a map: they change with the batch."""
    entries = {a.letter for g in model.givens.values() if g.member_of == letter for a in g.axes}
    return {s.name for i in entries if i in model.indices
            for s in model.indices[i].range.high.free_symbols}  # fmt: skip


def _no_lookup(atom: object, subscripts: object) -> np.ndarray:
    raise InputError(f"{atom} has no value yet, but the range of the units needs it.")


def _with_values(model: Model, raw: Raw, letter: str) -> tuple[Model, Raw]:
    """Arrays that were set for givens along the units become columns like any other."""
    set_by_hand = {
        g.name: np.asarray(model.values[g.name])
        for g in model.givens.values()
        if g.name in model.values and letter in [a.letter for a in g.axes]
        and np.ndim(model.values[g.name])
    }  # fmt: skip
    if not set_by_hand:
        return model, raw
    values = {k: v for k, v in model.values.items() if k not in set_by_hand}
    return model.replace(values=values), replace(raw, columns={**raw.columns, **set_by_hand})


def _coded(model: Model, raw: Raw) -> tuple[Model, Raw]:
    """Label columns as whole numbers of their index, once and for all batches."""
    found: dict[str, np.ndarray] = {}
    for g in model.givens.values():
        if g.member_of and g.name in raw.columns:
            low = solve_low(model.indices[g.member_of].range.low)
            found[g.name] = labels(raw, g.name, 1 if low is None else low)
    if raw.is_frame:
        letters = {a.letter for v in indexed(model) for a in v.axes}
        for letter in letters & set(raw.columns):
            low = solve_low(model.indices[letter].range.low) if letter in model.indices else 1
            found[letter] = labels(raw, letter, 1 if low is None else low)
    columns = {**raw.columns, **found}
    return model, replace(raw, columns=columns, coded=raw.coded | frozenset(found))


def _rows(
    model: Model, raw: Raw, letter: str, low: int, count: int, *, shorter: bool
) -> dict[str, Rows]:
    """For every column that runs along the units, which entries belong to which.

    `shorter` says that only the first units were asked for.
    """
    maps = [g for g in model.givens.values() if g.member_of == letter and g.name in raw.columns]
    if raw.is_frame:
        by = letter if letter in raw.columns else next((g.name for g in maps), None)
        if by is not None:
            rows = Rows.by_label(0, _within(raw, by, low, count, shorter), count)
        else:
            rows = Rows()
            _covered(raw, next(iter(raw.columns)), 0, letter, count, shorter)
        return dict.fromkeys(raw.columns, rows)
    found: dict[str, Rows] = {}
    for v in indexed(model):
        if v.name not in raw.columns:
            continue
        letters = [a.letter for a in v.axes]
        if letter in letters:
            found[v.name] = Rows(letters.index(letter))
            _covered(raw, v.name, letters.index(letter), letter, count, shorter)
            continue
        for g in maps:
            along = g.axes[0].letter
            if along in letters:
                entries = _within(raw, g.name, low, count, shorter)
                found[v.name] = Rows.by_label(letters.index(along), entries, count)
    return found


def _covered(raw: Raw, name: str, axis: int, letter: str, count: int, shorter: bool) -> None:
    length = raw.columns[name].shape[axis]
    if length != count and not (shorter and length > count):
        raise InputError(
            f"The data for {name!r} have {length} entries along {letter}, which has {count} values:"
            " they cannot be told apart by unit. Measure without batch."
        )


def _within(raw: Raw, name: str, low: int, count: int, shorter: bool) -> np.ndarray:
    """The unit of each entry of a label column, from 0."""
    of_entry = np.asarray(raw.columns[name], np.int64) - low
    if of_entry.min(initial=0) < 0 or (of_entry.max(initial=0) >= count and not shorter):
        raise DataError(
            f"The column {name!r} names units from {of_entry.min() + low} to "
            f"{of_entry.max() + low}, but there are {low} to {low + count - 1}. Mend the data or "
            "the size."
        )
    return of_entry
