"""Factors as users read them: means, standard deviations and quantiles by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special, stats
from torch import Tensor

from avi_theory.numeric.families import Family, natural
from avi_theory.results.measurement import Posterior
from avi_theory.spec.bound import Bound

LEVELS = (0.05, 0.5, 0.95)


def summarise(
    bound: Bound,
    families: Mapping[str, Family],
    tables: Mapping[str, Tensor],
    exact: Mapping[str, np.ndarray] | None = None,
) -> Posterior:
    """The posterior of every latent whose table is given.

    Args:
        bound: for the labels.
        families: of the latents.
        tables: their factors' parameters.
        exact: true marginals instead of the factors': probabilities ``[P, S]`` of discrete
            latents, standard deviations ``[P, d]`` of Normal ones.
    """
    names: list[str] = []
    columns: list[np.ndarray] = []
    probabilities: dict[str, tuple[float, ...]] = {}
    for name, table in tables.items():
        family = families[name]
        labels = _labels(bound, family)
        names += labels
        numbers = table.detach().cpu().double().numpy()
        if family.discrete:
            p = family.factors(table.detach()).probability.cpu().double().numpy()
            p = p if exact is None else exact[name]
            columns.append(_categorical(p))
            probabilities |= {
                n: tuple(float(x) for x in row) for n, row in zip(labels, p, strict=True)
            }
        elif family.kind == "Dirichlet":
            columns.append(_simplex(np.exp(numbers[..., 0])))
        elif family.kind == "Point":
            value = _transformed(family, numbers[..., 0].ravel())
            columns.append(np.stack([value, np.zeros_like(value), *[value] * len(LEVELS)]))
        elif family.law != "normal":
            columns.append(_lawful(family, table))
        else:
            q = family.factors(table.detach().cpu().double())
            assert q.mean is not None and q.log_sd is not None
            log_sd = q.log_sd.numpy() if exact is None else np.log(exact[name])
            columns.append(_continuous(family, q.mean.numpy().ravel(), log_sd.ravel()))
    mean, sd, low, median, high = np.concatenate(columns, 1) if columns else np.zeros((5, 0))
    return Posterior(tuple(names), mean, sd, low, median, high, probabilities)


def _labels(bound: Bound, family: Family) -> list[str]:
    table = bound.tables[family.name]
    labels = [table.label(k) for k in range(table.size)]
    if not family.vector:
        return labels
    return [f"{label}[{d}]" for label in labels for d in range(family.coordinates)]


def _continuous(family: Family, m: np.ndarray, log_sd: np.ndarray) -> np.ndarray:
    s = np.exp(log_sd)
    at = [m + s * stats.norm.ppf(level) for level in LEVELS]
    if family.chart == "identity":
        return np.stack([m, s, *at])
    if family.chart == "exp":
        mean = np.exp(m + s**2 / 2)
        return np.stack([mean, mean * np.sqrt(np.expm1(s**2)), *(np.exp(a) for a in at)])
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    values = _transformed(family, m[:, None] + s[:, None] * nodes)
    mean = values @ weights
    sd = np.sqrt(((values - mean[:, None]) ** 2) @ weights)
    return np.stack([mean, sd, *(_transformed(family, a) for a in at)])


def _transformed(family: Family, u: np.ndarray) -> np.ndarray:
    """The latent at u."""
    if family.chart == "exp":
        return np.asarray(np.exp(u))
    if family.chart == "logistic":
        return np.asarray(family.low + (family.high - family.low) * special.expit(u))
    return u


def _lawful(family: Family, table: Tensor) -> np.ndarray:
    """Gamma, inverse Gamma and Beta factors; a moment that does not exist is infinite."""
    pair = natural(family.law, table.detach().cpu().double())
    alpha, beta = (x.numpy().ravel() for x in pair)
    if family.law == "beta":
        found = stats.beta(alpha, beta, family.low, family.high - family.low)
    elif family.law == "gamma":
        found = stats.gamma(alpha, scale=1 / beta)
    else:
        found = stats.invgamma(alpha, scale=beta)
    mean = np.asarray(found.mean())
    sd = np.where(np.isfinite(mean), found.std(), np.inf)
    sd = np.where(np.isnan(sd), np.inf, sd)
    return np.stack([mean, sd, *(found.ppf(level) for level in LEVELS)])


def _simplex(alpha: np.ndarray) -> np.ndarray:
    """Each coordinate of a Dirichlet vector is Beta(αₖ, α₀ − αₖ)."""
    total = alpha.sum(1, keepdims=True)
    beta = stats.beta(alpha.ravel(), (total - alpha).ravel())
    return np.stack([beta.mean(), beta.std(), *(beta.ppf(level) for level in LEVELS)])


def _categorical(p: np.ndarray) -> np.ndarray:
    k = np.arange(p.shape[1])
    mean = p @ k
    sd = np.sqrt(np.maximum(p @ k**2 - mean**2, 0.0))
    cumulative = np.cumsum(p, 1)
    at = [(cumulative < level - 1e-12).sum(1).clip(max=p.shape[1] - 1) for level in LEVELS]
    return np.stack([mean, sd, *at])
