"""Distributions that annealing can start from: normalised, and easy to draw from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


class Start(Protocol):
    """One distribution of z per batch element."""

    @property
    def device(self) -> torch.device:
        """Where it draws."""

    def draw(self, chains: int, generator: Generator) -> Tensor:
        """Independent draws ``[chains, batch, d]``, without a graph."""

    def log_density(self, z: Tensor) -> Tensor:
        """The normalised log density in nats, ``[..., batch, d] -> [..., batch]``."""


@dataclass(frozen=True)
class Normal:
    """Independent Normals.

    Attributes:
        mean, sd: ``[batch, d]``; `standard` makes the prior N(0, I).
    """

    mean: Tensor
    sd: Tensor

    @classmethod
    def standard(cls, batch: int, d: int, like: Tensor | None = None) -> Normal:
        """N(0, I) for every batch element, with the dtype and device of `like`."""
        zero = torch.zeros(batch, d) if like is None else like.new_zeros(batch, d)
        return cls(zero, torch.ones_like(zero))

    @property
    def device(self) -> torch.device:
        """Where it draws."""
        return self.mean.device

    def draw(self, chains: int, generator: Generator) -> Tensor:
        """Independent draws ``[chains, batch, d]``."""
        noise = self.mean.new_empty(chains, *self.mean.shape).normal_(generator=generator)
        return self.mean + self.sd * noise

    def log_density(self, z: Tensor) -> Tensor:
        """The log density in nats, ``[..., batch, d] -> [..., batch]``."""
        norm = self.sd.log().sum(-1) + 0.5 * self.mean.shape[-1] * math.log(2 * math.pi)
        return -0.5 * (((z - self.mean) / self.sd) ** 2).sum(-1) - norm
