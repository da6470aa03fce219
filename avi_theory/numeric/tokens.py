"""Inputs as rows with masks: what functions of sets, series and units see.

Whole ranges (``x[:]``, ``y[g,:]``), members of a map (``y[i: g[i]=n]``) and windows (``x[t-1]``,
``x[t]``, ``x[t+1]``) become tokens, aligned by their place: a covariate stands beside the
observation that it belongs to.  Everything else becomes fixed columns.  Absent cells, at edges or
``missing``, are marked and never make a point incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avi_theory.errors import InputError
from avi_theory.numeric.layout import Layout
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import Input, resolve
from avi_theory.spec.model import Variable
from avi_theory.spec.tables import evaluate_index

MOST_CATEGORIES = 64
MOST_NUMBERS = 200_000_000
WINDOW = "window"
_SHIFTED = re.compile(r"^(\w+)(?:([+-])(\d+))?$")


def masked(bound: Bound, local: Variable, texts: Sequence[str]) -> tuple[np.ndarray, Layout]:
    """Rows ``[P, F]`` of one local's inputs at all its points, and how to read them.

    Raises:
        InputError: an input that the model does not have, or rows too long to hold.
    """
    builder = _Builder(bound, local)
    inputs = resolve(bound, local, texts)
    moved = {i.name for i in inputs if any(o for _, o in builder.offsets(i) or ())}
    groups: dict[str, list[Input]] = {}
    fixed: list[Input] = []
    for i in inputs:
        if i.values is not None or i.averaged:
            fixed.append(i)
        elif i.open:
            groups.setdefault(i.bracket, []).append(i)
        elif i.name in moved:
            groups.setdefault(WINDOW, []).append(i)
        else:
            fixed.append(i)
    frames = [builder.frame(key, members) for key, members in groups.items()]
    columns = [*map(builder.column, fixed), *builder.places(groups)]
    return _rows(builder.count, columns, frames)


@dataclass(frozen=True, eq=False)
class _Frame:
    """Tokens of one kind: inputs aligned by place.

    Attributes:
        places: ``[L, A]``; valid, own: ``[P, L]``.
        columns: one per input, numbers and their mark last, ``[P, L, k + 1]``.
    """

    places: np.ndarray
    valid: np.ndarray
    own: np.ndarray
    columns: list[np.ndarray]


def _rows(count: int, columns: list[np.ndarray], frames: list[_Frame]) -> tuple[np.ndarray, Layout]:
    fixed = np.concatenate([np.zeros((count, 0)), *columns], 1)
    sizes = tuple(c.shape[1] - 1 for c in columns)
    if not frames:
        return fixed, Layout(sizes)
    axes = 1 + max(f.places.shape[1] for f in frames)
    kinds = len(frames) if len(frames) > 1 else 0
    widths = [c.shape[-1] for f in frames for c in f.columns]
    layout = Layout(sizes, (*(w - 1 for w in widths), *([kinds] if kinds else [])), axes)
    length = sum(len(f.places) for f in frames)
    if count * length * layout.each > MOST_NUMBERS:
        raise InputError(
            f"Each of {count:,} points would see {length:,} places, more numbers than fit. "
            "Give a window of neighbours (--window K) instead of the whole series."
        )
    tokens = np.zeros((count, length, layout.each))
    own = np.zeros((count, length))
    row, at = 0, 1 + axes
    for k, f in enumerate(frames):
        rows = slice(row, row + len(f.places))
        own[:, rows] = f.own
        tokens[:, rows, 0] = f.valid
        tokens[:, rows, 1] = k
        tokens[:, rows, 2 : 2 + f.places.shape[1]] = f.places
        for c in f.columns:
            tokens[:, rows, at : at + c.shape[-1]] = c
            at += c.shape[-1]
        if kinds:
            tokens[:, rows, -1 - kinds + k] = tokens[:, rows, -1] = f.valid
        row += len(f.places)
    return layout.joined(fixed, own, tokens), layout


class _Builder:
    """The inputs of one local as columns and tokens."""

    def __init__(self, bound: Bound, local: Variable) -> None:
        self._bound, self._local = bound, local
        self._points = bound.tables[local.name].points
        self.count = len(self._points)

    def offsets(self, i: Input) -> tuple[tuple[str, int], ...] | None:
        """Letter and offset per axis of ``x[t-1]``; None where an index is anything else."""
        found = []
        for text in i.subscripts:
            match = _SHIFTED.match(text)
            if match is None or match[1] not in self._local.letters:
                return None
            found.append((match[1], int(f"{match[2] or '+'}{match[3] or 0}")))
        return tuple(found)

    def column(self, i: Input) -> np.ndarray:
        """A fixed input with its mark, ``[P, k + 1]``."""
        if i.values is not None:
            return _marked(i.values[:, None].astype(float), np.ones(self.count, bool))
        if i.averaged:
            return self._average(i)
        assert i.cells is not None
        numbers, marks = self._numbers(i.name, i.cells[:, 0])
        found = _marked(numbers, marks)
        return np.broadcast_to(found, (self.count, found.shape[1]))

    def _average(self, i: Input) -> np.ndarray:
        if i.members is not None and i.starts is not None:
            cells = _padded(i.members, i.starts)
        else:
            assert i.cells is not None
            cells = i.cells
        numbers, marks = self._numbers(i.name, cells, whole=True)
        total = (numbers * marks[..., None]).sum(1) / np.maximum(marks.sum(1), 1)[:, None]
        found = _marked(total, np.asarray(marks.any(1)))
        return np.broadcast_to(found, (self.count, found.shape[1]))

    def places(self, groups: dict[str, list[Input]]) -> list[np.ndarray]:
        """The position inside the unit, where no token stands at it."""
        told: set[str] = set()
        for key, members in groups.items():
            if key == WINDOW:
                return []
            told |= set(re.findall(r"\w+", key))
            told |= {a for i in members for a, _ in self._matched(i)}
        letters = self._local.letters
        left = [k for k, a in enumerate(letters) if a not in told] if groups else []
        full = np.ones(self.count, bool)
        return [_marked(self._points[:, [k]].astype(float), full) for k in left]

    def frame(self, key: str, members: list[Input]) -> _Frame:
        """Inputs that are written with the same brackets, or the cells of a window."""
        series: dict[str, list[Input]] = {}
        for i in members:
            series.setdefault(i.name if key == WINDOW else i.text, []).append(i)
        parts = [self._cells(one, key) for one in series.values()]
        used = [np.argwhere((cells >= 0).any(0))[:, 0] for cells, _ in parts]
        keys = np.concatenate([at[k] for (_, at), k in zip(parts, used, strict=True)])
        places, inverse = np.unique(keys, axis=0, return_inverse=True)
        splits = np.cumsum([len(k) for k in used])[:-1]
        columns, valid = [], np.zeros((self.count, len(places)), bool)
        own = valid.copy()
        for (i, *_), (cells, _), k, to in zip(
            series.values(), parts, used, np.split(inverse.reshape(-1), splits), strict=True
        ):
            dense = np.full((len(cells), len(places)), -1)
            dense[:, to] = cells[:, k]
            numbers, marks = self._numbers(i.name, dense)
            column = _marked(numbers, marks)
            columns.append(np.broadcast_to(column, (self.count, *column.shape[1:])))
            valid |= dense >= 0
            own |= self._own(i, dense, places, key)
        return _Frame(places.astype(float), valid, own & valid, columns)

    def _cells(self, series: list[Input], key: str) -> tuple[np.ndarray, np.ndarray]:
        """Cells ``[P or 1, L]``, -1 where there is none, and their places ``[L, A]``."""
        i = series[0]
        if key == WINDOW:
            offsets = [dict(self.offsets(one) or ()) for one in series]
            places = [[o.get(a, 0) for a in self._local.letters] for o in offsets]
            shifted = [one.cells for one in series if one.cells is not None]
            return np.concatenate(shifted, 1), np.asarray(places)
        if i.members is not None and i.starts is not None:
            cells = _padded(i.members, i.starts)
            return cells, np.arange(cells.shape[1])[:, None]
        assert i.cells is not None
        cells = i.cells[:1] if i.fixed else i.cells
        coordinates = self._bound.tables[i.name].points[:, list(i.open)]
        row = int((cells >= 0).sum(1).argmax()) if len(cells) else 0
        first = coordinates[cells[row]] if len(cells) else np.zeros((0, len(i.open)))
        return cells, first

    def _matched(self, i: Input) -> list[tuple[str, int]]:
        """Open axes that run along a letter of the local."""
        declared = self._bound.model.variables.get(i.name) or self._bound.model.givens[i.name]
        return [
            (a.letter, k) for k, a in enumerate(declared.axes)
            if k in i.open and a.letter in self._local.letters
        ]  # fmt: skip

    def _own(self, i: Input, cells: np.ndarray, places: np.ndarray, key: str) -> np.ndarray:
        if key == WINDOW:
            return np.broadcast_to((places == 0).all(1), (self.count, len(places)))
        matched = self._matched(i)
        if not matched:
            return np.zeros((self.count, len(places)), bool)
        found = np.broadcast_to(cells >= 0, (self.count, len(places))).copy()
        points = self._bound.tables[i.name].points
        for letter, axis in matched:
            here = self._points[:, [self._local.letters.index(letter)]]
            found &= points[cells, axis] == here
        return found

    def _numbers(
        self, name: str, cells: np.ndarray, *, whole: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values at cells as numbers ``[…, k]`` (categories one-hot), and which are present."""
        known = np.asarray(self._bound.known[name], float)
        if name not in self._bound.tables:
            known = known.reshape(1, -1)
        filled = cells >= 0
        present = self._bound.present.get(name)
        if present is not None:
            filled = filled & present[cells]
        values = known[cells].reshape(*cells.shape, -1)
        low, count = (0, 0) if whole else self._categories(name)
        if 2 < count <= MOST_CATEGORIES and values.shape[-1] == 1:
            values = (values == np.arange(low, low + count)).astype(float)
        return np.where(filled[..., None], np.nan_to_num(values), 0.0), filled

    def _categories(self, name: str) -> tuple[int, int]:
        """The least category of a categorical variable or a map, and how many there are."""
        bound, model = self._bound, self._bound.model
        variable = model.variables.get(name)
        if variable is not None:
            if variable.categories is None:
                return 0, 0
            return 0, int(evaluate_index(variable.categories, bound.sizes, bound.lookup))
        inside = model.indices.get(model.givens[name].member_of or "")
        if inside is None or inside.parents:
            return 0, 0
        ends = (inside.range.low, inside.range.high)
        low, high = (int(evaluate_index(e, bound.sizes, bound.lookup)) for e in ends)
        return low, high - low + 1


def _marked(numbers: np.ndarray, marks: np.ndarray) -> np.ndarray:
    return np.concatenate([numbers * marks[..., None], marks[..., None].astype(float)], -1)


def _padded(members: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sets as rows, -1 where there is no member."""
    lengths = np.diff(starts)
    rows = np.full((len(lengths), int(lengths.max(initial=0))), -1)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    rows[owner, np.arange(len(members)) - np.repeat(starts[:-1], lengths)] = members
    return rows
