"""A-VI with a network of two hidden layers of 32, beside a hand-written amortized guide in Pyro.

    python benchmarks/amortized.py [pairs] [budget]

Margossian and Blei's linear model with N = 10,000, and a group of N = 20,000 Poisson counts.  Both
sides fit the same class of functions of x[n] to the same objective, and both are timed until their
ELBO is within 10⁻³ nats per latent of the optimum, which a function of x[n] can attain; ours is the
whole call of `measure` up to that moment, F-VI included, from which it starts.  The peer gets the
best of three learning rates with decay.
"""

from __future__ import annotations

import sys
import time

from factorized import COUNTS, LINEAR, PER_LATENT, counts, linear
from race.clock import BUDGET, PAIRS, header, race
from race.problem import Counts, Linear

from avi_theory import Model
from avi_theory.numeric.measure import measure

FUNCTION = "mlp:32x32"


class Reached(Exception):
    """The target was met; the run need not go on."""


def ours(problem: Linear | Counts, text: str, target: float) -> float:
    """Seconds until A-VI's ELBO is within the target of the optimum."""
    best, begin = problem.optimum(), time.perf_counter()

    def look(run: str, _: int, elbo: float, __: float) -> None:
        if run == "A-VI" and best - elbo <= target:
            raise Reached

    try:
        found = measure(
            Model(text), {"x": problem.x}, function=FUNCTION, inputs=["x[n]"], evidence=False,
            progress=look,
        )  # fmt: skip
    except Reached:
        return time.perf_counter() - begin
    if best - found.avi.elbo > target:
        raise SystemExit(f"ours ended {best - found.avi.elbo:.3g} nats off the optimum")
    return time.perf_counter() - begin


def main(pairs: int = PAIRS, budget: float = BUDGET) -> None:
    """Race against Pyro on both models, if it is installed."""
    for problem, text in ((linear(), LINEAR), (counts(), COUNTS)):
        target = PER_LATENT * len(problem.x)
        title = f"{problem.name}, {FUNCTION}, {len(problem.x)} locals, target {target:g} nats"
        header(title, ["torch", "pyro-ppl"])
        try:
            from race.pyro_side import Amortized
        except ImportError:
            return
        ours(problem, text, target)  # the first call pays for imports
        race(Amortized(problem), lambda p=problem, t=text, goal=target: ours(p, t, goal), target,
             pairs=pairs, budget=budget)  # fmt: skip


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]), *(float(a) for a in sys.argv[2:3]))
