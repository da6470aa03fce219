r"""The evidence of purely discrete models, by variable elimination.

.. math:: p(x) = \sum_z \prod_f \phi_f(z)

One latent is summed out at a time, the one with the fewest neighbours first; on a chain this is the
forward algorithm.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import logsumexp

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.fit import Fit

MAX_CELLS = 2_000_000
MAX_SITES = 20_000
Factor = tuple[tuple[int, ...], np.ndarray]


def by_elimination(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """Exact for models whose latents are all discrete; None elsewhere."""
    if not all(f.discrete for f in elbo.families.values()):
        return None
    sites = sum(f.points for f in elbo.families.values())
    if sites > MAX_SITES:
        return Evidence.unknown(f"{sites:,} discrete latents are too many to sum out one by one")
    factors, constant = _tables(elbo)
    value = _eliminate(factors)
    if value is None:
        return Evidence.unknown("the discrete latents are too densely connected to be summed out")
    return Evidence(value + constant, "exact: variable elimination")


def _tables(elbo: Elbo) -> tuple[list[Factor], float]:
    kinds = elbo.families
    points = [f.points for f in kinds.values()]
    first = dict(zip(kinds, np.cumsum([0, *points])[:-1].tolist(), strict=True))
    found: list[Factor] = []
    constant = 0.0
    for factor in elbo.factors:
        constant += factor.constant
        if not factor.sites:
            continue
        with torch.no_grad():
            each = factor.instances({}, {}).expand(factor.count).cpu().double().numpy()
        shape = tuple(kinds[name].categories for name, _ in factor.sites)
        joint = math.prod(shape)
        tables = each.reshape(-1, *shape)
        for k, table in enumerate(tables):
            scope = tuple(first[name] + int(at[k * joint]) for name, at in factor.sites)
            found.append(_merged(scope, table))
    return found, constant


def _merged(scope: tuple[int, ...], table: np.ndarray) -> Factor:
    """A factor that holds one point twice becomes one of its diagonal."""
    for a in range(len(scope)):
        for b in range(a + 1, len(scope)):
            if scope[a] == scope[b]:
                diagonal = np.moveaxis(np.diagonal(table, axis1=a, axis2=b), -1, a)
                return _merged(scope[:b] + scope[b + 1 :], diagonal)
    return scope, table


def _eliminate(factors: list[Factor]) -> float | None:
    """log Σ over all sites, or None if an intermediate table grows too large."""
    touching: dict[int, dict[int, Factor]] = {}
    value = 0.0
    for number, factor in enumerate(factors):
        for site in factor[0]:
            touching.setdefault(site, {})[number] = factor
    number = len(factors)
    near = {s: {x for f in fs.values() for x in f[0]} - {s} for s, fs in touching.items()}
    waiting = set(touching)
    while waiting:
        site = min(waiting, key=lambda s: len(near[s])) if len(waiting) < 3000 else next(
            (s for s in waiting if len(near[s]) <= 1), min(waiting, key=lambda s: len(near[s]))
        )  # fmt: skip
        waiting.discard(site)
        scope = (site, *sorted(near[site]))
        involved = list(touching[site].items())
        sizes = {x: n for _, (s, t) in involved for x, n in zip(s, t.shape, strict=True)}
        if math.prod(sizes[x] for x in scope) > MAX_CELLS:
            return None
        total = np.zeros([sizes[x] for x in scope])
        for key, (own, table) in involved:
            order = [own.index(x) for x in scope if x in own]
            shape = [sizes[x] if x in own else 1 for x in scope]
            total = total + np.transpose(table, order).reshape(shape)
            for x in own:
                touching[x].pop(key, None)
        summed = logsumexp(total, axis=0)
        rest = scope[1:]
        if not rest:
            value += float(summed)
            continue
        for x in rest:
            touching[x][number] = (rest, summed)
            near[x] = (near[x] | set(rest)) - {site, x}
        number += 1
    return value
