r"""Families of inference functions as linear spaces: m = F β, one block of β per function.

Rows are the scalar coordinates of all locals.  Rows that share a function form a *class*; a row
with missing inputs has a function of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from scipy import sparse

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound
from avi_theory.theory.features import Columns, tie_groups
from avi_theory.theory.forms import Matrix
from avi_theory.theory.functions import FunctionClass

MOST_FEATURES = 3000


@dataclass(frozen=True, eq=False)
class Design:
    """Features of the locals' means.

    Attributes:
        classes: the function of each row, ``[n]``, numbered from 0.
        known: the deterministic part of the features, ``[n, columns]``.
        row, column, source, weight: the random part, one entry per term.  Sources number drawn
            observations, and from `drawn` on the functionals.
        functionals: weights ``[drawn, functionals]`` of random numbers that every row sees.
        groups: for each column, the class it belongs to.
    """

    classes: np.ndarray
    known: Matrix
    row: np.ndarray
    column: np.ndarray
    source: np.ndarray
    weight: np.ndarray
    functionals: Matrix
    groups: np.ndarray

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.known.shape[1])


def same(a: Design, b: Design) -> bool:
    """Whether two designs hold the same numbers, hence the same functions."""
    if a.known.shape != b.known.shape or a.functionals.shape != b.functionals.shape:
        return False
    if (a.known != b.known).nnz or (a.functionals != b.functionals).nnz:
        return False
    names = ("classes", "row", "column", "source", "weight", "groups")
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names)


def variance_cost(diagonal: np.ndarray, classes: np.ndarray) -> float:
    r"""½ Σ over classes of [N log mean Λₙₙ − Σ log Λₙₙ]: the price of one shared scale, in nats.

    The best shared variance of a class is 1 / mean(Λₙₙ).

    Example:
        >>> variance_cost(np.array([2.0, 2.0, 5.0]), np.array([0, 0, 1]))
        0.0
    """
    size = np.bincount(classes)
    mean = np.bincount(classes, diagonal) / np.maximum(size, 1)
    used = size > 0
    cost = 0.5 * (size[used] @ np.log(mean[used]) - np.log(diagonal).sum())
    return float(cost) if np.ptp(diagonal) > 0 and np.any(size > 1) else 0.0


def clean(gap: float, latents: int) -> float:
    """The gap without rounding errors of a sum over all latents: no negative, no spurious zero.

    Example:
        >>> clean(-1e-14, 10), clean(0.5, 10)
        (0.0, 0.5)
    """
    return 0.0 if gap < 1e-12 * latents else gap


def monomials(values: np.ndarray, degree: int) -> np.ndarray:
    """All monomials of total degree at most `degree` of the columns, the constant first.

    Raises:
        InputError: there are too many.
    """
    count, width = values.shape
    if comb(width + degree, degree) > MOST_FEATURES:
        raise InputError(
            f"A polynomial of degree {degree} in {width} inputs has "
            f"{comb(width + degree, degree):,} coefficients, more than {MOST_FEATURES:,}. "
            "Use fewer inputs or a lower degree."
        )
    features = [np.ones(count)]
    for d in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(width), d):
            features.append(np.prod(values[:, chosen], axis=1))
    return np.stack(features, 1)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and size 1 (the same polynomials, better conditioned)."""
    centred = values - values.mean(0)
    size = np.sqrt((centred**2).mean(0))
    return centred / np.where(size > 0, size, 1.0)


