r"""Steps of Adam to one per cent for F-VI and A-VI on one exact objective, starts side by side.

.. math::
    L = \tfrac12\Big[d \sum_n (m_n^2 + s_n^2) + 2 c\, a \sum_n m_n + e\,(a^2 + b^2)\Big]
        - \sum_n h_n m_n - h_\theta a - \sum_n \log s_n - \log b

is −ELBO up to a constant where locals meet only a common parameter θ ~ N(a, b²) with a flat prior:
precision d on each local, c between a local and θ, e on θ.  F-VI moves every m and log s; A-VI sets
m = F w with one shared log s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's usual constants (Kingma and Ba 2015)."""


@dataclass(frozen=True)
class Common:
    """The objective's numbers.

    Attributes:
        d, c, e: precisions.
        h: of the locals, ``[N]``; top: of θ.
        features: F, ``[N, p]``, what the inference function sees.
        constant: what −ELBO, in the convention of the paper, adds to L.
    """

    d: float
    c: float
    e: float
    h: np.ndarray
    top: float
    features: np.ndarray
    constant: float = 0.0

    def optimum(self) -> float:
        """The least L over factors of their own, in closed form."""
        n = len(self.h)
        a = (self.top - self.c * self.h.sum() / self.d) / (self.e - n * self.c**2 / self.d)
        m = (self.h - self.c * a) / self.d
        s, b = np.full(n, self.d**-0.5), self.e**-0.5
        return float(self.loss(m[None], s[None], np.array([a]), np.array([b]))[0])

    def loss(self, m: np.ndarray, s: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """L for S starts: m and s ``[S, N]``, a and b ``[S]``."""
        square = self.d * (m**2 + s**2).sum(-1) + 2 * self.c * a * m.sum(-1)
        square += self.e * (a**2 + b**2)
        line = m @ self.h + self.top * a
        return 0.5 * square - line - np.log(s).sum(-1) - np.log(b)


@dataclass(frozen=True)
class Climb:
    """How a family got there.

    Attributes:
        steps: of each start; NaN where the budget was spent.
        trace: distance to the optimum in nats of the first start, by step.
    """

    steps: np.ndarray
    trace: np.ndarray

    @property
    def median(self) -> float:
        """Over the starts."""
        return float(np.median(np.nan_to_num(self.steps, nan=np.inf)))

    @property
    def span(self) -> tuple[float, float]:
        """The least and the most."""
        filled = np.nan_to_num(self.steps, nan=np.inf)
        return float(filled.min()), float(filled.max())


def climb(
    problem: Common,
    *,
    amortized: bool,
    rate: float,
    starts: int,
    most: int,
    near: float,
    seed: int = 0,
) -> Climb:
    """Adam from independent starts until L is within `near` nats of the optimum.

    Means, coefficients and a start at standard Normal draws, standard deviations at one.

    Args:
        problem: the objective.
        amortized: A-VI instead of F-VI.
        rate: of learning.
        starts: how many.
        most: steps, at most.
        near: in nats.
        seed: of the starts.
    """
    draw = np.random.default_rng([seed, int(amortized)])
    n, p = problem.features.shape
    width, spread = (p, 1) if amortized else (n, n)
    x = np.zeros((starts, width + spread + 2))  # means or coefficients, log s, a, log b
    x[:, :width] = draw.normal(size=(starts, width))
    x[:, -2] = draw.normal(size=starts)
    slope = _amortized(problem) if amortized else _factorized(problem)
    goal = problem.optimum() + near
    first, second = np.zeros_like(x), np.zeros_like(x)
    steps, trace = np.full(starts, np.nan), []
    for k in range(1, most + 1):
        value, gradient = slope(x)
        trace.append(value[0] - goal + near)
        steps[np.isnan(steps) & (value <= goal)] = k - 1
        if not np.isnan(steps).any():
            break
        first += (1 - BETA1) * (gradient - first)
        second += (1 - BETA2) * (gradient**2 - second)
        size = np.sqrt(second / (1 - BETA2**k)) + EPSILON
        x = x - rate * (first / (1 - BETA1**k)) / size
    return Climb(steps, np.array(trace))


def _factorized(problem: Common):  # type: ignore[no-untyped-def]
    n = len(problem.h)

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        m, s, a, b = x[:, :n], np.exp(x[:, n : 2 * n]), x[:, -2], np.exp(x[:, -1])
        gradient = np.empty_like(x)
        gradient[:, :n] = problem.d * m + problem.c * a[:, None] - problem.h
        gradient[:, n : 2 * n] = problem.d * s**2 - 1
        gradient[:, -2] = problem.c * m.sum(-1) + problem.e * a - problem.top
        gradient[:, -1] = problem.e * b**2 - 1
        return problem.loss(m, s, a, b), gradient

    return slope


def _amortized(problem: Common):  # type: ignore[no-untyped-def]
    f, n = problem.features, len(problem.h)
    gram, sums, towards = f.T @ f, f.sum(0), f.T @ problem.h
    p = f.shape[1]

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w, s, a, b = x[:, :p], np.exp(x[:, p]), x[:, -2], np.exp(x[:, -1])
        pull = problem.d * w @ gram + problem.c * a[:, None] * sums
        value = 0.5 * problem.d * (((w @ gram) * w).sum(-1) + n * s**2)
        value += problem.c * a * (w @ sums) + 0.5 * problem.e * (a**2 + b**2)
        value -= w @ towards + problem.top * a + n * np.log(s) + np.log(b)
        gradient = np.empty_like(x)
        gradient[:, :p] = pull - towards
        gradient[:, p] = n * (problem.d * s**2 - 1)
        gradient[:, -2] = problem.c * (w @ sums) + problem.e * a - problem.top
        gradient[:, -1] = problem.e * b**2 - 1
        return value, gradient

    return slope
