"""Forward-backward on 64 sequences of 1,000 steps and 8 states, beside hmmlearn's C++.

    python benchmarks/forward_backward.py [pairs]

Both sides run in this process, in turn, each on one core; a ratio is hmmlearn's time over ours in
the same pair, and the table shows its median and range.  Times are the process's own processor
time, so that other load on the machine does not count, and wall time where a GPU works.

* the sweeps alone: log likelihoods in, log evidence and posteriors out, against hmmlearn's compiled
  sweeps and its own posteriors, in plain numbers (``scaling``, its fast choice; ours checks for
  underflow, hmmlearn's does not) and in logarithms (``log``, its default);
* from observations: Gaussian densities included, against ``score_samples``;
* on a CUDA device, if there is one, data and answers staying on it; otherwise it says skipped.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from hmmlearn import _hmmc, hmm

from avi_theory.numeric.chains import DiscreteChain, Smoothed, forward_backward

SEQUENCES, STEPS, STATES, FEATURES = 64, 1000, 8, 2
PAIRS = 15


class Problem:
    """A random Gaussian hidden Markov model and draws from it."""

    def __init__(self, seed: int = 0) -> None:
        g = np.random.default_rng(seed)
        self.theirs = hmm.GaussianHMM(STATES, "diag")
        self.theirs.startprob_ = g.dirichlet(np.ones(STATES))
        self.theirs.transmat_ = g.dirichlet(np.ones(STATES), STATES)
        self.theirs.means_ = g.normal(size=(STATES, FEATURES))
        self.theirs.covars_ = g.gamma(3.0, 0.3, (STATES, FEATURES))
        self.rows, _ = self.theirs.sample(SEQUENCES * STEPS, random_state=seed)
        self.lengths = [STEPS] * SEQUENCES
        levels = self.theirs._compute_log_likelihood(self.rows)
        self.levels = levels.reshape(SEQUENCES, STEPS, STATES)
        self.likelihoods = np.exp(self.levels)

    def score(self, implementation: str) -> tuple[float, np.ndarray]:
        self.theirs.implementation = implementation
        return self.theirs.score_samples(self.rows, self.lengths)

    def sweeps_scaling(self) -> np.ndarray:
        start, moves, found = self.theirs.startprob_, self.theirs.transmat_, []
        for frames in self.likelihoods:
            _, forward, scales = _hmmc.forward_scaling(start, moves, frames)
            backward = _hmmc.backward_scaling(start, moves, frames, scales)
            found.append(self.theirs._compute_posteriors_scaling(forward, backward))
        return np.concatenate(found)

    def sweeps_log(self) -> np.ndarray:
        start, moves, found = self.theirs.startprob_, self.theirs.transmat_, []
        for frames in self.levels:
            _, forward = _hmmc.forward_log(start, moves, frames)
            backward = _hmmc.backward_log(start, moves, frames)
            found.append(self.theirs._compute_posteriors_log(forward, backward))
        return np.concatenate(found)


class Ours:
    """The same model as tensors on a device."""

    def __init__(self, problem: Problem, device: str) -> None:
        def tensor(x: np.ndarray) -> torch.Tensor:
            return torch.tensor(x, dtype=torch.float64, device=device)

        m = problem.theirs
        self.device = device
        self.start, self.moves = tensor(m.startprob_).log(), tensor(m.transmat_).log()
        self.mean, self.variance = tensor(m.means_), tensor(np.einsum("kii->ki", m.covars_))
        self.rows = tensor(problem.rows)
        self.levels = tensor(problem.levels)

    def sweeps(self) -> Smoothed:
        return self._done(forward_backward(DiscreteChain(self.start, self.moves, self.levels)))

    def logarithms(self) -> Smoothed:
        chain = DiscreteChain(self.start, self.moves, self.levels)
        return self._done(forward_backward(chain, arithmetic="log"))

    def score(self) -> Smoothed:
        """log N(x; m, v) as a product of (x², x) with (−1/2v, m/v), and the sweeps."""
        rate = 1 / self.variance
        constant = -0.5 * (self.mean**2 * rate + (2 * math.pi / rate).log()).sum(-1)
        features = torch.cat([self.rows * self.rows, self.rows], 1)
        levels = torch.addmm(constant, features, torch.cat([-0.5 * rate, self.mean * rate], 1).T)
        levels = levels.view(SEQUENCES, STEPS, STATES)
        return self._done(forward_backward(DiscreteChain(self.start, self.moves, levels)))

    def _done(self, found: Smoothed) -> Smoothed:
        if self.device != "cpu":
            torch.cuda.synchronize()
        return found


Work = Callable[[], object]


def seconds(work: Work, clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def beside(
    name: str, theirs: Work, ours: Work, n: int, clock: Callable[[], float] = time.process_time
) -> None:
    """Print the medians and the ratio of n paired runs, after one that is not counted."""
    theirs(), ours()
    pairs = [(seconds(theirs, clock), seconds(ours, clock)) for _ in range(n)]
    ratios = [a / b for a, b in pairs]
    a, b = (1e3 * statistics.median(x) for x in zip(*pairs, strict=True))
    print(f"{name:<44}{a:>10.2f}{b:>10.2f}{statistics.median(ratios):>9.2f}"
          f"   {min(ratios):.2f} to {max(ratios):.2f}")  # fmt: skip


def main(pairs: int = PAIRS) -> None:
    torch.set_num_threads(1)  # hmmlearn's C++ uses one core too
    problem = Problem()
    ours = Ours(problem, "cpu")
    evidence, posteriors = problem.score("log")
    found = ours.score()
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"hmmlearn {version('hmmlearn')}, NumPy {np.__version__}; {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f}; {pairs} pairs"
    )
    worst = abs(found.marginals.reshape(-1, STATES).numpy() - posteriors).max()
    relative = abs(float(found.log_evidence.sum()) / evidence - 1)
    print(f"{found.method}; posteriors differ by {worst:.1e} at most, "
          f"log likelihood by {relative:.1e} of itself")  # fmt: skip
    print(f"\n{'milliseconds (medians)':<44}{'hmmlearn':>10}{'ours':>10}{'ratio':>9}   range")
    beside("sweeps, plain numbers", problem.sweeps_scaling, ours.sweeps, pairs)
    beside("sweeps, logarithms", problem.sweeps_log, ours.logarithms, max(5, pairs // 3))
    beside("sweeps, each side's default", problem.sweeps_log, ours.sweeps, max(5, pairs // 3))
    for kind in ("scaling", "log"):
        name = f"from observations, against {kind!r}"
        beside(name, lambda k=kind: problem.score(k), ours.score, max(5, pairs // 3))
    if not torch.cuda.is_available():
        print("on a GPU: skipped, there is no CUDA device here")
        return
    device = Ours(problem, "cuda")
    there = device.sweeps().marginals.cpu()
    worst = float((there - ours.sweeps().marginals).abs().max())
    print(f"{torch.cuda.get_device_name()}: posteriors differ by {worst:.1e} from the processor's")
    wall = time.perf_counter
    for kind, sweeps in (("scaling", problem.sweeps_scaling), ("log", problem.sweeps_log)):
        beside(f"sweeps on the GPU, against {kind!r}", sweeps, device.sweeps, pairs, wall)
        name = f"from observations on the GPU, {kind!r}"
        beside(name, lambda k=kind: problem.score(k), device.score, pairs, wall)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
