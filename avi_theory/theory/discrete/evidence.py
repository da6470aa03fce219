r"""The evidence of a discrete pairwise model: sum one site out after the other.

.. math:: \log p(x) = \log \sum_z \exp\Big(\sum_i u_i(z_i) + \sum_{i\sim j}\psi_{ij}(z_i,z_j)\Big)
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

import numpy as np
from scipy.special import logsumexp

from avi_theory.theory.discrete.field import Field

MOST_ENTRIES = 2**24


def log_evidence(field: Field) -> np.ndarray | None:
    """log p(x) at each data set, nats, ``[D]``; None where a table would grow too large.

    Exact, by variable elimination in the order of fewest neighbours; a chain is linear in its
    length.
    """
    held: dict[int, tuple[tuple[int, ...], np.ndarray]] = {}
    near: list[set[int]] = [set() for _ in range(field.sites)]
    of_site: list[set[int]] = [set() for _ in range(field.sites)]
    number = count()

    def put(scope: tuple[int, ...], table: np.ndarray) -> None:
        key = next(number)
        held[key] = (scope, table)
        for i in scope:
            of_site[i].add(key)
            near[i] |= set(scope) - {i}

    for i in range(field.sites):
        put((i,), field.unary[:, i])
    for e, (i, j) in enumerate(zip(field.first.tolist(), field.second.tolist(), strict=True)):
        put((i, j), field.pair[:, e])
    total = np.zeros(len(field.unary))
    states = field.unary.shape[2]
    queue = [(len(near[i]), i) for i in range(field.sites)]
    heapify(queue)
    done: set[int] = set()
    while queue:
        degree, site = heappop(queue)
        if site in done or degree != len(near[site]):
            continue
        scope = (site, *sorted(near[site]))
        if len(field.unary) * states ** len(scope) > MOST_ENTRIES:
            return None
        product = np.zeros((1,) * (1 + len(scope)))
        for key in sorted(of_site[site]):
            own, table = held.pop(key)
            for i in own:
                if i != site:
                    of_site[i].discard(key)
            product = product + _spread(table, own, scope)
        summed = logsumexp(product, axis=1)
        done.add(site)
        for i in near[site]:
            near[i].discard(site)
        if len(scope) == 1:
            total = total + summed
        else:
            put(scope[1:], summed)
        for i in scope[1:]:
            heappush(queue, (len(near[i]), i))
    return np.asarray(total)


def _spread(table: np.ndarray, own: tuple[int, ...], scope: tuple[int, ...]) -> np.ndarray:
    """A table over `own` with an axis for each site of `scope`."""
    order = sorted(range(len(own)), key=lambda a: scope.index(own[a]))
    moved = np.transpose(table, (0, *(1 + a for a in order)))
    present = set(own)
    shape = [len(moved)]
    sizes = iter(moved.shape[1:])
    shape += [next(sizes) if i in present else 1 for i in scope]
    return moved.reshape(shape)
