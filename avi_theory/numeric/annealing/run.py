r"""Annealed importance sampling, forwards and backwards.

.. math:: \log w = \sum_t (\beta_t - \beta_{t-1})\,(\log f - \log \pi_0)(z_{t-1}),\qquad
          \mathrm{E}[w] = Z = \int f(z)\,dz

The transitions are Hamiltonian (`transition`), with step sizes from a pilot run (`steps`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.annealing import schedules
from avi_theory.numeric.annealing.answer import Annealed, log_mean
from avi_theory.numeric.annealing.starts import Start
from avi_theory.numeric.annealing.steps import Steps, pilot
from avi_theory.numeric.annealing.transition import Bridge

CHAINS = 16
LEAPFROG = 10
PILOT_SEED = 1_000_003
"""Added to the seed for the pilot run."""

Progress = Callable[[int, int], None]
"""Called with (distributions done, distributions)."""


def anneal(
    target: Callable[[Tensor], Tensor],
    start: Start,
    *,
    schedule: Tensor | int = 1000,
    chains: int = CHAINS,
    leapfrog: int = LEAPFROG,
    scale: Tensor | None = None,
    steps: Steps | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Annealed:
    r"""log Z from below, for all batch elements at once.

    .. math:: \log \hat Z = \log \tfrac1C \sum_c w_c,\qquad \mathrm{E}[\log \hat Z] \le \log Z

    Source: Neal (2001). A stochastic lower bound: w is unbiased, because the step sizes are
    constants to the chains (`steps`), so its logarithm lies below on average.

    Args:
        target: log f, ``[chains, batch, d] -> [chains, batch]`` in nats, differentiable.
        start: a normalised distribution per batch element, e.g. ``Normal.standard(batch, d)``.
        schedule: inverse temperatures from 0 to 1, or how many of a linear one.
        chains: independent chains per batch element.
        leapfrog: steps in a transition.
        scale: ``[batch, d]``, typical lengths of z under the target; by default 1.
        steps: frozen step sizes; by default a pilot run finds them.
        seed: of everything drawn.
        progress: told about the distributions done.

    Returns:
        The estimates; dtype and device are those of the start's draws.

    Raises:
        InputError: a schedule, a number of chains or a density's shape that cannot be used.

    Example:
        >>> from avi_theory.numeric.annealing import Normal
        >>> start = Normal.standard(1, 2)
        >>> shifted = lambda z: start.log_density(z - 1) + 3.0
        >>> found = anneal(shifted, start, schedule=50, chains=8)
        >>> bool((found.log_evidence - 3).abs() < 4 * found.standard_error)
        True
    """
    betas, generator = _ready(schedule, start, chains, leapfrog, seed)
    first = start.draw(chains, generator)
    bridge = _bridge(target, start, scale, leapfrog, first)
    steps = steps or pilot(bridge, betas, _generator(start, seed + PILOT_SEED))
    onward = range(1, len(betas))
    log_weights, rate = _walk(bridge, first, betas, onward, steps, generator, progress)
    value, error, size = log_mean(log_weights)
    return Annealed(value, error, size, rate, log_weights, "lower", len(betas), seed)


def anneal_back(
    target: Callable[[Tensor], Tensor],
    start: Start,
    exact: Tensor,
    *,
    schedule: Tensor | int = 1000,
    chains: int = CHAINS,
    leapfrog: int = LEAPFROG,
    scale: Tensor | None = None,
    steps: Steps | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Annealed:
    r"""log Z from above, from one exact draw of the target per batch element.

    .. math:: \log \hat Z = -\log \tfrac1C \sum_c w_c,\qquad \mathrm{E}[w] = 1/Z,\qquad
              \mathrm{E}[\log \hat Z] \ge \log Z

    Source: Grosse, Ghahramani and Adams (2015), bidirectional Monte Carlo. Data drawn from the
    model bring their exact draw along: the z that made them.

    Args:
        target: as for `anneal`.
        start: as for `anneal`.
        exact: ``[batch, d]``, one draw from the normalised target each, where all chains begin; or
            ``[chains, batch, d]``, where more than one is to be had.
        schedule: as for `anneal`.
        chains: as for `anneal`.
        leapfrog: as for `anneal`.
        scale: as for `anneal`.
        steps: as for `anneal`.
        seed: as for `anneal`.
        progress: as for `anneal`.

    Returns:
        The estimates, above log Z on average.

    Raises:
        InputError: as for `anneal`.
    """
    betas, generator = _ready(schedule, start, chains, leapfrog, seed)
    first = exact.detach()
    first = first.expand(chains, *first.shape) if first.ndim == 2 else first
    bridge = _bridge(target, start, scale, leapfrog, first)
    steps = steps or pilot(bridge, betas, _generator(start, seed + PILOT_SEED))
    back = range(len(betas) - 2, -1, -1)
    log_weights, rate = _walk(bridge, first, betas, back, steps, generator, progress)
    value, error, size = log_mean(log_weights)
    return Annealed(-value, error, size, rate, log_weights, "upper", len(betas), seed)


def _walk(
    bridge: Bridge,
    first: Tensor,
    betas: Tensor,
    places: range,
    steps: Steps,
    generator: Generator,
    progress: Progress | None,
) -> tuple[Tensor, Tensor]:
    """Log weights ``[chains, batch]`` and mean acceptance ``[batch]`` of a walk through places."""
    here, last = bridge.at(first), len(betas) - 1
    log_weights = torch.zeros_like(here.start, dtype=torch.float64)
    accepted = torch.zeros_like(log_weights[0])
    beta = float(betas[places[0] - places.step])
    for done, place in enumerate(places, start=2):
        change, beta = float(betas[place]) - beta, float(betas[place])
        log_weights += change * (here.target.double() - here.start.double())
        if place != places[-1]:  # nothing reads where the last transition would lead
            here, chance = bridge.move(here, beta, steps.at(place / last), generator)
            accepted += chance.mean(0)
        if progress is not None:
            progress(done, len(betas))
    return log_weights, accepted / max(len(places) - 1, 1)


def _bridge(
    target: Callable[[Tensor], Tensor],
    start: Start,
    scale: Tensor | None,
    leapfrog: int,
    first: Tensor,
) -> Bridge:
    if scale is None:
        scale = torch.ones_like(first[0])
    if scale.shape != first.shape[1:]:
        raise InputError(
            f"scale has shape {tuple(scale.shape)}; one length per batch element and coordinate "
            f"is needed, {tuple(first.shape[1:])}."
        )
    return Bridge(target, start, scale.to(first), leapfrog)


def _ready(
    schedule: Tensor | int, start: Start, chains: int, leapfrog: int, seed: int
) -> tuple[Tensor, Generator]:
    if chains < 1 or leapfrog < 1:
        raise InputError(
            "Annealing needs at least one chain and one leapfrog step, "
            f"not {chains} and {leapfrog}."
        )
    return schedules.checked(schedule), _generator(start, seed)


def _generator(start: Start, seed: int) -> Generator:
    return torch.Generator(start.device).manual_seed(seed)
