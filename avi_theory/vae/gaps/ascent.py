r"""Many small maximisations at once: limited-memory quasi-Newton, one line search per problem.

.. math:: \theta_b \leftarrow \theta_b + t_b H_b \nabla f_b(\theta_b)

Problems share evaluations and nothing else: each has its own step, its own curvature pairs
(Nocedal and Wright, algorithm 7.4, with an inverse metric as the first H) and its own end, after
which it leaves the batch.  An evaluation whose value does not rise (Armijo) shortens the step of
its problem only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(θ ``[A, p]``, which problems ``[A]``) to values ``[A]`` in nats and gradients ``[A, p]``."""
Metric = Callable[[Tensor], Tensor]
"""θ ``[A, p]`` to the diagonal of an inverse metric ``[A, p]``."""

PAIRS = 12
WINDOW = 10
"""Evaluations in a window."""
REACH = 3.0
"""No coordinate moves by more than this in the metric's units in one step."""
RISE = 1e-4
SHRINK = 0.3
SHORTEST = 1e-6

CONVERGED, STALLED, STOPPED, NOT_FINITE = range(4)
STATUSES = ("converged", "stalled", "stopped_early", "not_finite")
"""Gradient below the tolerance; a window without rise; evaluations used up; no finite value."""


@dataclass(frozen=True)
class Ascended:
    """Where all problems ended.

    Attributes:
        theta: ``[P, p]``.
        value: ``[P]``, nats.
        remaining: ``[P]``, ½ gᵀHg: the estimated distance to the optimum, nats.
        status: ``[P]``, places in `STATUSES`.
        evaluations: ``[P]``, spent.
    """

    theta: Tensor
    value: Tensor
    remaining: Tensor
    status: Tensor
    evaluations: Tensor


@dataclass
class _State:
    """The problems still in the batch; every field has them first."""

    ids: Tensor
    theta: Tensor
    value: Tensor
    slope: Tensor
    way: Tensor
    gain: Tensor
    step: Tensor
    moves: Tensor
    bends: Tensor
    curvature: Tensor
    window: Tensor

    def keep(self, mask: Tensor) -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name)[mask])


def ascend(
    objective: Objective,
    start: Tensor,
    metric: Metric,
    *,
    tolerance: float,
    evaluations: int,
    told: Callable[[int, int], None] | None = None,
) -> Ascended:
    """Maximise every problem from its start.

    Args:
        objective: deterministic, differentiable.
        start: ``[P, p]``.
        metric: a diagonal guess at the inverse curvature, e.g. the inverse Fisher information.
        tolerance: nats; a problem converged when its `remaining` is below, and stalled when a
            window of evaluations raised it by less.
        evaluations: at most, per problem.
        told: called with (problems left, evaluations so far).

    Returns:
        The best point met by each problem.
    """
    ids = torch.arange(len(start), device=start.device)
    value, slope = objective(start, ids)
    found = Ascended(
        start.clone(),
        value.clone(),
        torch.full_like(value, torch.inf),
        torch.full_like(ids, STOPPED),
        torch.ones_like(ids),
    )
    state = _State(
        ids,
        start.clone(),
        value,
        slope,
        torch.zeros_like(start),
        torch.zeros_like(value),
        torch.ones_like(value),
        start.new_zeros(len(start), PAIRS, start.shape[1]),
        start.new_zeros(len(start), PAIRS, start.shape[1]),
        start.new_zeros(len(start), PAIRS),
        value.clone(),
    )
    _aim(state, torch.ones_like(ids, dtype=torch.bool), metric)
    ended = _ended(state, tolerance)
    for count in range(2, evaluations + 1):
        if bool((ended >= 0).any()):
            _leave(state, found, ended)
        if not len(state.ids):
            break
        if told is not None:
            told(len(state.ids), count)
        rose = _try(state, objective, metric)
        found.evaluations[state.ids] = count
        ended = _ended(state, tolerance)
        stuck = ~rose & (state.step < SHORTEST)
        if count % WINDOW == 0:
            stuck |= state.value - state.window < tolerance
            state.window = state.value.clone()
        ended = torch.where(stuck & (ended < 0), STALLED, ended)
    if len(state.ids):
        _leave(state, found, torch.where(ended < 0, STOPPED, ended))
    return found


