r"""A neural decoder with a prior on its weights: F-VI and A-VI, several seeds side by side.

.. math::
    \mathcal F = w \sum_n \mathbb E\|x_n - f_\theta(z_n)\|^2 + \tfrac12 \sum_n \mathbb E\|z_n\|^2
        + p\, \mathbb E\|\theta\|^2 - H(q_z) - H(q_\theta)

is −ELBO up to a constant for w = p = ½ and Normal entropies H.  All factors are Normal.  Given a
layer's inputs its units are independent Normals, so they are drawn instead of the weights (local
reparametrisation: Kingma, Salimans & Welling, NeurIPS 2015); the last layer is integrated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from torch import Tensor, nn

SLOPE = 0.2
"""Of the leaky ReLU, in decoder and encoder."""
START = -2.0
"""Of the weights' log standard deviations."""
Factors = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""Images and their rows to means and log standard deviations, ``[S, B, K]``."""


@dataclass(frozen=True)
class Objective:
    """The weights of 𝓕.

    Attributes:
        fit: w; weights: p.
        coded: whether a factor's entropy is ½ log s + s/2, as where a standard deviation is taken
            for a variance, instead of log s + ½.
    """

    fit: float = 0.5
    weights: float = 0.5
    coded: bool = False

    def entropy(self, log_sd: Tensor) -> Tensor:
        """Of Normal factors, elementwise, without ½ log 2π."""
        return 0.5 * (log_sd + log_sd.exp()) if self.coded else log_sd + 0.5


PRINTED, CODED = Objective(), Objective(1.0, 1.0, True)


class Table(nn.Module):
    """F-VI: a factor for each of N images, ``[S, N, K]``; one for all where N is 1."""

    def __init__(self, mean: Tensor, log_sd: Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean.detach().clone())
        self.log_sd = nn.Parameter(log_sd.detach().clone())

    def forward(self, images: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations."""
        if self.mean.shape[1] > 1:
            return self.mean[:, rows], self.log_sd[:, rows]
        many = (-1, len(images), -1)
        return self.mean.expand(*many), self.log_sd.expand(*many)


class Network(nn.Module):
    """A-VI: two hidden layers of one width, started as torch starts its layers."""

    def __init__(self, widths: tuple[int, ...], seeds: int, draw: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.ParameterList(
            (2 * torch.rand((seeds, i + 1, o), generator=draw) - 1) / i**0.5
            for i, o in pairwise(widths)
        )

    def forward(self, images: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations."""
        h = images
        for k, layer in enumerate(self.layers):
            h = nn.functional.leaky_relu(h, SLOPE) if k else h
            h = h @ layer[:, :-1] + layer[:, -1:]
        mean, log_sd = h.chunk(2, -1)
        return mean, log_sd


class Weights(nn.Module):
    """q(θ) of a decoder, for S seeds; each layer's biases are the last row of its weights."""

    def __init__(
        self, widths: tuple[int, ...], seeds: int, draw: torch.Generator, spread: float
    ) -> None:
        super().__init__()
        shapes = [(seeds, i + 1, o) for i, o in pairwise(widths)]
        self.means = nn.ParameterList(
            spread * torch.randn(s, generator=draw) / s[1] ** 0.5 for s in shapes
        )
        self.log_sds = nn.ParameterList(torch.full(s, START) for s in shapes)

    def errors(self, z: Tensor, images: Tensor, draw: torch.Generator) -> Tensor:
        """E‖x − f(z)‖² of codes ``[S, B, K]``, the weights averaged over, ``[S, B]``."""
        *hidden, (mean, spread) = zip(self.means, self.log_sds, strict=True)
        for m, s in hidden:
            middle, variance = _units(z, m, s)
            noise = torch.randn(middle.shape, generator=draw, device=z.device)
            z = nn.functional.leaky_relu(middle + variance.sqrt() * noise, SLOPE)
        middle, variance = _units(z, mean, spread)
        return ((images - middle).square() + variance).sum(-1)

    def cost(self, objective: Objective) -> Tensor:
        """p E‖θ‖² − H(q(θ)), ``[S]``."""
        return sum(
            (objective.weights * (m.square() + (2 * s).exp()) - objective.entropy(s)).sum((1, 2))
            for m, s in zip(self.means, self.log_sds, strict=True)
        )


def _units(h: Tensor, mean: Tensor, log_sd: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances of a layer's units."""
    v = (2 * log_sd).exp()
    return h @ mean[:, :-1] + mean[:, -1:], h.square() @ v[:, :-1] + v[:, -1:]


def loss(
    factors: Factors,
    weights: Weights,
    images: Tensor,
    rows: slice,
    objective: Objective,
    draw: torch.Generator,
) -> Tensor:
    """𝓕 over the number of images, ``[S]`` in nats, from these rows and one draw."""
    batch = images[rows]
    mean, log_sd = factors(batch, rows)
    z = mean + log_sd.exp() * torch.randn(mean.shape, generator=draw, device=images.device)
    own = 0.5 * (mean.square() + (2 * log_sd).exp()) - objective.entropy(log_sd)
    fit = objective.fit * weights.errors(z, batch, draw)
    return (fit + own.sum(-1)).mean(-1) + weights.cost(objective) / len(images)


def train(
    factors: nn.Module,
    weights: Weights,
    images: Tensor,
    objective: Objective,
    draw: torch.Generator,
    *,
    steps: int,
    batch: int,
    rate: float,
    ends: bool,
) -> None:
    """Adam on 𝓕, batch after batch; the seeds do not see each other.

    Args:
        factors: changed in place.
        weights: likewise.
        images: ``[N, D]``.
        objective: what is minimised.
        draw: of the noise.
        steps: how many.
        batch: images in each.
        rate: of learning; with `ends` it falls to zero along a cosine.
        ends: whether this is the last phase.
    """
    adam = torch.optim.Adam(chain(factors.parameters(), weights.parameters()), lr=rate)
    many = max(1, len(images) // batch)
    for k in range(steps):
        if ends:
            adam.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * k / steps))
        rows = slice((k % many) * batch, (k % many + 1) * batch)
        adam.zero_grad()
        loss(factors, weights, images, rows, objective, draw).sum().backward()
        adam.step()


@torch.no_grad()
def value(
    factors: Factors,
    weights: Weights,
    images: Tensor,
    objective: Objective,
    *,
    draws: int,
    seed: int,
) -> Tensor:
    """𝓕 over the number of images, ``[draws, S]``; the same noise for the same seed."""
    draw = torch.Generator(images.device).manual_seed(seed)
    whole = slice(0, len(images))
    return torch.stack(
        [loss(factors, weights, images, whole, objective, draw) for _ in range(draws)]
    )
