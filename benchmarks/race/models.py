"""The models as programs: Pyro and NumPyro share the words they are written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from race.problem import Counts, Linear


def program(
    problem: Linear | Counts, x: Any, words: Any, dist: Any, exp: Any
) -> Callable[[], None]:
    """A function of no arguments that samples everything.

    Args:
        problem: which model.
        x: its data, as the library's array.
        words: the library, for `sample` and `plate`.
        dist: its distributions.
        exp: its exponential.
    """

    def linear() -> None:
        theta = words.sample("mu", dist.Normal(0.0, 1e6))
        with words.plate("n", len(x)):
            z = words.sample("z", dist.Normal(0.0, 1.0))
            words.sample("x", dist.Normal(theta + problem.tau * z, problem.sigma), obs=x)

    def counts() -> None:
        mu = words.sample("mu", dist.Normal(0.0, problem.prior))
        with words.plate("n", len(x)):
            z = words.sample("z", dist.Normal(mu, problem.tau))
            words.sample("x", dist.Poisson(exp(z)), obs=x)

    return linear if isinstance(problem, Linear) else counts