def _try(state: _State, objective: Objective, metric: Metric) -> Tensor:
    """One evaluation of every problem; True where it was a step uphill."""
    move = state.step.unsqueeze(-1) * state.way
    trial = state.theta + move
    value, slope = objective(trial, state.ids)
    slack = 4 * torch.finfo(value.dtype).eps * state.value.abs()
    rose = value >= state.value + RISE * 2 * state.step * state.gain - slack
    rose &= torch.isfinite(slope).all(-1)
    wide = rose.unsqueeze(-1)
    bend = torch.where(wide, state.slope - slope, 0.0)
    move = torch.where(wide, move, 0.0)
    _remember(state, move, bend)
    state.theta = torch.where(wide, trial, state.theta)
    state.value = torch.where(rose, value, state.value)
    state.slope = torch.where(wide, slope, state.slope)
    _aim(state, rose, metric)
    return rose


def _remember(state: _State, move: Tensor, bend: Tensor) -> None:
    """Curvature pairs of steps along which the objective is concave, the newest first."""
    product = (move * bend).sum(-1)
    good = product > 1e-8 * move.norm(dim=-1) * bend.norm(dim=-1)
    new = good.view(-1, 1, 1)
    for name, fresh in (("moves", move), ("bends", bend)):
        kept = getattr(state, name)
        shifted = torch.cat([fresh.unsqueeze(1), kept[:, :-1]], 1)
        setattr(state, name, torch.where(new, shifted, kept))
    inverse = torch.where(good, 1 / torch.where(good, product, 1.0), 0.0).unsqueeze(1)
    shifted = torch.cat([inverse, state.curvature[:, :-1]], 1)
    state.curvature = torch.where(good.unsqueeze(1), shifted, state.curvature)


def _aim(state: _State, rose: Tensor, metric: Metric) -> None:
    """New directions where a step succeeded, shorter steps elsewhere.

    Where the direction does not lead uphill the pairs are forgotten.
    """
    diagonal = metric(state.theta)
    way = _two_loops(state, diagonal)
    gain = 0.5 * (way * state.slope).sum(-1)
    lost = rose & ~(gain > 0)
    if bool(lost.any()):
        state.curvature = torch.where(lost.unsqueeze(1), 0.0, state.curvature)
        plain = diagonal * state.slope
        way = torch.where(lost.unsqueeze(1), plain, way)
        gain = torch.where(lost, 0.5 * (plain * state.slope).sum(-1), gain)
    far = (way.abs() / diagonal.sqrt()).amax(-1)
    state.way = torch.where(rose.unsqueeze(1), way, state.way)
    state.gain = torch.where(rose, gain, state.gain)
    state.step = torch.where(rose, (REACH / far).clamp(max=1.0), SHRINK * state.step)


def _two_loops(state: _State, diagonal: Tensor) -> Tensor:
    """H ∇f, ``[A, p]``; a pair of no curvature does nothing."""
    q = state.slope
    kept = []
    for k in range(PAIRS):
        alpha = state.curvature[:, k, None] * (state.moves[:, k] * q).sum(-1, keepdim=True)
        q = q - alpha * state.bends[:, k]
        kept.append(alpha)
    bend, inverse = state.bends[:, 0], state.curvature[:, 0]
    square = (bend * diagonal * bend).sum(-1)
    known = (inverse > 0) & (square > 0)
    level = torch.where(known, 1 / torch.where(known, inverse * square, 1.0), 1.0)
    r = level.unsqueeze(-1) * diagonal * q
    for k in reversed(range(PAIRS)):
        beta = state.curvature[:, k, None] * (state.bends[:, k] * r).sum(-1, keepdim=True)
        r = r + (kept[k] - beta) * state.moves[:, k]
    return r


def _ended(state: _State, tolerance: float) -> Tensor:
    """Places in `STATUSES`, −1 for those that go on."""
    ended = torch.full_like(state.ids, -1)
    ended[state.gain < tolerance] = CONVERGED
    ended[~torch.isfinite(state.value)] = NOT_FINITE
    return ended


def _leave(state: _State, found: Ascended, ended: Tensor) -> None:
    out = ended >= 0
    ids = state.ids[out]
    found.theta[ids] = state.theta[out]
    found.value[ids] = state.value[out]
    found.remaining[ids] = state.gain[out]
    found.status[ids] = ended[out]
    state.keep(~out)
