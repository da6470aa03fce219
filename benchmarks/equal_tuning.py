"""F-VI and A-VI by the same optimiser, tuned with the same effort: steps to one accuracy.

Margossian and Blei's linear model.  Both families climb the same exact ELBO with Adam from the same
factors; for each the same learning rates are tried for the same number of steps, and each is
reported at its own best rate.  Newton's method, which has no rate, stands below for comparison.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import numpy as np
import torch

from avi_theory import load
from avi_theory.gallery import data_path
from avi_theory.numeric import measure
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.fit import starting_tables
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import amortized, free
from avi_theory.spec.bound import bind

RATES = (1e-3, 1e-2, 1e-1)
ACCURACY = 1e-3
"""Nats per latent from the optimum."""


def climbed(elbo, parameters, start, rate: float, steps: int, goal: float) -> tuple:
    """(first step at the goal or None, processor seconds until then, best ELBO)."""
    p = start.clone().requires_grad_(True)
    solver = torch.optim.Adam([p], lr=rate)
    began, best = time.process_time(), -np.inf
    for k in range(1, steps + 1):
        solver.zero_grad()
        loss = -elbo(parameters.tables(p))
        loss.backward()
        best = max(best, -float(loss.detach()))
        if best >= goal:
            return k, time.process_time() - began, best
        solver.step()
    return None, time.process_time() - began, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    where = Where(torch.device("cpu"), torch.float64)
    torch.set_num_threads(1)
    model = load("linear").with_values(N=asked.size)
    bound = bind(model, data_path(model))
    elbo = elbo_of(bound, where)
    exact = measure(model, bound, function="affine", inputs=["x[n]"], evidence=False)
    goal = exact.fvi.elbo - ACCURACY * bound.latents
    rates = ", ".join(f"{r:g}" for r in RATES)
    print(
        f"N={asked.size:,}, rates {rates} for {asked.steps:,} steps from {asked.seeds} starts each"
    )
    print(f"to within {ACCURACY:g} nats per latent of the optimum; processor seconds, one thread")
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, load "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"{'':>14} {'parameters':>11} {'best rate':>10} {'steps':>14} {'seconds':>9} "
          f"{'tuning s':>9}  steps at each rate")  # fmt: skip
    chosen = {"z": ("x[n]",)}
    families = {"F-VI": free(elbo.families)}
    for kind in ("affine", "mlp:32x32"):
        families[f"A-VI {kind}"] = amortized(bound, elbo.families, chosen, kind, where, seed=0)
    for name, parameters in families.items():
        found: dict[float, list] = {}
        began = time.process_time()
        for rate in RATES:
            for seed in range(asked.seeds):
                start = parameters.start(starting_tables(elbo, seed, 0.05))
                run = climbed(elbo, parameters, start, rate, asked.steps, goal)
                found.setdefault(rate, []).append(run)
        tuning = time.process_time() - began

        def middle(rate: float, runs: dict = found) -> float:
            return float(np.median([r[0] or np.inf for r in runs[rate]]))

        best = min(RATES, key=middle)
        steps = [r[0] or np.inf for r in found[best]]
        seconds = float(np.median([r[1] for r in found[best]]))
        each = ", ".join(f"{r:g}: {middle(r):g}" for r in RATES)
        span = f"{np.median(steps):g} ({min(steps):g}–{max(steps):g})"
        print(f"{name:>14} {parameters.size:>11,} {best:>10g} {span:>14} {seconds:>9.2f} "
              f"{tuning:>9.1f}  {each}", flush=True)  # fmt: skip
    for name, run in (("F-VI", exact.fvi), ("A-VI affine", exact.avi)):
        print(f"{name} by Newton's method, to the optimum: {run.iterations} iterations, "
              f"{run.seconds:.2f} s by the clock, nothing to tune")  # fmt: skip


if __name__ == "__main__":
    main()
