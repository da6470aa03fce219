r"""The evidence where locals do not interact: locals integrated one by one, globals sampled.

.. math:: p(x) = \int p(\theta) \prod_n \Big[\int p(z_n, x_n \mid \theta)\, dz_n\Big] d\theta

Each inner integral is one-dimensional (or a sum over categories) and computed to quadrature
accuracy; the outer one is importance sampling with a widened F-VI factor, over the few globals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.families import Family
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.lowering import ExpectedFactor

DRAWS = 2000
WIDER = 1.4
REACH, SPACING = 12.0, 0.4
CELLS = 4_000_000
MOST_GLOBALS = 12


def by_local_integrals(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """For models whose factors each hold one local point at most; None elsewhere."""
    split = _split(elbo)
    if split is None:
        return None
    outer, inner = split
    if sum(elbo.families[n].points for n in outer) > MOST_GLOBALS:
        return None
    generator = torch.Generator().manual_seed(seed)
    draws, log_q = _globals(elbo, fvi, outer, generator)
    count = len(log_q)
    step = max(1, CELLS // max(_width(elbo, inner), 1))
    parts = []
    with torch.no_grad():
        for start in range(0, count, step):
            some = {n: v[start : start + step] for n, v in draws.items()}
            parts.append(_given_globals(elbo, fvi, some, inner, min(step, count - start)))
    weights = np.concatenate(parts) - log_q
    if not np.all(np.isfinite(weights)):
        return Evidence.unknown("the integral over the globals does not exist numerically")
    if count == 1:
        return Evidence(float(weights[0]), "exact: one-dimensional integrals")
    return summed(weights, "local integrals by quadrature, globals by importance sampling")


def summed(log_weights: np.ndarray, method: str, *, least: float = 30.0) -> Evidence:
    """log mean exp with its standard error by the delta method; None if few draws carry it."""
    value = float(logsumexp(log_weights) - math.log(len(log_weights)))
    relative = np.exp(log_weights - value)
    effective = float(relative.sum() ** 2 / (relative**2).sum())
    if effective < least:
        return Evidence.unknown(
            f"importance sampling is unreliable here: an effective sample of {effective:.0f} out "
            f"of {len(log_weights)}"
        )
    error = float(relative.std(ddof=1) / math.sqrt(len(relative)))
    return Evidence(value, method, error)


def _split(elbo: Elbo) -> tuple[list[str], list[str]] | None:
    """(variables sampled, variables integrated one by one), or None if points interact."""
    inner = [n for n, f in elbo.families.items() if f.points > 1 or f.discrete]
    for name in list(inner):
        if elbo.families[name].vector:
            return None
    interacting: set[str] = set()
    for factor in elbo.factors:
        if factor.sums:
            return None
        points = _points(factor, inner)
        if points is None:
            interacting |= {n for n in factor.latents if n in inner}
    discrete = {n for n in interacting if elbo.families[n].discrete}
    coupled = {n for n in interacting if elbo.families[n].points <= MOST_GLOBALS} - discrete
    inner = [n for n in inner if n not in coupled]
    if any(_points(f, inner) is None for f in elbo.factors):
        return None
    return [n for n in elbo.families if n not in inner], inner


def _points(factor: ExpectedFactor, inner: list[str]) -> int | None:
    """How many inner points an instance holds (0 or 1); None for more."""
    held = [p for p in factor.places if p.positions is not None and p.name in inner]
    held_sites = [name for name, _ in factor.sites if name in inner]
    if any(p.rank or (p.positions is not None and p.positions.ndim > 1) for p in held):
        return None
    count = len(held) + len(held_sites)
    return count if count <= 1 else None


def _width(elbo: Elbo, inner: list[str]) -> int:
    nodes = 2 * round(REACH / SPACING) + 1
    widest = 1
    for factor in elbo.factors:
        uses = any(n in inner and not elbo.families[n].discrete for n in factor.latents)
        widest = max(widest, factor.count * (nodes if uses else 1))
    return widest


def _globals(
    elbo: Elbo, fvi: Fit, outer: list[str], generator: torch.Generator
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Draws of the sampled variables from a widened Student-like proposal, and its log density."""
    if not outer:
        return {}, np.zeros(1)
    draws, log_q = {}, np.zeros(DRAWS)
    q = elbo.marginals(fvi.tables)
    for name in outer:
        mean, log_sd = q[name].mean, q[name].log_sd
        assert mean is not None and log_sd is not None
        shape = (DRAWS, *mean.shape)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        scale = torch.where(
            torch.rand(DRAWS, generator=generator).reshape(-1, *[1] * mean.dim()) < 0.2, 3.0, 1.0
        ).double() * WIDER  # fmt: skip
        x = (scale * noise).to(elbo.where.device, elbo.where.dtype)
        draws[name] = mean.detach() + log_sd.detach().exp() * x
        each = x.reshape(DRAWS, -1).cpu().double()
        size = each.shape[1]
        norm = 0.5 * (each**2).sum(1)
        base = float(log_sd.sum()) + 0.5 * size * math.log(2 * math.pi)
        narrow = -norm / WIDER**2 - size * math.log(WIDER)
        wide = -norm / (3 * WIDER) ** 2 - size * math.log(3 * WIDER)
        mixed = torch.logaddexp(narrow + math.log(0.8), wide + math.log(0.2))
        log_q = log_q + (mixed - base).numpy()
    return draws, log_q


