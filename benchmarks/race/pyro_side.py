"""Pyro: AutoNormal, and a hand-written amortized guide, both with `TraceMeanField_ELBO`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import ClippedAdam

from race.clock import DECAY, HORIZON, STEPS
from race.models import program
from race.problem import Counts, Linear


def model_of(problem: Linear | Counts) -> Callable[[], None]:
    """The model as a Pyro function of no arguments."""
    x = torch.tensor(problem.x, dtype=torch.get_default_dtype())
    return program(problem, x, pyro, dist, torch.exp)


class Factorized:
    """`AutoNormal`."""

    name = "Pyro AutoNormal"

    def __init__(self, problem: Linear | Counts) -> None:
        self.problem, self.best = problem, problem.optimum()

    def start(self, rate: float, seed: int) -> None:
        """Initialise at small random values, as Pyro does."""
        pyro.clear_param_store()
        pyro.set_rng_seed(seed)
        model = model_of(self.problem)
        self.guide = AutoNormal(model)
        self._optimiser(model, rate)

    def _optimiser(self, model: Callable[[], None], rate: float) -> None:
        optimiser = ClippedAdam({"lr": rate, "lrd": DECAY ** (1 / HORIZON)})
        self.svi = SVI(model, self.guide, optimiser, TraceMeanField_ELBO())
        self.svi.step()

    def advance(self) -> None:
        """Fifty steps."""
        for _ in range(STEPS):
            self.svi.step()

    def factors(self) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Means and standard deviations of the global and of the locals."""
        loc, scale = self.guide.locs, self.guide.scales
        with torch.no_grad():
            return float(loc.mu), float(scale.mu), loc.z.double().numpy(), scale.z.double().numpy()

    def shortfall(self) -> float:
        """Optimum minus the exact ELBO."""
        return self.best - self.problem.elbo(*self.factors())


class Amortized(Factorized):
    """A network of two hidden layers of 32 from x to the mean and log sd of z."""

    name = "Pyro, MLP guide"

    def start(self, rate: float, seed: int) -> None:
        """New weights."""
        pyro.clear_param_store()
        pyro.set_rng_seed(seed)
        x = torch.tensor(self.problem.x, dtype=torch.get_default_dtype())[:, None]
        self.x = (x - x.mean()) / x.std()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(1, 32), torch.nn.Tanh(),
            torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2),
        )  # fmt: skip

        def guide() -> None:
            pyro.module("net", self.net)
            loc = pyro.param("loc", torch.tensor(0.0))
            log_sd = pyro.param("log_sd", torch.tensor(-2.3))
            pyro.sample("mu", dist.Normal(loc, log_sd.exp()))
            out = self.net(self.x)
            with pyro.plate("n", len(self.x)):
                pyro.sample("z", dist.Normal(out[:, 0], out[:, 1].exp()))

        self.guide = guide
        self._optimiser(model_of(self.problem), rate)

    def factors(self) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Means and standard deviations of the global and of the locals."""
        with torch.no_grad():
            out = self.net(self.x).double().numpy()
        loc, log_sd = pyro.param("loc").detach(), pyro.param("log_sd").detach()
        return float(loc), float(log_sd.exp()), out[:, 0], np.exp(out[:, 1])
