"""A Hessian with quadrature in it, from all products and from the few that its zeros leave.

Margossian and Blei's nonlinear model with the scale exp(cos z): N locals meet one global, an arrow.
Each pair of runs forms the Hessian of the ELBO in all factors both ways; below, F-VI's Newton
method from one start, both ways.  Processor seconds, one thread.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from avi_theory import Model
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.fit import starting_tables
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import free
from avi_theory.numeric.solve import Options, newton
from avi_theory.numeric.solve.colouring import hessian
from avi_theory.numeric.train import problem_of
from avi_theory.reproductions.mb_nonlinear import NORMALISED, drawn
from avi_theory.spec.bound import bind


def seconds(run: Callable[[], object]) -> tuple[float, object]:
    began = time.process_time()
    found = run()
    return time.process_time() - began, found


def paired(run: Callable, ways: tuple, runs: int) -> tuple[np.ndarray, list]:
    """Processor seconds ``[runs, 2]``, and what the first pair found."""
    pairs = [[seconds(partial(run, way)) for way in ways] for _ in range(runs)]
    return np.asarray([[t for t, _ in pair] for pair in pairs]), [x for _, x in pairs[0]]


def told(label: str, n: int, old: list[float], new: list[float], apart: float) -> None:
    ratio = np.asarray(old) / np.asarray(new)
    print(f"{label:>12} {n:>5} {np.median(old):>12.4f} {np.median(new):>10.4f} "
          f"{np.median(ratio):>7.1f} {ratio.min():>6.1f} to {ratio.max():<6.1f} {apart:.1e}",
          flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 50, 100, 200, 400])
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    where = Where(torch.device("cpu"), torch.float64)
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, load "
          f"{os.getloadavg()[0]:.1f}; medians of {asked.runs} paired runs")  # fmt: skip
    print(f"{'':>12} {'N':>5} {'all products':>12} {'few':>10} {'ratio':>7}  range, difference")
    medians = []
    for n in asked.sizes:
        elbo = elbo_of(bind(Model(NORMALISED), {"x": drawn(n, 0, wide=False)}), where)
        parameters = free(elbo.families)
        start = parameters.start(starting_tables(elbo, 0, 0.05))
        problem = problem_of(elbo, parameters)
        p, _, g = problem.gradient(start, graph=True)
        times, found = paired(partial(hessian, g, p), (None, problem.pattern), asked.runs)
        medians.append(np.median(times, 0))
        told("Hessian", n, *times.T, float((found[0] - found[1]).abs().max()))
        if len(p) <= Options().dense:
            ways = (replace(problem, zeros=None), problem)
            times, found = paired(lambda way, at=start: newton(way, at), ways, asked.runs)
            told("F-VI", n, *times.T, abs(found[0].value - found[1].value))
    slopes = np.polyfit(np.log(asked.sizes), np.log(np.asarray(medians)), 1)[0]
    print(
        f"a Hessian's seconds grow like N^{slopes[0]:.2f} (all products), N^{slopes[1]:.2f} (few)"
    )


if __name__ == "__main__":
    main()
