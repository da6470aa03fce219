"""A multilayer perceptron on top of an affine map."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.families import Family
from avi_theory.numeric.functions.cases import Cases
from avi_theory.numeric.functions.polynomial import Polynomial
from avi_theory.numeric.lowering import Where


class Network:
    """An affine map plus a multilayer perceptron with tanh units, mean and log-sd heads.

    Inputs are standardised, those with heavy tails also through asinh; the perceptron's last layer
    starts at zero, so the network starts as the affine function it is given, and it works in units
    of the factors' scale, so data need not be rescaled.
    """

    smooth = False

    def __init__(
        self, widths: tuple[int, ...], family: Family, values: np.ndarray, where: Where, seed: int
    ) -> None:
        self.family, self._where = family, where
        self._skip = Polynomial(1, family, values, where)
        self._centre = np.median(values, 0) if len(values) else np.zeros(values.shape[1])
        spread = np.abs(values - self._centre).mean(0) if len(values) else np.ones(values.shape[1])
        self._spread = np.where(spread > 0, spread, 1.0)
        self._heavy = np.abs((values - self._centre) / self._spread).max(0, initial=0.0) > 6.0
        first = self._transformed(values)
        self._mean, std = first.mean(0), first.std(0)
        self._std = np.where(std > 1e-12, std, 1.0)
        self.cases = Cases(values, where)
        self._features = self._standardised(self.cases.rows)
        self._affine = self._skip.features.index_select(0, self.cases.first)
        outputs = family.dim * family.width
        sizes = [self._features.shape[1], *widths, outputs]
        self._shapes = list(itertools.pairwise(sizes))
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for k, (a, b) in enumerate(self._shapes):
            last = k == len(self._shapes) - 1
            gain = 0.0 if last else 1.0 / math.sqrt(max(a, 1))
            weights = gain * torch.randn(a, b, generator=generator, dtype=torch.float64)
            bias = torch.zeros(b, dtype=torch.float64) if last else 0.5 * torch.randn(
                b, generator=generator, dtype=torch.float64
            )  # fmt: skip
            parts += [weights.reshape(-1), bias]
        self._weights = torch.cat(parts).to(where.device, where.dtype)
        self.size = self._skip.size + len(self._weights)
        self.unit = torch.ones(1, family.dim, family.width, dtype=where.dtype, device=where.device)

    def _transformed(self, values: np.ndarray) -> np.ndarray:
        z = (values - self._centre) / self._spread
        return np.concatenate([z, np.arcsinh(5 * z[:, self._heavy])], 1)

    def _standardised(self, values: np.ndarray) -> Tensor:
        return self._where.tensor((self._transformed(values) - self._mean) / self._std)

    def _perceptron(self, p: Tensor, x: Tensor) -> Tensor:
        at = 0
        for k, (a, b) in enumerate(self._shapes):
            weights, bias = p[at : at + a * b].reshape(a, b), p[at + a * b : at + a * b + b]
            x = x @ weights + bias
            if k < len(self._shapes) - 1:
                x = torch.tanh(x)
            at += a * b + b
        return x.reshape(-1, self.family.dim, self.family.width)

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        k = self._skip.size
        bent = self.unit * self._perceptron(p[k:], self._features)
        return self.cases.spread(self._skip.at(p[:k], self._affine) + bent)

    def jacobian(self, p: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """``[C, dim·width, n]`` at some cases, by backpropagation through the layers."""
        x, at = self._features[rows], self._skip.size
        layers, values = [], [x]
        for k, (a, b) in enumerate(self._shapes):
            weights, bias = p[at : at + a * b].reshape(a, b), p[at + a * b : at + a * b + b]
            layers.append(weights)
            at += a * b + b
            x = x @ weights + bias
            if k < len(self._shapes) - 1:
                x = torch.tanh(x)
                values.append(x)
        outputs = layers[-1].shape[1]
        back = torch.diag(self.unit.reshape(-1)).expand(len(x), outputs, outputs)
        parts: list[Tensor] = []
        for weights, value in zip(reversed(layers), reversed(values), strict=True):
            outer = torch.einsum("mi,moj->moij", value, back).reshape(len(x), outputs, -1)
            parts = [outer, back, *parts]
            back = (back @ weights.T) * (1 - value**2)[:, None, :]
        return torch.cat([self._skip.jacobian(self._affine[rows]), *parts], -1)

    def start(self, table: Tensor) -> Tensor:
        """The affine start, seeded hidden layers, a silent last layer."""
        if self.family.gaussian:
            unit = torch.ones_like(self.unit)
            unit[..., 0] = table[..., 0].std(0, correction=0) + table[..., 1].exp().mean(0)
            self.unit = unit
        return torch.cat([self._skip.start(table), self._weights])

    def scales(self, fisher: Tensor) -> Tensor:
        """The Euclidean metric."""
        return torch.ones(self.size, dtype=fisher.dtype, device=fisher.device)

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs."""
        k = self._skip.size
        bent = self.unit * self._perceptron(p[k:], self._standardised(values))
        return self._skip.apply(p[:k], values) + bent
