"""Which positions of which data sets show a function the same inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import Input
from avi_theory.theory.discrete.build import NotDiscrete
from avi_theory.theory.discrete.field import Field
from avi_theory.theory.forms import Matrix


def classes(
    bound: Bound, field: Field, resolved: Mapping[str, tuple[Input, ...]], per_position: bool
) -> np.ndarray:
    """A number for each (data set, site), equal where one function sees equal inputs.

    A position with missing inputs has a function of its own, of the inputs that it has.

    Args:
        bound: the model at its sizes.
        field: the data sets.
        resolved: the inputs of each local.
        per_position: whether each position has its own function.
    """
    parts, start = [], 0
    for v in bound.model.locals:
        points = bound.tables[v.name].size
        code = np.zeros((len(field.data), points), np.int64)
        complete = np.ones((1, points), bool)
        for x in resolved[v.name]:
            for column in _columns(bound, field, x, points):
                complete = complete & ~np.isnan(column).any(0)[None]
                code = _refined(code, column)
        letters = sorted({a for x in resolved[v.name] for a in x.reading})
        at = [v.letters.index(a) for a in letters]
        for column in bound.tables[v.name].points[:, at].T:
            code = _refined(code, column[None].astype(float))
        own = np.arange(1, points + 1)[None].astype(float)
        alone = own if per_position else np.where(complete, 0.0, own)
        code = _refined(code, alone)
        parts.append(code + start)
        start += int(code.max()) + 1
    return np.concatenate(parts, 1)


def inputs_by_class(
    bound: Bound, field: Field, resolved: Mapping[str, tuple[Input, ...]], found: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that a polynomial sees, and the function it is, by class.

    Args:
        bound: the model at its sizes.
        field: the data sets.
        resolved: the inputs of each local.
        found: what `classes` says.

    Returns:
        values: ``[classes, inputs]``, NaN where an input does not exist.
        function: ``[classes]``: one number for each local's shared function, and one for each
            position with missing inputs.

    Raises:
        NotDiscrete: a set of varying size is among the inputs.
    """
    count = int(found.max()) + 1
    width = max((sum(_width(x) for x in r) for r in resolved.values()), default=0)
    values, function = np.full((count, width), np.nan), np.zeros(count, np.int64)
    start = 0
    for v in bound.model.locals:
        points = bound.tables[v.name].size
        own = found[:, start : start + points]
        at = 0
        for x in resolved[v.name]:
            if x.members is not None and not x.averaged:
                raise NotDiscrete("a polynomial of a set of varying size is not worked out")
            for column in _columns(bound, field, x, points):
                values[own, at] = column
                at += 1
        incomplete = np.isnan(values[own, :at]).any(-1)
        where = np.broadcast_to(np.arange(start + 1, start + points + 1), own.shape)
        function[own] = np.where(incomplete, where, -1 - start)
        start += points
    return values, function


def _width(x: Input) -> int:
    return 1 if x.averaged or x.cells is None else x.cells.shape[1]


def _refined(code: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The code of the pair (code, column)."""
    _, ranks = np.unique(column, return_inverse=True)
    ranks = ranks.reshape(column.shape)
    joined = code * (int(ranks.max(initial=0)) + 1) + ranks
    _, dense = np.unique(joined, return_inverse=True)
    return np.asarray(dense.reshape(joined.shape))


def _columns(bound: Bound, field: Field, x: Input, points: int) -> list[np.ndarray]:
    """The values of an input, each ``[D or 1, points]``; NaN where it does not exist."""
    if x.values is not None:
        return [np.asarray(x.values, float)[None]]
    table = _values(bound, field, x)
    if x.members is not None:
        assert x.starts is not None
        return _sets(table, x.members, x.starts, x.averaged)
    assert x.cells is not None
    cells = np.broadcast_to(x.cells, (points, x.cells.shape[1]))
    values = np.where(cells >= 0, table[:, np.maximum(cells, 0)], np.nan)
    if x.averaged:
        with np.errstate(invalid="ignore"):
            return [np.asarray(np.nanmean(values, -1)).round(12)]
    return [values[..., j] for j in range(values.shape[-1])]


def _values(bound: Bound, field: Field, x: Input) -> np.ndarray:
    """What the data sets say of a variable, ``[D or 1, points of the table]``."""
    if x.role == "given":
        return np.asarray(bound.known[x.name], float).reshape(1, -1)
    size = bound.tables[x.name].size
    own = np.full(size, np.nan)
    if x.name in bound.known:
        own = np.array(bound.known[x.name], float).reshape(size)
    mask = bound.present.get(x.name)
    if mask is not None:
        own[~mask] = np.nan
    numbers = [(p, k) for (name, p), k in field.cells.items() if name == x.name]
    if not numbers:
        return own[None]
    values = np.repeat(own[None], len(field.data), 0)
    at, number = map(list, zip(*numbers, strict=True))
    values[:, at] = field.data[:, number]
    return values


def _sets(
    table: np.ndarray, members: np.ndarray, starts: np.ndarray, averaged: bool
) -> list[np.ndarray]:
    """A multiset by how often it holds each value; or its mean."""
    shown = table[:, members]
    sizes = np.diff(starts)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    if averaged:
        sums = (_members(owner, len(sizes)) @ shown.T).T
        with np.errstate(invalid="ignore", divide="ignore"):
            return [np.round(sums / sizes, 12)]
    found = []
    for value in np.unique(shown[~np.isnan(shown)]):
        found.append((_members(owner, len(sizes)) @ (shown == value).T.astype(float)).T)
    return found


def _members(owner: np.ndarray, count: int) -> Matrix:
    size = len(owner)
    return sparse.csr_matrix((np.ones(size), (owner, np.arange(size))), (count, size))
