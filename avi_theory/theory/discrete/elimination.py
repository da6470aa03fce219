r"""Draws from a discrete model: sum one site out after the other, then draw them backwards.

.. math:: p(y_i \mid y_{\text{later}}) \propto \prod_{f \ni i} f(y_i, y_{\text{later}})

The product holds the factors, and the messages of the sites summed out before i.  Exact, also for
models with potentials; a chain costs time linear in its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

import numpy as np
from scipy.special import logsumexp, softmax

MOST_ENTRIES = 2**20

Table = tuple[tuple[int, ...], np.ndarray]
"""Sites, each once, and the log factor over their states, one axis a site."""


class TooWide(Exception):
    """Summing the sites out needs a table that is too large."""


def draw(
    tables: Sequence[Table], states: Sequence[int], count: int, generator: np.random.Generator
) -> np.ndarray:
    """Independent draws of all sites, ``[count, sites]``.

    Args:
        tables: log factors of a joint density, normalised or not.
        states: the number of states of each site.
        count: how many draws.
        generator: the source of randomness.

    Raises:
        TooWide: a table of more than `MOST_ENTRIES` entries would be needed.

    Example:
        >>> sure = [((0,), np.log([0.5, 0.5])), ((0, 1), np.log([[1, 1e-300], [1e-300, 1]]))]
        >>> found = draw(sure, [2, 2], 100, np.random.default_rng(0))
        >>> bool(np.all(found[:, 0] == found[:, 1]))
        True
    """
    values = np.zeros((len(states), count), np.int64)
    for site, others, product in reversed(_eliminated(tables, states)):
        logits = product[(slice(None), *(values[i] for i in others))]
        chances = np.cumsum(softmax(logits, 0).reshape(states[site], -1), 0)
        values[site] = (generator.random(count) > chances[:-1]).sum(0)
    return values.T


def _eliminated(
    tables: Sequence[Table], states: Sequence[int]
) -> list[tuple[int, tuple[int, ...], np.ndarray]]:
    """In order: each site, its neighbours when it was summed out, and the product over them."""
    held = dict(enumerate(tables))
    near: list[set[int]] = [set() for _ in states]
    of_site: list[set[int]] = [set() for _ in states]

    def enter(key: int) -> None:
        scope = held[key][0]
        for i in scope:
            of_site[i].add(key)
            near[i] |= set(scope) - {i}

    for key in held:
        enter(key)
    queue = [(len(n), i) for i, n in enumerate(near)]
    heapify(queue)
    done: set[int] = set()
    steps: list[tuple[int, tuple[int, ...], np.ndarray]] = []
    while queue:
        degree, site = heappop(queue)
        if site in done or degree != len(near[site]):
            continue
        done.add(site)
        scope = (site, *sorted(near[site]))
        shape = tuple(states[i] for i in scope)
        if np.prod(shape, dtype=float) > MOST_ENTRIES:
            raise TooWide(f"{len(scope)} variables would have to be summed out together")
        product = np.zeros(shape)
        for key in sorted(of_site[site]):
            own, table = held.pop(key)
            product = product + _spread(table, own, scope)
            for i in own:
                of_site[i].discard(key)
        steps.append((site, scope[1:], product))
        key = len(tables) + len(steps)
        held[key] = (scope[1:], logsumexp(product, axis=0))
        for i in scope[1:]:
            near[i].discard(site)
        enter(key)
        for i in scope[1:]:
            heappush(queue, (len(near[i]), i))
    return steps


def _spread(table: np.ndarray, own: tuple[int, ...], scope: tuple[int, ...]) -> np.ndarray:
    """A table over `own` with an axis for each site of `scope`."""
    order = sorted(range(len(own)), key=lambda a: scope.index(own[a]))
    moved = np.transpose(table, order)
    sizes = iter(moved.shape)
    present = set(own)
    return moved.reshape([next(sizes) if i in present else 1 for i in scope])
