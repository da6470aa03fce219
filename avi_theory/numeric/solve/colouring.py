r"""A Hessian with known zeros from few products: columns that share no row are told together.

.. math:: (H d_c)_i = \sum_{j \in c} H_{ij} = H_{i j(i, c)},\qquad d_c = \sum_{j \in c} e_j

where no row outside the hubs meets two columns of one colour c.  Hubs, the points that all others
meet (globals), have products of their own, whose entries are their rows as well: an arrow of N
blocks takes as many products as a block and the hubs are wide, whatever N (Curtis, Powell & Reid,
IMA J. Applied Mathematics 13, 1974; Coleman & Moré, Math. Programming 28, 1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

LEAST_GAIN = 2
"""A pattern is used where it saves this factor of products."""
MOST_STEPS = 1_000_000
"""Ways of two steps in a graph, beyond which it is not coloured."""
CELLS = 4_000_000
"""Entries of Hessian rows that are computed at once."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which entries of a Hessian ``[n, n]`` may differ from zero, and how to read them.

    Attributes:
        seed: ``[n]``, the product in which each parameter takes part.
        products: how many there are.
        rows, columns: entries that are read as they stand, H[i, j] = (H d)[seed[j], i].
        hubs: ``[h]``, parameters whose columns are read whole, and again as their rows.
    """

    seed: np.ndarray
    products: int
    rows: np.ndarray
    columns: np.ndarray
    hubs: np.ndarray

    def seeds(self, like: Tensor) -> Tensor:
        """The vectors to multiply, ``[products, n]``."""
        found = like.new_zeros(self.products, len(self.seed))
        found[self.seed, np.arange(len(self.seed))] = 1.0
        return found

    def matrix(self, products: Tensor) -> Tensor:
        """H from H times each seed."""
        found = products.new_zeros(len(self.seed), len(self.seed))
        found[self.rows, self.columns] = products[self.seed[self.columns], self.rows]
        whole = products[self.seed[self.hubs]]
        found[:, self.hubs] = whole.T
        found[self.hubs] = whole
        return found


def pattern(near: sparse.csr_matrix, widths: np.ndarray) -> Pattern | None:
    """The cheapest pattern for points that meet as in a graph.

    Args:
        near: symmetric ``[P, P]``, nonzero where two points meet.
        widths: ``[P]``, parameters of each point, all of which meet; they lie in order.

    Returns:
        None where no pattern saves enough products.
    """
    total = int(widths.sum())
    degree = np.diff(near.indptr)
    best, fewest = None, total // LEAST_GAIN
    tried = set()
    for least in [2**k for k in range(int(degree.max(initial=0)).bit_length() + 1)]:
        hub = degree > least
        count = int(hub.sum())
        if count in tried or int(widths[hub].sum()) >= fewest:
            continue
        tried.add(count)
        kept = sparse.diags((~hub).astype(float))
        graph = (kept @ near @ kept).tocsr()
        graph.eliminate_zeros()
        if float((np.diff(graph.indptr).astype(float) ** 2).sum()) > MOST_STEPS:
            continue
        colour = greedy((graph + graph @ graph).tocsr())
        wide = np.zeros(int(colour.max(initial=0)) + 1, np.int64)
        np.maximum.at(wide, colour[~hub], widths[~hub])
        products = int(widths[hub].sum() + wide.sum())
        if products < fewest:
            best, fewest = (hub, graph, colour, wide), products
    return None if best is None else _pattern(*best, widths)


def greedy(graph: sparse.csr_matrix) -> np.ndarray:
    """Colours ``[P]`` such that no two neighbours share one: each point's least that is free."""
    colour = np.zeros(graph.shape[0], np.int64)
    linked = np.flatnonzero(np.diff(graph.indptr))
    colour[linked] = -1
    for n in linked.tolist():
        near = graph.indices[graph.indptr[n] : graph.indptr[n + 1]]
        taken = set(colour[near[near != n]].tolist())
        colour[n] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colour


def _pattern(
    hub: np.ndarray, graph: sparse.csr_matrix, colour: np.ndarray, wide: np.ndarray,
    widths: np.ndarray,
) -> Pattern:  # fmt: skip
    """From points to their parameters."""
    first = np.cumsum([0, *widths])[:-1]
    slot = np.arange(int(widths.sum())) - np.repeat(first, widths)
    begin = np.cumsum([0, *wide])
    seed = np.repeat(begin[colour], widths) + slot
    hubs = np.flatnonzero(np.repeat(hub, widths))
    seed[hubs] = begin[-1] + np.arange(len(hubs))
    alone = np.flatnonzero(~hub)
    pairs = graph.tocoo()
    i, j = np.concatenate([alone, pairs.row]), np.concatenate([alone, pairs.col])
    each = widths[i] * widths[j]
    pair = np.repeat(np.arange(len(i)), each)
    at = np.arange(len(pair)) - np.repeat(np.cumsum([0, *each])[:-1], each)
    rows = first[i[pair]] + at // widths[j[pair]]
    columns = first[j[pair]] + at % widths[j[pair]]
    return Pattern(seed, int(begin[-1]) + len(hubs), rows, columns, hubs)


def hessian(g: Tensor, p: Tensor, known: Pattern | None) -> Tensor:
    """∂g/∂p of a gradient g ``[n]``, from as many products as its zeros ask for."""
    if known is None:
        return jacobian(g, p, len(p))
    return known.matrix(products(g, p, known.seeds(p.detach()), len(p)))


def jacobian(g: Tensor, p: Tensor, rows: int) -> Tensor:
    """∂g/∂p, ``[len(g), len(p)]``; `rows` is the size of what g is computed from."""
    return products(g, p, torch.eye(len(g), dtype=g.dtype, device=g.device), rows)


def products(g: Tensor, p: Tensor, seeds: Tensor, rows: int) -> Tensor:
    """Each of some vectors ``[k, len(g)]`` times ∂g/∂p, by batched backward passes."""
    if not g.requires_grad or not len(seeds):
        return p.new_zeros(len(seeds), len(p))
    found = [
        torch.autograd.grad(
            g, p, part, retain_graph=True, is_grads_batched=True, materialize_grads=True
        )[0]
        for part in torch.split(seeds, max(1, CELLS // max(rows, 1)))
    ]
    return torch.cat(found)
