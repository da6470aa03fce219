"""NumPyro: AutoNormal with `TraceMeanField_ELBO`, compiled, in double precision."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import ClippedAdam

from race.clock import DECAY, HORIZON, STEPS
from race.models import program
from race.problem import Counts, Linear

jax.config.update("jax_enable_x64", True)


def model_of(problem: Linear | Counts) -> Callable[[], None]:
    """The model as a NumPyro function of no arguments."""
    return program(problem, jnp.asarray(problem.x), numpyro, dist, jnp.exp)


class Factorized:
    """`AutoNormal`; fifty steps in one compiled loop, compiled before the clock starts."""

    name = "NumPyro AutoNormal"

    def __init__(self, problem: Linear | Counts) -> None:
        self.problem, self.best = problem, problem.optimum()

    def start(self, rate: float, seed: int) -> None:
        """Initialise and compile."""
        model = model_of(self.problem)
        self.guide = AutoNormal(model)
        optimiser = ClippedAdam(lambda i: rate * DECAY ** (i / HORIZON))
        svi = SVI(model, self.guide, optimiser, TraceMeanField_ELBO())
        self.state = svi.init(jax.random.PRNGKey(seed))
        self.values = svi.get_params

        @jax.jit
        def several(state):  # type: ignore[no-untyped-def]
            return jax.lax.fori_loop(0, STEPS, lambda _, s: svi.update(s)[0], state)

        self._several = several
        jax.block_until_ready(several(self.state))

    def advance(self) -> None:
        """Fifty steps."""
        self.state = jax.block_until_ready(self._several(self.state))

    def shortfall(self) -> float:
        """Optimum minus the exact ELBO."""
        p = {k: np.asarray(v) for k, v in self.values(self.state).items()}
        a, b = float(p["mu_auto_loc"]), float(p["mu_auto_scale"])
        return self.best - self.problem.elbo(a, b, p["z_auto_loc"], p["z_auto_scale"])
