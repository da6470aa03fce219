r"""Models with a closed-form ELBO for Normal factors, so that every side is judged alike.

.. math:: L(a, b, m, s) = \sum_n E\big[\log p(z_n \mid \mu) + \log p(x_n \mid z_n, \mu)\big]
    + E \log p(\mu) + H

with \(\mu \sim N(a, b^2)\), \(z_n \sim N(m_n, s_n^2)\).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

LOG_2PI = float(np.log(2 * np.pi))


def entropy(sd: np.ndarray) -> float:
    """Of Normal factors, in nats."""
    return float(np.sum(np.log(sd) + 0.5 * (LOG_2PI + 1)))


def normal(mean: np.ndarray, variance: np.ndarray, sd: float) -> float:
    """E log N(e; 0, sd²) of an error with a mean and a variance, summed."""
    return float(np.sum(-0.5 * LOG_2PI - np.log(sd) - 0.5 * (mean**2 + variance) / sd**2))


@dataclass(frozen=True)
class Linear:
    """z ~ N(0, 1), x ~ N(θ + τ z, σ), flat θ: Margossian and Blei's linear model."""

    x: np.ndarray
    tau: float = 1.155
    sigma: float = 2.43
    name: str = "linear"

    def elbo(self, a: float, b: float, m: np.ndarray, s: np.ndarray) -> float:
        """Of Normal factors, in nats."""
        error = self.x - a - self.tau * m
        likelihood = normal(error, self.tau**2 * s**2 + b**2, self.sigma)
        return likelihood + normal(m, s**2, 1.0) + entropy(s) + entropy(np.array([b]))

    def optimum(self) -> float:
        """The largest ELBO, in closed form (coupled through q(θ)'s mean alone)."""
        n, t, v = len(self.x), self.tau, self.sigma**2
        s = np.full(n, np.sqrt(v / (v + t * t)))
        a = float(self.x.mean())
        m = t / (v + t * t) * (self.x - a)
        return self.elbo(a, float(np.sqrt(v / n)), m, s)


@dataclass(frozen=True)
class Counts:
    """µ ~ N(0, 2), z ~ N(µ, 0.7), x ~ Poisson(exp z)."""

    x: np.ndarray
    prior: float = 2.0
    tau: float = 0.7
    name: str = "counts"

    def elbo(self, a: float, b: float, m: np.ndarray, s: np.ndarray) -> float:
        """Of Normal factors, in nats."""
        likelihood = float(np.sum(self.x * m - np.exp(m + s**2 / 2) - gammaln(self.x + 1)))
        local = normal(m - a, s**2 + b**2, self.tau)
        top = normal(np.array([a]), np.array([b**2]), self.prior)
        return likelihood + local + top + entropy(s) + entropy(np.array([b]))

    def optimum(self) -> float:
        """The largest ELBO, by Newton's method on each latent and exact steps in q(µ)."""
        n, t2 = len(self.x), self.tau**2
        a, b2 = float(np.log(self.x.mean() + 1)), t2 / n
        m, v = np.log(self.x + 0.5), np.full(n, 0.3)
        precision = n / t2 + 1 / self.prior**2
        for _ in range(4000):
            before = a
            for _ in range(6):
                rate = np.exp(m + v / 2)
                slope, bend = self.x - rate - (m - a) / t2, rate + 1 / t2
                m = m + np.clip(slope / bend, -1, 1)
                v = 1 / (np.exp(m + v / 2) + 1 / t2)
            a, b2 = float(m.sum() / t2 / precision), 1 / precision
            if abs(a - before) < 1e-13:
                break
        return self.elbo(a, float(np.sqrt(b2)), m, np.sqrt(v))
