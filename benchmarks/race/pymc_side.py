"""PyMC: mean-field ADVI with Adam."""

from __future__ import annotations

import numpy as np
import pymc as pm

from race.clock import STEPS
from race.problem import Counts, Linear


class Factorized:
    """`pymc.ADVI`, continued fifty steps at a time; compiled before the clock starts."""

    name = "PyMC ADVI"

    def __init__(self, problem: Linear | Counts) -> None:
        self.problem, self.best = problem, problem.optimum()

    def start(self, rate: float, seed: int) -> None:
        """Compile and take one step."""
        x = self.problem.x
        with pm.Model():
            if isinstance(self.problem, Linear):
                theta = pm.Flat("mu")
                z = pm.Normal("z", 0, 1, shape=len(x))
                pm.Normal("x", theta + self.problem.tau * z, self.problem.sigma, observed=x)
            else:
                mu = pm.Normal("mu", 0, self.problem.prior)
                z = pm.Normal("z", mu, self.problem.tau, shape=len(x))
                pm.Poisson("x", pm.math.exp(z), observed=x)
            self.fit = pm.ADVI(random_seed=seed)
        self.step = self.fit.objective.step_function(obj_optimizer=pm.adam(learning_rate=rate))
        self.step()

    def advance(self) -> None:
        """Fifty steps."""
        for _ in range(STEPS):
            self.step()

    def shortfall(self) -> float:
        """Optimum minus the exact ELBO."""
        approx = self.fit.approx
        means, sds = approx.mean_data, approx.std_data
        mu, z = float(means["mu"]), np.asarray(means["z"])
        return self.best - self.problem.elbo(mu, float(sds["mu"]), z, np.asarray(sds["z"]))