def _given_globals(
    elbo: Elbo, fvi: Fit, draws: Mapping[str, Tensor], inner: list[str], count: int
) -> np.ndarray:
    """log p(x, θ) at each draw of the globals, ``[S]``."""
    q = elbo.marginals(fvi.tables)
    total = torch.zeros(count, dtype=elbo.where.dtype, device=elbo.where.device)
    nodes: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}
    for name in inner:
        family = elbo.families[name]
        sums[name], values = _blank(family, q[name].mean, q[name].log_sd, count, total)
        if values is not None:
            nodes[name] = values
    for factor in elbo.factors:
        held = [n for n in factor.latents if n in inner]
        if not held:
            total = total + factor.log_density(draws, {})
            continue
        name = held[0]
        family = elbo.families[name]
        if family.discrete:
            each = factor.pointwise_instances(draws, count)
            index = factor.site_index(name, family.categories)
            flat = sums[name].reshape(count, -1).index_add(1, index, each)
            sums[name] = flat.reshape(sums[name].shape)
            continue
        k = nodes[name].shape[0]
        tables = {n: v.repeat(k, *[1] * (v.dim() - 1)) for n, v in draws.items()}
        points = nodes[name].repeat_interleave(count, 0)
        each = factor.pointwise_instances({**tables, name: points}, k * count)
        index = factor.place_index(name)
        flat = each.new_zeros(k * count, family.points).index_add(1, index, each)
        sums[name] = sums[name] + flat.reshape(k, count, family.points)
    for name in inner:
        family = elbo.families[name]
        if family.discrete:
            total = total + torch.logsumexp(sums[name], -1).sum(-1)
        else:
            log_sd = q[name].log_sd
            assert log_sd is not None
            integral = torch.logsumexp(sums[name], 0) + math.log(SPACING) + log_sd
            total = total + integral.sum(-1)
    return total.cpu().double().numpy()


def _blank(
    family: Family, mean: Tensor | None, log_sd: Tensor | None, count: int, like: Tensor
) -> tuple[Tensor, Tensor | None]:
    if family.discrete:
        return like.new_zeros(count, family.points, family.categories), None
    assert mean is not None and log_sd is not None
    half = round(REACH / SPACING)
    x = torch.arange(-half, half + 1, dtype=like.dtype, device=like.device) * SPACING
    values = mean.detach() + log_sd.detach().exp() * x[:, None]
    return like.new_zeros(len(x), count, family.points), values