def _orthonormal(features: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the features' span."""
    q, r, _ = _pivoted(features)
    keep = np.abs(np.diagonal(r)) > 1e-11 * np.abs(r[0, 0])
    return q[:, : len(keep)][:, keep]


def _pivoted(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.linalg import qr

    return qr(features, mode="economic", pivoting=True)


class _Assembly:
    """Collects blocks of a design."""

    def __init__(self, rows: int) -> None:
        self.classes = np.full(rows, -1)
        self.known: list[tuple[np.ndarray, ...]] = []
        self.random: list[tuple[np.ndarray, ...]] = []
        self.groups: list[int] = []
        self.functionals: list[tuple[np.ndarray, ...]] = []
        self.count = 0

    def new_class(self, rows: np.ndarray, features: int) -> int:
        """The first column of a new class's block."""
        start = len(self.groups)
        self.classes[rows] = self.count
        self.groups += [self.count] * features
        self.count += 1
        return start

    def own_classes(self, rows: np.ndarray) -> np.ndarray:
        """One intercept column for each row."""
        start = len(self.groups)
        self.classes[rows] = self.count + np.arange(len(rows))
        self.groups += list(range(self.count, self.count + len(rows)))
        self.count += len(rows)
        return start + np.arange(len(rows))

    def design(self, drawn: int = 0) -> Design:
        width = len(self.groups)
        row, col, value = _joined(self.known, 3)
        known = sparse.csr_matrix((value, (row, col)), (len(self.classes), width))
        r, c, source, weight = _joined(self.random, 4)
        source = np.where(source >= 0, source, drawn - 1 - source)
        sizes = [len(f[0]) for f in self.functionals]
        where = _joined(self.functionals, 2)
        functionals = sparse.csr_matrix(
            (where[1], (where[0], np.repeat(np.arange(len(sizes)), sizes))), (drawn, len(sizes))
        )
        groups = np.asarray(self.groups, np.int64)
        return Design(self.classes, known, r, c, source, weight, functionals, groups)


def _joined(parts: list[tuple[np.ndarray, ...]], width: int) -> list[np.ndarray]:
    if not parts:
        return [np.zeros(0, np.int64) for _ in range(width)]
    return [np.concatenate(p) for p in zip(*parts, strict=True)]


def dataset_design(
    bound: Bound, found: Mapping[str, Columns], function: FunctionClass, per_position: bool
) -> Design:
    """Features on one data set.

    A row with a function of its own has a free mean: an indicator.  For all functions, rows with
    equal inputs share one free mean.

    Raises:
        InputError: too many monomials.
    """
    assembly = _Assembly(bound.latents)
    start = 0
    for v in bound.model.locals:
        c, dim = found[v.name], bound.dim(v)
        points = np.arange(len(c.offset))
        complete = c.complete
        shared = np.zeros(len(points), bool) if per_position else complete
        ties = tie_groups(c) if function.degree is None and not per_position else None
        basis = None
        if ties is None and np.any(shared):
            assert function.degree is not None
            features = monomials(_standardised(c.offset[shared]), function.degree)
            basis = _orthonormal(features)
        for k in range(dim):
            rows = start + points * dim + k
            if ties is not None:
                _, inverse = np.unique(ties, return_inverse=True)
                inverse = inverse.reshape(-1)
                first = len(assembly.groups)
                groups = int(inverse.max()) + 1
                assembly.classes[rows] = assembly.count + inverse
                assembly.groups += list(range(assembly.count, assembly.count + groups))
                assembly.count += groups
                assembly.known.append((rows, first + inverse, np.ones(len(rows))))
                continue
            if basis is not None:
                first = assembly.new_class(rows[shared], basis.shape[1])
                r, j = np.indices(basis.shape)
                assembly.known.append((rows[shared][r.ravel()], first + j.ravel(), basis.ravel()))
            own = rows[~shared]
            assembly.known.append((own, assembly.own_classes(own), np.ones(len(own))))
        start += len(points) * dim
    return assembly.design()


def averaged_design(
    bound: Bound,
    found: Mapping[str, Columns],
    function: FunctionClass,
    per_position: bool,
    drawn: int,
) -> Design:
    """Features in the averaging regimes: affine in the random inputs.

    Deterministic inputs (covariates, positions) enter a polynomial with all its monomials; for
    all functions, rows with different deterministic inputs have different functions.

    Raises:
        InputError: too many monomials.
    """
    assembly = _Assembly(bound.latents)
    start = 0
    for v in bound.model.locals:
        c, dim = found[v.name], bound.dim(v)
        points = np.arange(len(c.offset))
        earlier = len(assembly.functionals)
        c = replace(c, source=np.where(c.source >= 0, c.source, c.source - earlier))
        assembly.functionals += c.functionals
        for k in range(dim):
            rows = start + points * dim + k
            _averaged_block(assembly, c, rows, function, per_position)
        start += len(points) * dim
    return assembly.design(drawn)


def _averaged_block(
    assembly: _Assembly, c: Columns, rows: np.ndarray, function: FunctionClass, per_position: bool
) -> None:
    complete = c.complete & (not per_position)
    random = c.random
    fixed = c.offset[:, ~random]
    if function.degree is None and np.any(complete):
        keys = np.concatenate([fixed, c.reading, np.zeros((len(fixed), 1))], 1)[complete]
        _, inverse = np.unique(keys, axis=0, return_inverse=True)
        inverse = inverse.reshape(-1)
        if inverse.max() > 0 and len(inverse) == inverse.max() + 1:
            complete = np.zeros(len(rows), bool)  # all different: a function each
        else:
            shared = np.flatnonzero(complete)
            for g in range(int(inverse.max()) + 1):
                _shared_block(assembly, c, rows, shared[inverse == g], np.ones((1, 1)))
    elif np.any(complete):
        degree = function.degree or 0
        at = np.flatnonzero(complete)
        standard = _standardised(fixed[at])
        _shared_block(assembly, c, rows, at, monomials(standard, degree),
                      monomials(standard, degree - 1) if degree else None)  # fmt: skip
    own = ~complete
    if np.any(own):
        _own_block(assembly, c, rows, own)


def _shared_block(
    assembly: _Assembly,
    c: Columns,
    rows: np.ndarray,
    at: np.ndarray,
    alone: np.ndarray,
    beside: np.ndarray | None = None,
) -> None:
    """One function: its deterministic features, and random columns times lower monomials."""
    alone = np.broadcast_to(alone, (len(at), alone.shape[1]))
    if beside is None:
        beside = alone[:, :1]
    random = np.flatnonzero(c.random)
    width = alone.shape[1] + len(random) * beside.shape[1]
    first = assembly.new_class(rows[at], width)
    r, j = np.indices(alone.shape)
    assembly.known.append((rows[at][r.ravel()], first + j.ravel(), alone.ravel()))
    place = np.full(len(c.offset), -1)
    place[at] = np.arange(len(at))
    column = first + alone.shape[1]
    for x in random:
        entries = np.flatnonzero((c.column == x) & (place[c.point] >= 0))
        inside = place[c.point[entries]]
        for b in range(beside.shape[1]):
            factor = beside[:, b]
            assembly.known.append((rows[at], np.full(len(at), column), factor * c.offset[at, x]))
            assembly.random.append(
                (rows[c.point[entries]], np.full(len(entries), column), c.source[entries],
                 c.weight[entries] * factor[inside])
            )  # fmt: skip
            column += 1


def _own_block(assembly: _Assembly, c: Columns, rows: np.ndarray, own: np.ndarray) -> None:
    """A function of its own for each row: an intercept, and its available random inputs."""
    mine = rows[own]
    intercept = assembly.own_classes(mine)
    assembly.known.append((mine, intercept, np.ones(len(mine))))
    group = np.asarray(assembly.groups)[intercept]
    place = np.full(len(c.offset), -1)
    place[own] = np.arange(len(mine))
    available = ~np.isnan(c.offset[c.point, c.column]) & (place[c.point] >= 0)
    entries = np.flatnonzero(available)
    pairs = np.stack([place[c.point[entries]], c.column[entries]], 1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    first = len(assembly.groups)
    assembly.groups += list(group[unique[:, 0]])
    assembly.known.append(
        (mine[unique[:, 0]], first + np.arange(len(unique)),
         c.offset[own][unique[:, 0], unique[:, 1]])
    )  # fmt: skip
    assembly.random.append(
        (rows[c.point[entries]], first + inverse.reshape(-1), c.source[entries],
         c.weight[entries])
    )  # fmt: skip
