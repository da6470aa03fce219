"""Time to a target: steps are timed, looking at the objective is not."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

BUDGET = 60.0
"""Seconds after which a run is stopped where it is."""
RATES = (1e-3, 1e-2, 1e-1)
DECAY = 1e-3
STEPS, HORIZON = 50, 20_000
"""Learning rates fall by `DECAY` over `HORIZON` steps; the clock stops after every `STEPS`."""
PAIRS = 5


class Side(Protocol):
    """A fit that can be continued.

    Attributes:
        name: as printed.
    """

    name: str

    def start(self, rate: float, seed: int) -> None:
        """Begin anew; compilation and warm-up happen here and are not timed."""

    def advance(self) -> None:
        """Some steps, enough that looking after them is rare."""

    def shortfall(self) -> float:
        """Optimum minus the exact ELBO of the present factors, in nats."""


@dataclass(frozen=True)
class Finish:
    """How a run ended.

    Attributes:
        seconds: spent in steps.
        shortfall: in nats, at the end.
        reached: whether the target was met.
    """

    seconds: float
    shortfall: float
    reached: bool


def run(side: Side, rate: float, seed: int, target: float, budget: float = BUDGET) -> Finish:
    """Advance until the shortfall is at most the target, or the budget is spent."""
    side.start(rate, seed)
    spent, best = 0.0, float("inf")
    while spent < budget:
        begin = time.perf_counter()
        side.advance()
        spent += time.perf_counter() - begin
        best = min(best, side.shortfall())
        if best <= target:
            return Finish(spent, best, True)
    return Finish(spent, best, False)


def tuned(side: Side, target: float, budget: float) -> float:
    """The learning rate that gets there first, or gets furthest."""
    found = [(run(side, rate, 0, target, budget), rate) for rate in RATES]
    for finish, rate in found:
        print(f"  {side.name}, learning rate {rate:g}: {described(finish)}", flush=True)
    best = min(
        found, key=lambda f: (not f[0].reached, f[0].seconds if f[0].reached else f[0].shortfall)
    )
    return best[1]


def described(finish: Finish) -> str:
    """A finish in words."""
    if finish.reached:
        return f"{finish.seconds:.2f} s"
    return f"not within {finish.seconds:.0f} s, {finish.shortfall:.3g} nats off"


def race(
    side: Side,
    ours: Callable[[], float],
    target: float,
    *,
    pairs: int = PAIRS,
    budget: float = BUDGET,
) -> None:
    """Print the median ratio of paired runs; where the peer does not get there, a lower bound.

    Args:
        side: the peer, which first gets its best learning rate.
        ours: seconds to an accuracy at least as good.
        target: the peer's, in nats.
        pairs: how many.
        budget: seconds for one run of the peer.
    """  # fmt: skip
    rate = tuned(side, target, budget)
    theirs, mine, ratios = [], [], []
    for seed in range(pairs):
        mine.append(ours())
        theirs.append(run(side, rate, seed, target, budget))
        ratios.append(theirs[-1].seconds / mine[-1])
    reached = all(f.reached for f in theirs)
    worst = max(f.shortfall for f in theirs)
    print(
        f"{side.name:<28}{statistics.median(f.seconds for f in theirs):>9.2f}"
        f"{statistics.median(mine):>9.3f}{'' if reached else '>':>3}"
        f"{statistics.median(ratios):<8.3g} {min(ratios):.3g} to {max(ratios):.3g}; "
        f"rate {rate:g}{'' if reached else f', up to {worst:.3g} nats off'}",
        flush=True,
    )


def header(title: str, packages: Sequence[str]) -> None:
    """What is compared, on which machine, with which versions."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} is not installed: skipped")
    print(f"\n{title}\nPython {platform.python_version()}, {', '.join(found)}; "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"{'median seconds':<28}{'theirs':>9}{'ours':>9}   ratio    range")
