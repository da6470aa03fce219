r"""The evidence where locals do not interact, or form discrete chains: globals are sampled.

.. math:: p(x) = \int p(\theta) \prod_n \Big[\int p(z_n, x_n \mid \theta)\, dz_n\Big] d\theta

Each inner integral is one-dimensional (or a sum over categories, or over a chain by message
passing) and computed to quadrature accuracy; so is the outer one for one or two globals, otherwise
it is importance sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from scipy import special
from scipy.special import logsumexp
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.chain import chain_levels
from avi_theory.numeric.evidence.layout import Layout, Part, layout_of
from avi_theory.numeric.families import Family
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.lowering import ExpectedFactor

DRAWS = 2000
WIDER = 1.4
REACH, SPACING, FINE_SPACING = 12.0, 0.4, 0.02
"""Of the locals' nodes, in standard deviations; fine where a density has kinks."""
CELLS = 4_000_000
MOST_GLOBALS = 12
MOST_CELLS = 200_000_000
"""Of the largest grid over the globals."""
MOST_DRAWN = 2_000_000_000
"""Of all proposals: minutes on one core; a larger model gets no estimate."""
ROUNDS = (500, 1000, DRAWS)


def by_local_integrals(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """For models whose factors each hold one local point at most, or link discrete chains."""
    if split(elbo) is None:
        return None
    return integrated(Level(elbo, fvi), seed)


class Joint(Protocol):
    """log p(x, θ) as a function of standardised globals.

    Attributes:
        size: of the globals; points: theirs; width: numbers that one evaluation takes.
    """

    size: int
    points: int
    width: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """At rows ``[S, size]``."""


def integrated(level: Joint, seed: int) -> Evidence | None:
    """The integral over the globals; None for too many."""
    if level.points > MOST_GLOBALS:
        return None
    if not level.size:
        return Evidence(float(level(np.zeros((1, 0)))[0]), "exact: one-dimensional integrals")
    if level.size <= 2:
        found = by_grid(level)
        if found is not None:
            return found
    if sum(ROUNDS) * level.width > MOST_DRAWN:
        return Evidence.unknown(
            f"{sum(ROUNDS)} draws of the globals, each with {level.width} nodes of the locals, "
            "would take too long"
        )
    return by_proposals(level, seed)


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


def split(elbo: Elbo) -> tuple[list[str], list[str], Layout | None] | None:
    """(variables sampled, variables summed or integrated, their chains); None if points interact.

    Discrete points may interact along chains.
    """
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
    linked = [n for n in inner if n in interacting and elbo.families[n].discrete]
    coupled = {n for n in interacting if elbo.families[n].points <= MOST_GLOBALS} - {*linked}
    inner = [n for n in inner if n not in coupled]
    layout = layout_of(elbo, linked) if linked else None
    chained = layout.first if layout is not None else {}
    for factor in elbo.factors:
        among = [n for n in factor.latents if n in inner]
        if _points(factor, inner) is None and not (among and all(n in chained for n in among)):
            return None
    return [n for n in elbo.families if n not in inner], inner, layout


def _points(factor: ExpectedFactor, inner: list[str]) -> int | None:
    """How many inner points an instance holds (0 or 1); None for more."""
    held = [p for p in factor.places if p.positions is not None and p.name in inner]
    held_sites = [name for name, _ in factor.sites if name in inner]
    if any(p.rank or (p.positions is not None and p.positions.ndim > 1) for p in held):
        return None
    count = len(held) + len(held_sites)
    return count if count <= 1 else None


class Level:
    """log p(x, θ) as a function of standardised globals: θ = m + s·x with F-VI's m and s."""

    def __init__(self, elbo: Elbo, fvi: Fit) -> None:
        parts = split(elbo)
        assert parts is not None
        outer, inner, layout = parts
        self._elbo, self._fvi, self._inner, self._layout = elbo, fvi, inner, layout
        self._q = elbo.marginals(fvi.tables)
        self._shapes = {}
        self.log_scale = 0.0
        for name in outer:
            mean, log_sd = self._q[name].mean, self._q[name].log_sd
            assert mean is not None and log_sd is not None
            self._shapes[name] = mean.shape
            self.log_scale += float(log_sd.sum())
        self.size = sum(math.prod(s) for s in self._shapes.values())
        self.points = sum(elbo.families[n].points for n in outer)
        self.width = _width(elbo, inner)
        self._step = max(1, CELLS // self.width)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """log p(x, θ) + log|dθ/dx| at rows ``[S, size]``."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(x), self._step):
                rows = x[start : start + self._step]
                draws, at = {}, 0
                for name, shape in self._shapes.items():
                    mean, log_sd = self._q[name].mean, self._q[name].log_sd
                    assert mean is not None and log_sd is not None
                    width = math.prod(shape)
                    block = self._elbo.where.tensor(rows[:, at : at + width])
                    draws[name] = mean + log_sd.exp() * block.reshape(-1, *shape)
                    at += width
                parts.append(self._given(draws, len(rows)))
        return np.concatenate(parts) + self.log_scale

    def _given(self, draws: Mapping[str, Tensor], count: int) -> np.ndarray:
        """log p(x, θ) at each draw of the globals, ``[S]``."""
        elbo, inner, layout = self._elbo, self._inner, self._layout
        chained = layout.first if layout is not None else {}
        total = torch.zeros(count, dtype=elbo.where.dtype, device=elbo.where.device)
        nodes: dict[str, Tensor] = {}
        sums: dict[str, Tensor] = {}
        parts: list[Part] = []
        for name in inner:
            mean, log_sd = self._q[name].mean, self._q[name].log_sd
            family = elbo.families[name]
            sums[name], values = _blank(family, mean, log_sd, count, total, _spacing(elbo))
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
                if name in chained:
                    parts.append((factor, each if each.stride(0) else each[:1]))
                    continue
                index = factor.site_index(name, family.categories)
                flat = sums[name].reshape(count, -1).index_add(1, index, each)
                sums[name] = flat.reshape(sums[name].shape)
                continue
            k = nodes[name].shape[0]
            tables = {n: v.repeat(k, *[1] * (v.dim() - 1)) for n, v in draws.items()}
            points = nodes[name].repeat_interleave(count, 0)
            each = factor.pointwise_instances({**tables, name: points}, k * count)
            index = factor.place_index(name).to(each.device)
            flat = each.new_zeros(k * count, family.points).index_add(1, index, each)
            sums[name] = sums[name] + flat.reshape(k, count, family.points)
        if layout is not None:
            total = total + chain_levels(layout, parts, count)
        for name in inner:
            if name in chained:
                continue
            if elbo.families[name].discrete:
                total = total + torch.logsumexp(sums[name], -1).sum(-1)
            else:
                log_sd = self._q[name].log_sd
                assert log_sd is not None
                integral = torch.logsumexp(sums[name], 0) + math.log(_spacing(elbo)) + log_sd
                total = total + integral.sum(-1)
        return total.cpu().double().numpy()


def by_grid(level: Joint) -> Evidence | None:
    """One or two globals: the trapezoidal rule under a sinh map, first coarse, then fitted.

    The map reaches far into exponential tails; the error is what halving the spacing changes.
    """
    nodes, log_weight = _grid(level.size, 3.5, 0.5, 1.5)
    log_p = level(nodes) + log_weight
    if not np.any(np.isfinite(log_p)):
        return None
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    centre = weight @ nodes
    root = np.linalg.cholesky(np.cov(nodes.T, aweights=weight, ddof=0).reshape(
        level.size, level.size) + 0.05 * np.eye(level.size))  # fmt: skip
    shift = float(np.log(np.diag(root)).sum())
    before, value, error = math.inf, math.inf, math.inf
    for spacing in (0.4, 0.2, 0.1, 0.05):
        nodes, log_weight = _grid(level.size, 3.2, spacing, 1.0)
        if len(nodes) * level.width > MOST_CELLS:
            break
        value = float(logsumexp(level(centre + nodes @ root.T) + log_weight)) + shift
        error, before = abs(value - before), value
        if error < 5e-4:
            break
    if not math.isfinite(value) or not error < 0.02:
        return None
    return Evidence(value, "quadrature over globals and locals", error if error > 1e-6 else 0.0)


def _grid(size: int, reach: float, spacing: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x = scale·sinh(t) ``[S, size]`` and log weights."""
    half = round(reach / spacing)
    t = spacing * np.arange(-half, half + 1)
    x, log_w = scale * np.sinh(t), np.log(spacing * scale * np.cosh(t))
    grid = np.stack([a.ravel() for a in np.meshgrid(*[x] * size, indexing="ij")], -1)
    weights = np.stack([a.ravel() for a in np.meshgrid(*[log_w] * size, indexing="ij")]).sum(0)
    return grid, weights


def by_proposals(level: Joint, seed: int) -> Evidence:
    """Importance sampling over the globals: Student proposals, fitted twice to their weights."""
    generator = np.random.default_rng(seed)
    centre: np.ndarray = np.zeros(level.size)
    root: np.ndarray = WIDER * np.eye(level.size)
    for round_, count in enumerate(ROUNDS):
        x, log_q = _student(generator, centre, root, count)
        log_weight = level(x) - log_q
        if not np.any(np.isfinite(log_weight)):
            return Evidence.unknown("the integral over the globals does not exist numerically")
        if round_ == 2:
            break
        weight = np.nan_to_num(np.exp(log_weight - np.nanmax(log_weight)))
        weight = weight / weight.sum()
        centre = np.asarray(weight @ x)
        spread = np.atleast_2d(np.cov(x.T, aweights=weight, ddof=0))
        root = np.linalg.cholesky(spread + 0.05 * np.eye(level.size))
    return summed(
        np.nan_to_num(log_weight, nan=-np.inf),
        "local integrals by quadrature, globals by importance sampling",
    )


def _student(
    generator: np.random.Generator, centre: np.ndarray, root: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws from a multivariate Student distribution, and their log density."""
    size, df = len(centre), 5.0
    normal = generator.standard_normal((count, size))
    scale = np.sqrt(df / generator.chisquare(df, count))
    z = normal * scale[:, None]
    log_q = (
        special.gammaln((df + size) / 2) - special.gammaln(df / 2)
        - 0.5 * size * math.log(df * math.pi) - np.log(np.diag(root)).sum()
        - 0.5 * (df + size) * np.log1p((z**2).sum(1) / df)
    )  # fmt: skip
    return centre + z @ root.T, log_q


def _spacing(elbo: Elbo) -> float:
    return SPACING if all(f.smooth for f in elbo.factors) else FINE_SPACING


def _width(elbo: Elbo, inner: list[str]) -> int:
    nodes = 2 * round(REACH / _spacing(elbo)) + 1
    widest = 1
    for factor in elbo.factors:
        uses = any(n in inner and not elbo.families[n].discrete for n in factor.latents)
        widest = max(widest, factor.count * (nodes if uses else 1))
    return widest


def _blank(
    family: Family,
    mean: Tensor | None,
    log_sd: Tensor | None,
    count: int,
    like: Tensor,
    spacing: float,
) -> tuple[Tensor, Tensor | None]:
    if family.discrete:
        return like.new_zeros(count, family.points, family.categories), None
    assert mean is not None and log_sd is not None
    half = round(REACH / spacing)
    x = torch.arange(-half, half + 1, dtype=like.dtype, device=like.device) * spacing
    values = mean.detach() + log_sd.detach().exp() * x[:, None]
    return like.new_zeros(len(x), count, family.points), values
