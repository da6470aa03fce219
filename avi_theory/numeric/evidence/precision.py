r"""The precision matrix of a linear-Gaussian model, in time linear in the length of a chain.

.. math:: \Lambda = -\nabla^2 \ell, \qquad \Lambda v = -\nabla(\nabla \ell \cdot v)

Entries of scalar factors are read off their expressions.  The others come from products Λv: with
the latents in an order that gives Λ a small bandwidth w, columns that are 2w + 1 apart share no
row, so that 2w + 1 products tell all of them (Curtis, Powell & Reid, IMA J. Applied Mathematics 13,
1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.lowering import ExpectedFactor, second_derivatives

DENSE = 1500
"""Products Λv, and so latents of a precision matrix without a band, at most."""
WIDEST = 16
"""Points in one instance of a factor, beyond which its band is not looked for."""


@dataclass(frozen=True, eq=False)
class Precision:
    """Λ ``[D, D]``, latents in the order of the families, coordinates innermost.

    Attributes:
        matrix: its entries.
        whole: whether they were formed column by column.
    """

    matrix: sparse.csc_matrix
    whole: bool


def precision_of(elbo: Elbo) -> Precision | None:
    """Λ of a quadratic log density; None if it has neither structure nor a small size."""
    sizes = np.asarray([f.points * f.coordinates for f in elbo.families.values()])
    starts = dict(zip(elbo.families, np.cumsum([0, *sizes])[:-1].tolist(), strict=True))
    total = int(sizes.sum())
    matrix = sparse.csc_matrix((total, total))
    rest = []
    for factor in elbo.factors:
        entries = second_derivatives(factor)
        if entries is None:
            rest.append(factor)
            continue
        for (a, at), (b, bt), values in entries:
            where = (starts[a] + at, starts[b] + bt)
            matrix = matrix + sparse.coo_matrix((-values, where), shape=(total, total)).tocsc()
    if not rest:
        return Precision(matrix, False)
    order, band = _ordered(elbo, rest, total)
    colours = min(total, 2 * band + 1)
    if colours > DENSE:
        return None
    return Precision(matrix + _by_products(elbo, rest, order, band, colours), colours == total)


def banded(matrix: sparse.csc_matrix) -> tuple[np.ndarray, int]:
    """An order of the latents that brings entries near the diagonal, and the bandwidth in it."""
    order = np.asarray(reverse_cuthill_mckee(matrix.tocsr(), symmetric_mode=True))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    rows, columns = matrix.nonzero()
    return order, int(np.abs(place[rows] - place[columns]).max(initial=0))


def _ordered(elbo: Elbo, factors: list[ExpectedFactor], total: int) -> tuple[np.ndarray, int]:
    """An order of the scalar latents, and how far apart in it a factor's latents lie."""
    kinds = elbo.families.values()
    first = dict(zip(elbo.families, np.cumsum([0, *(f.points for f in kinds)])[:-1], strict=True))
    points = sum(f.points for f in kinds)
    links = [np.zeros((2, 0), np.int64)]
    for factor in factors:
        held = [_all(p.positions, factor.count) + first[p.name]
                for p in factor.places if p.positions is not None]  # fmt: skip
        columns = np.concatenate(held, 1) if held else np.zeros((factor.count, 0), np.int64)
        if factor.sums or columns.shape[1] > WIDEST:
            return np.arange(total), total
        links += [columns[:, list(pair)].T for pair in combinations(range(columns.shape[1]), 2)]
    rows, others = np.concatenate(links, 1)
    graph = sparse.coo_matrix((np.ones(len(rows)), (rows, others)), shape=(points, points))
    order = np.asarray(reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True))
    dims = np.concatenate([np.full(f.points, f.coordinates) for f in kinds])
    begin = np.cumsum([0, *dims])[:-1]
    place = np.empty(points, np.int64)
    place[order] = np.cumsum([0, *dims[order]])[:-1]
    low, high = np.minimum(place[rows], place[others]), np.maximum(place[rows], place[others])
    widest = int(dims.max())
    band = max(int((high - low).max(initial=0)), 0) + widest - 1
    scalars = [np.arange(begin[p], begin[p] + dims[p]) for p in order]
    return np.concatenate(scalars), band


def _all(positions: np.ndarray, count: int) -> np.ndarray:
    rows = positions.reshape(len(positions), -1)
    return np.broadcast_to(rows, (count, rows.shape[1]))


def _by_products(
    elbo: Elbo, factors: list[ExpectedFactor], order: np.ndarray, band: int, colours: int
) -> sparse.csc_matrix:
    """Λ from products with vectors of ones that are `colours` apart in the order."""
    shapes = {n: (f.points, f.coordinates) for n, f in elbo.families.items()}
    sizes = [p * d for p, d in shapes.values()]
    total = len(order)

    def level(w: Tensor) -> Tensor:
        parts = dict(zip(shapes, torch.split(w, sizes), strict=True))
        values = {
            n: x.reshape(1, *shapes[n]) if elbo.families[n].vector else x.reshape(1, -1)
            for n, x in parts.items()
        }
        return torch.stack([f.log_density(values, {}).sum() for f in factors]).sum()

    w = torch.zeros(total, dtype=elbo.where.dtype, device=elbo.where.device, requires_grad=True)
    (g,) = torch.autograd.grad(level(w), w, create_graph=True)
    rows = np.arange(total)
    found = []
    for colour in range(colours):
        v = torch.zeros_like(w)
        v[torch.as_tensor(order[colour::colours].copy(), device=w.device)] = 1.0
        (product,) = torch.autograd.grad(g, w, v, retain_graph=True)
        values = -product.cpu().double().numpy()[order]
        columns = np.full(total, colour)
        if colours < total:
            columns = rows + (colour - rows + band) % colours - band
        inside = (columns >= 0) & (columns < total) & (values != 0)
        where = (order[rows[inside]], order[columns[inside]])
        found.append((values[inside], where))
    values = np.concatenate([x for x, _ in found])
    places = np.concatenate([np.stack(at) for _, at in found], 1)
    return sparse.coo_matrix((values, (places[0], places[1])), shape=(total, total)).tocsc()
