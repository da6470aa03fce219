r"""The best flow of each image, q*_Flow.

.. math:: \max_\lambda\ \mathrm{E}_{\epsilon}\big[\log p(x, z_\lambda(\epsilon))
          - \log q_\lambda(z_\lambda(\epsilon))\big]

A flow has hundreds of parameters per image, to which fixed noise would be fitted; so each step
draws new noise, with exact moments (`noise`), and Adam moves all images at once, each with a
learning rate of its own that halves when a window of steps brings no rise.  An image leaves after
`HALVINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.vae.gaps.drawn import TOGETHER as DRAWN
from avi_theory.vae.gaps.drawn import drawn_elbo
from avi_theory.vae.gaps.flow import Flow
from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.noise import balanced
from avi_theory.vae.posteriors import Diagonal, standard

RATE = 2e-2
HALVINGS = 4
WINDOW = 40
STEPS = 1500
SAMPLES = 128
RISE = 5e-3
"""Nats that a window must bring."""
BETAS = (0.9, 0.99)
LEAST = 1e-8


@dataclass(frozen=True, eq=False)
class BestFlow:
    """Per image ``[B]``, in nats.

    Attributes:
        q: the flows.
        elbo, standard_error: on fresh noise.
        settled: whether the rise ended before the steps did.
    """

    q: Flow
    elbo: Tensor
    standard_error: Tensor
    settled: Tensor


def flow_optimum(
    problem: Problem,
    begin: Diagonal,
    *,
    seed: int,
    least: int,
    most: int,
    enough: float,
    steps: int = STEPS,
    told: Callable[[str, int, int], None] | None = None,
) -> BestFlow:
    """q*_Flow of every image and its ELBO.

    Args:
        problem: the decoder and the images.
        begin: q*_FFG.
        seed: of the noise.
        least: fresh samples per image, at least; most: at most.
        most: fresh samples per image, at most.
        enough: standard error at which an image is done, in nats.
        steps: at most.
        told: progress.
    """
    generator = torch.Generator(problem.images.device).manual_seed(seed)
    whole = tuple(p.detach().clone() for p in Flow.at(begin, generator).parts())
    ids = torch.arange(len(problem), device=problem.images.device)
    here = tuple(p.clone() for p in whole)
    first = tuple(torch.zeros_like(p) for p in here)
    second = tuple(torch.zeros_like(p) for p in here)
    rate = torch.full((len(ids),), RATE, device=ids.device)
    total = torch.zeros(len(ids), dtype=torch.float64, device=ids.device)
    best = torch.full_like(total, -torch.inf)
    for step in range(1, steps + 1):
        noise = balanced(SAMPLES, problem.d, generator, problem.images)
        value, slopes = _slopes(problem, here, ids, noise)
        total += torch.nan_to_num(value.double(), nan=-torch.inf)
        first = _mixed(first, slopes, BETAS[0])
        second = _mixed(second, tuple(g * g for g in slopes), BETAS[1])
        here = _moved(here, first, second, rate, step)
        if step % WINDOW:
            continue
        mean = total / WINDOW
        risen = mean > best + RISE
        best, total = torch.maximum(best, mean), torch.zeros_like(total)
        rate = torch.where(risen, rate, rate / 2)
        stays = rate > RATE / 2**HALVINGS
        if not bool(stays.all()):
            for kept, now in zip(whole, here, strict=True):
                kept[ids[~stays]] = now[~stays]
            here, first, second = (tuple(p[stays] for p in x) for x in (here, first, second))
            ids, rate, total, best = (x[stays] for x in (ids, rate, total, best))
        if told is not None:
            told("q*_Flow", len(problem) - len(ids), len(problem))
        if not len(ids):
            break
    for kept, now in zip(whole, here, strict=True):
        kept[ids] = now
    settled = torch.ones(len(problem), dtype=torch.bool, device=ids.device)
    settled[ids] = False
    found = [
        drawn_elbo(
            problem.take(part), Flow.of(tuple(p[part] for p in whole)), generator,
            least=least, most=most, enough=enough,
        )
        for part in problem.portions(DRAWN)
    ]  # fmt: skip
    value, error = (torch.cat(column) for column in zip(*found, strict=True))
    return BestFlow(Flow.of(whole), value, error, settled)


def _slopes(
    problem: Problem, here: tuple[Tensor, ...], ids: Tensor, noise: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """ELBOs ``[A]`` on this noise and their gradients; NaN in none of them."""
    values, slopes = [], []
    for part in problem.portions(len(noise), len(ids)):
        at = tuple(p[part].requires_grad_(True) for p in here)
        with torch.enable_grad():
            z, log_q = Flow.of(at).push(noise.unsqueeze(1).expand(-1, len(part), -1))
            elbo = (problem.take(ids[part]).log_likelihood(z) + standard(z) - log_q).mean(0)
            found = torch.autograd.grad(elbo.sum(), at)
        values.append(elbo.detach())
        slopes.append([torch.nan_to_num(g) for g in found])
    return torch.cat(values), tuple(torch.cat(g) for g in zip(*slopes, strict=True))


def _mixed(old: tuple[Tensor, ...], new: tuple[Tensor, ...], beta: float) -> tuple[Tensor, ...]:
    return tuple(beta * a + (1 - beta) * b for a, b in zip(old, new, strict=True))


def _moved(
    here: tuple[Tensor, ...],
    first: tuple[Tensor, ...],
    second: tuple[Tensor, ...],
    rate: Tensor,
    step: int,
) -> tuple[Tensor, ...]:
    """One step of Adam uphill; the mean moves in units of its standard deviation."""
    bias = [1 - beta**step for beta in BETAS]
    moved = [p.clone() for p in here]
    for k, (p, a, b) in enumerate(zip(moved, first, second, strict=True)):
        way = (a / bias[0]) / ((b / bias[1]).sqrt() + LEAST)
        unit = (0.5 * here[1]).exp() if k == 0 else 1.0
        p += rate.to(p).view(-1, *[1] * (p.ndim - 1)) * unit * way
    return tuple(moved)
