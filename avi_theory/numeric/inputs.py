"""What an inference function sees, as numbers: one row of features per index point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avi_theory.numeric.layout import Layout
from avi_theory.numeric.tokens import masked
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import Input, resolve
from avi_theory.spec.model import Variable


@dataclass(frozen=True, eq=False)
class Seen:
    """The inputs of one local at all its points.

    Attributes:
        texts: the inputs as written.
        values: ``[P, F]``, all that can be told apart: a set as its sorted values, padded, with a
            mark for each filled place; 0 where there is no cell.
        pooled: ``[P, F']``, what polynomials use: a set as its sum and its size.
        complete: ``[P]``, whether every input has its value there; other points are edges.
    """

    texts: tuple[str, ...]
    values: np.ndarray
    pooled: np.ndarray
    complete: np.ndarray


View = Literal["values", "pooled", "masked"]
"""Everything that can be told apart; what polynomials use; tokens with masks."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What one function sees of one local.

    Attributes:
        texts: the inputs as written.
        rows: ``[P, F]``.
        complete: ``[P]``, which points the function serves; the others have their own parameters.
        layout: how to read the rows.
    """

    texts: tuple[str, ...]
    rows: np.ndarray
    complete: np.ndarray
    layout: Layout

    @property
    def fitted(self) -> np.ndarray:
        """The rows that the function serves."""
        return self.rows[self.complete]


def look(bound: Bound, local: Variable, texts: Sequence[str], view: View) -> Sight:
    """What a function that takes this view of the inputs sees.

    Raises:
        InputError: an input that the model does not have.
    """
    if view == "masked":
        rows, layout = masked(bound, local, texts)
        return Sight(tuple(dict.fromkeys(texts)), rows, np.ones(len(rows), bool), layout)
    sees = seen(bound, local, texts)
    rows = sees.pooled if view == "pooled" else sees.values
    return Sight(sees.texts, rows, sees.complete, Layout())


def seen(bound: Bound, local: Variable, texts: Sequence[str]) -> Seen:
    """Gather the inputs of a local.

    A function that reads a whole row (``x[:]``, or ``y[g,:]`` for ``z[g,t]``) does so from its own
    position, which is among its `Seen.values`.

    Raises:
        InputError: an input that the model does not have.
    """
    inputs = resolve(bound, local, texts)
    points = bound.tables[local.name].points
    count = len(points)
    columns, pooled = [np.zeros((count, 0))], [np.zeros((count, 0))]
    complete = np.ones(count, bool)
    known = sorted({a for i in inputs for a in i.reading})
    columns.append(points[:, [local.letters.index(a) for a in known]].astype(float))
    for group in _sets(inputs):
        rows, sums = _set_columns(bound, group, _own_members(bound, local, group[0]))
        columns.append(rows)
        pooled.append(sums)
    for i in inputs:
        if i.members is not None and not i.averaged:
            continue
        values, full = _columns(bound, i, count)
        columns.append(values)
        pooled.append(values)
        complete &= full
    found = [np.nan_to_num(np.concatenate(c, 1), nan=0.0) for c in (columns, pooled)]
    return Seen(tuple(i.text for i in inputs), found[0], found[1], complete)


def _columns(bound: Bound, i: Input, count: int) -> tuple[np.ndarray, np.ndarray]:
    if i.values is not None:
        return i.values[:, None].astype(float), np.ones(count, bool)
    known = np.asarray(bound.known[i.name], float)
    known = known.reshape(1, -1) if i.name not in bound.tables else known
    present = bound.present.get(i.name)
    if i.members is not None and i.starts is not None:
        lengths = np.diff(i.starts)
        owner = np.repeat(np.arange(count), lengths)
        sums = np.bincount(owner, weights=known[i.members], minlength=count)
        return (sums / np.maximum(lengths, 1))[:, None], lengths > 0
    assert i.cells is not None
    cells = i.cells if not i.fixed or i.averaged else i.cells[:1]
    filled = cells >= 0
    if present is not None:
        filled &= present[cells]
    found = np.where(filled.reshape(*filled.shape, *[1] * (known.ndim - 1)), known[cells], np.nan)
    full = filled.all(1)
    if i.averaged:
        with np.errstate(invalid="ignore"):
            total = np.nansum(found, 1) / np.maximum(filled.sum(1), 1).reshape(
                -1, *[1] * (known.ndim - 1)
            )
        found, full = total[:, None], filled.any(1)
    found = found.reshape(len(found), -1)
    return np.broadcast_to(found, (count, found.shape[1])), np.broadcast_to(full, (count,))


def _sets(inputs: Sequence[Input]) -> list[list[Input]]:
    """Sets that are written with the same brackets hold the same members, so they stay paired."""
    groups: dict[object, list[Input]] = {}
    for i in inputs:
        if i.members is not None and i.starts is not None and not i.averaged:
            groups.setdefault((i.bracket, i.starts.tobytes()), []).append(i)
    return list(groups.values())


def _own_members(bound: Bound, local: Variable, i: Input) -> np.ndarray | None:
    """Which members stand at the point's own place, where the set runs along the local's letter."""
    declared = bound.model.variables.get(i.name) or bound.model.givens[i.name]
    matched = [(k, a.letter) for k, a in enumerate(declared.axes)
               if k in i.open and a.letter in local.letters]  # fmt: skip
    if not matched or i.members is None or i.starts is None:
        return None
    owner = np.repeat(np.arange(len(i.starts) - 1), np.diff(i.starts))
    there = bound.tables[i.name].points[i.members]
    here = bound.tables[local.name].points[owner]
    same = [there[:, k] == here[:, local.letters.index(a)] for k, a in matched]
    return np.logical_and.reduce(same)


def _set_columns(
    bound: Bound, group: Sequence[Input], own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sets as (members, sorted, padded and marked) and as (their sums and, if it varies, size).

    Covariates of a member stay beside its observations, and a mark tells the point's own member.
    """
    starts = group[0].starts
    assert starts is not None
    parts, filled = [], []
    for i in group:
        assert i.members is not None
        values = np.asarray(bound.known[i.name], float)[i.members]
        parts.append(values.reshape(len(values), -1))
        present = bound.present.get(i.name)
        if present is not None:
            filled.append(present[i.members])
            parts[-1] = np.where(filled[-1][:, None], parts[-1], 0.0)
    summed = sum(p.shape[1] for p in parts)
    if len(group) > 1:
        parts += [f[:, None].astype(float) for f in filled]
    if own is not None:
        parts.append(own[:, None].astype(float))
    values = np.concatenate(parts, 1)
    lengths = np.diff(starts)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    if filled:
        keep = np.logical_or.reduce(filled)
        values, owner = values[keep], owner[keep]
        lengths = np.bincount(owner, minlength=len(lengths))
    first = np.cumsum(lengths) - lengths
    order = np.lexsort((*values.T[::-1], owner))
    padded = np.zeros((len(lengths), int(lengths.max(initial=0)), values.shape[1]))
    padded[owner, np.arange(len(values)) - np.repeat(first, lengths)] = values[order]
    members = padded.reshape(len(lengths), -1)
    plain = values[:, :summed].T
    sums = np.stack([np.bincount(owner, weights=v, minlength=len(lengths)) for v in plain], 1)
    if np.ptp(lengths) == 0:
        return members, sums
    marks = np.arange(int(lengths.max())) < lengths[:, None]
    size = lengths[:, None].astype(float)
    return np.concatenate([members, marks], 1), np.concatenate([sums, size], 1)
