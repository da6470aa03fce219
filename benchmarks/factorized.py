"""F-VI beside Pyro's AutoNormal, NumPyro's AutoNormal and PyMC's ADVI.

    python benchmarks/factorized.py [pairs] [budget]

Margossian and Blei's linear model with N = 10,000, and a group of N = 20,000 Poisson counts.  Every
side fits the same Normal factors to the same objective.  The peer gets the best of three learning
rates with decay, compiles before its clock starts, and is done 10⁻³ nats per latent below the
optimum; ours is the whole call of `measure`, converged, and checked to be within 10⁻⁶ nats of the
optimum.  A peer that is not there after 60 s gives a lower bound for the ratio.

Peers that are not installed are skipped: `pip install -e '.[peers]'`.
"""

from __future__ import annotations

import importlib
import sys
import time

import numpy as np
from race.clock import BUDGET, PAIRS, header, race
from race.problem import Counts, Linear

from avi_theory import Model
from avi_theory.numeric.measure import measure

PER_LATENT, WITHIN = 1e-3, 1e-6

LINEAR = """
index n = 1:N
given tau = 1.155, sigma = 2.43
global theta ~ Flat()
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(theta + tau*z[n], sigma)
"""
COUNTS = """
index n = 1:N
global mu ~ Normal(0, 2)
local z[n] ~ Normal(mu, 0.7)
observed x[n] ~ Poisson(log_rate=z[n])
"""


def linear(n: int = 10_000) -> Linear:
    """Data as the paper draws them."""
    scale = float(np.hypot(1.155, 2.43))
    return Linear(np.random.default_rng(0).normal(0, scale, n))


def counts(n: int = 20_000) -> Counts:
    """Counts drawn from the model at µ = 1."""
    generator = np.random.default_rng(0)
    return Counts(generator.poisson(np.exp(1 + 0.7 * generator.normal(size=n))))


def ours(problem: Linear | Counts, text: str) -> float:
    """Seconds of a whole call, which must end within 10⁻⁶ nats of the optimum."""
    begin = time.perf_counter()
    found = measure(Model(text), {"x": problem.x}, evidence=False)
    seconds = time.perf_counter() - begin
    off = problem.optimum() - found.fvi.elbo
    if not abs(off) < WITHIN:
        raise SystemExit(f"{problem.name}: ours is {off:.3g} nats off the optimum")
    return seconds


def main(pairs: int = PAIRS, budget: float = BUDGET) -> None:
    """Race on both models against every peer that is installed."""
    for problem, text in ((linear(), LINEAR), (counts(), COUNTS)):
        n = len(problem.x)
        header(f"{problem.name}, {n} locals, target {PER_LATENT * n:g} nats (ours {WITHIN:g})",
               ["torch", "pyro-ppl", "numpyro", "pymc"])  # fmt: skip
        ours(problem, text)  # the first call pays for imports
        for package, module in (("pyro", "pyro_side"), ("numpyro", "numpyro_side"),
                                ("pymc", "pymc_side")):  # fmt: skip
            try:
                importlib.import_module(package)
            except ImportError:
                continue
            side = importlib.import_module(f"race.{module}").Factorized(problem)
            race(side, lambda p=problem, t=text: ours(p, t), PER_LATENT * n, pairs=pairs,
                 budget=budget)  # fmt: skip


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]), *(float(a) for a in sys.argv[2:3]))
