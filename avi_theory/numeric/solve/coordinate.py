r"""Coordinate ascent: exact updates of discrete factors, groups of independent points at a time.

.. math:: q(z_n = k) \propto \exp \mathbb E_{q(z_{-n})}[\log p(z_n = k, z_{-n}, \dots)]

E_q[log p] is linear in the probabilities of each point, so the exponent is its derivative in them.
Points that share no statement are updated together; those that do, in turn, so that no update can
lower the ELBO.  Gamma, Beta and Dirichlet factors have natural-gradient updates, exact where the
model is conjugate; other continuous factors follow by Newton's method in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.factors import Factors
from avi_theory.numeric.solve.colouring import greedy
from avi_theory.numeric.solve.conjugate import conjugate, natural_updates
from avi_theory.numeric.solve.newton import newton
from avi_theory.numeric.solve.problem import Options, Problem

Tables = dict[str, Tensor]
LEAST = -500.0


def colours(elbo: Elbo) -> list[dict[str, np.ndarray]]:
    """Groups of discrete points such that no statement holds two points of one group.

    A greedy colouring of the graph of points that share an instance: two groups for a chain, one
    where no discrete latents interact.
    """
    names = [n for n, f in elbo.families.items() if f.discrete]
    first = dict(
        zip(names, np.cumsum([0, *(elbo.families[n].points for n in names)])[:-1], strict=True)
    )
    total = sum(elbo.families[n].points for n in names)
    rows, columns = [], []
    for factor in elbo.factors:
        sites = [first[name] + positions for name, positions in factor.sites]
        for k, a in enumerate(sites):
            for b in sites[k + 1 :]:
                rows += [a, b]
                columns += [b, a]
    colour = np.zeros(total, np.int64)
    if rows:
        i, j = np.concatenate(rows), np.concatenate(columns)
        graph = sparse.csr_matrix((np.ones(len(i)), (i, j)), shape=(total, total))
        colour = greedy(graph)
    groups = []
    for c in range(int(colour.max(initial=0)) + 1):
        chosen = np.flatnonzero(colour == c)
        group = {}
        for name in names:
            inside = chosen - first[name]
            group[name] = inside[(inside >= 0) & (inside < elbo.families[name].points)]
        groups.append(group)
    return groups


def coordinate_ascent(
    elbo: Elbo, tables: Mapping[str, Tensor], *, sweeps: int = 60, tolerance: float = 1e-7
) -> Tables:
    """Sweep until the ELBO gains less than `tolerance` nats: a start for Newton's method."""
    current = {k: v.detach().clone() for k, v in tables.items()}
    groups = colours(elbo) if any(f.discrete for f in elbo.families.values()) else []
    continuous = [n for n, f in elbo.families.items() if not f.discrete and not conjugate(f)]
    before = -np.inf
    for _ in range(sweeps):
        current = natural_updates(elbo, current)
        if continuous:
            current = _follow(elbo, current, continuous)
        for group in groups:
            _update(elbo, current, group)
        with torch.no_grad():
            after = float(elbo(current))
        if not np.isfinite(after) or after - before < tolerance:
            break
        before = after
    return current


def _update(elbo: Elbo, tables: Tables, group: Mapping[str, np.ndarray]) -> None:
    """The best factors of one group of points, given all others."""
    q: dict[str, Factors] = {}
    leaves: dict[str, Tensor] = {}
    for name, family in elbo.families.items():
        factors = family.factors(tables[name].detach())
        if family.discrete:
            leaf = factors.probability.detach().requires_grad_(True)
            leaves[name] = leaf
            factors = Factors(log_probability=factors.log_probability, weights=leaf)
        q[name] = factors
    slopes = torch.autograd.grad(
        elbo.expected(q), list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    for (name, _), slope in zip(leaves.items(), slopes, strict=True):
        rows = torch.as_tensor(group[name], device=slope.device)
        logits = (slope[:, :-1] - slope[:, -1:]).index_select(0, rows)
        logits = torch.nan_to_num(logits, nan=0.0).clamp(LEAST, -LEAST)
        tables[name] = tables[name].index_copy(0, rows, logits[:, None, :])


def _follow(elbo: Elbo, tables: Tables, names: list[str]) -> Tables:
    """A few Newton steps on the continuous factors, the discrete ones held."""
    sizes = [tables[n].numel() for n in names]
    fixed = {n: t for n, t in tables.items() if n not in names}

    def split(p: Tensor) -> Tables:
        parts = torch.split(p, sizes)
        return {n: x.reshape(tables[n].shape) for n, x in zip(names, parts, strict=True)}

    def objective(p: Tensor) -> Tensor:
        return -elbo({**fixed, **split(p)})

    scales: Callable[[Tensor], Tensor] = torch.ones_like
    start = torch.cat([tables[n].reshape(-1) for n in names])
    run = newton(Problem(objective, scales), start, Options(1e-6, 5))
    return {**fixed, **split(run.parameters)}
