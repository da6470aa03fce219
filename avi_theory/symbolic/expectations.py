r"""Expected log densities under a product of factors, and their slopes, many terms at once.

.. math:: E_q[g(z_1, \dots, z_d)] \approx \sum_{i_1 \dots i_d} w_{i_1} \cdots w_{i_d}\,
    g(z_{1, i_1}, \dots, z_{d, i_d})

Discrete axes are enumerated with their probabilities; continuous ones are Gaussian after a fixed
transform and get Gauss–Hermite nodes.  \(E|a + \sum b_k z_k|\) of Gaussians and \(E \log \theta_k\)
under a Dirichlet factor have closed forms.  Terms of one shape are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

NODES = {1: 41, 2: 21, 3: 13, 4: 7, 5: 5}
"""Gauss–Hermite points per axis, by the number of continuous axes of a term."""
LOWEST = -1e4
"""Stands for the log of an impossible event."""


@dataclass(frozen=True)
class Cell:
    """One scalar latent, or one coordinate of a simplex.

    Attributes:
        kind: ``normal``, ``lognormal``, ``logit``, ``table`` or ``dirichlet``.
        slot: its parameters: mean and log sd, logits, or the log concentrations of its simplex.
        low, high: ends of a ``logit`` cell's interval.
        coordinate: of a ``dirichlet`` cell.
    """

    kind: str
    slot: slice
    low: float = 0.0
    high: float = 1.0
    coordinate: int = 0

    @property
    def gaussian(self) -> bool:
        """Whether its factor is a transformed Gaussian."""
        return self.kind in {"normal", "lognormal", "logit"}


class Simplex:
    r"""A Dirichlet factor: \(E \log\theta_k = \psi(\alpha_k) - \psi(\sum\alpha)\), and its slopes.

    Args:
        logs: logarithms of the concentrations.
    """

    def __init__(self, logs: np.ndarray) -> None:
        self.alpha = np.exp(logs)
        self.whole = self.alpha.sum()
        self.psi, self.psi_whole = special.psi(self.alpha), special.psi(self.whole)
        self.bend, self.bend_whole = special.zeta(2, self.alpha), special.zeta(2, self.whole)


@dataclass
class State:
    """The factors at one parameter vector, and the slopes collected so far."""

    cells: Sequence[Cell]
    parameters: np.ndarray
    gradient: np.ndarray = field(init=False)
    tables: dict[int, np.ndarray] = field(init=False)
    slopes: dict[int, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.parameters)
        self.tables = {
            k: softmax(self.parameters[c.slot])
            for k, c in enumerate(self.cells)
            if c.kind == "table"
        }
        self.slopes = {k: np.zeros_like(t) for k, t in self.tables.items()}
        self._simplices: dict[int, Simplex] = {}

    def simplex(self, slot: slice) -> Simplex:
        """The Dirichlet factor whose parameters lie there, computed once."""
        if slot.start not in self._simplices:
            self._simplices[slot.start] = Simplex(self.parameters[slot])
        return self._simplices[slot.start]

    def weight(self, chosen: Sequence[tuple[int, int]]) -> float:
        """The probability that some discrete latents take given values."""
        value = 1.0
        for k, v in chosen:
            value *= self.tables[k][v]
        return value

    def pass_on(self, chosen: Sequence[tuple[int, int]], value: float) -> None:
        """Add the slope of `weight(chosen) * value` in the probabilities."""
        for j, (k, v) in enumerate(chosen):
            self.slopes[k][v] += self.weight((*chosen[:j], *chosen[j + 1 :])) * value


@dataclass
class Grid:
    """Terms of one shape, as one function of arrays.

    Args:
        cells: of the model.
        value: the term as a numpy function of its latents, then its known numbers.
        slopes: its derivatives in the latents, same arguments; None for discrete ones.
        nodes: points per continuous axis.

    Attributes:
        chosen, latents, known: per term what selects it, its latents, its numbers.
    """

    cells: Sequence[Cell]
    value: Callable[..., Any]
    slopes: Sequence[Callable[..., Any] | None]
    nodes: int = 0
    chosen: list[tuple[tuple[int, int], ...]] = field(default_factory=list)
    latents: list[tuple[int, ...]] = field(default_factory=list)
    known: list[tuple[float, ...]] = field(default_factory=list)
    _fixed: np.ndarray | None = None

    def add(self, state: State) -> float:
        """The terms' expectations, weighted; their slopes go into the state."""
        axes = [self.cells[k] for k in self.latents[0]]
        count, smooth = len(self.latents), sum(c.gaussian for c in axes)
        noise, mass = hermite(self.nodes or NODES.get(smooth, 4))
        nodes: list[np.ndarray] = []
        weights: list[np.ndarray] = []
        chains: list[tuple[np.ndarray, np.ndarray]] = []
        for j, cell in enumerate(axes):
            places = [row[j] for row in self.latents]
            if cell.kind == "table":
                table = np.stack([state.tables[k] for k in places])
                nodes.append(np.broadcast_to(np.arange(table.shape[1], dtype=float), table.shape))
                weights.append(table)
                chains.append((table, table))
                continue
            own = np.stack([state.parameters[self.cells[k].slot] for k in places])
            z = own[:, :1] + np.exp(own[:, 1:]) * noise
            low = np.array([[self.cells[k].low] for k in places])
            high = np.array([[self.cells[k].high] for k in places])
            value, chain = transform(cell.kind, z, low, high)
            nodes.append(value)
            weights.append(np.broadcast_to(mass, value.shape))
            chains.append((chain, chain * np.exp(own[:, 1:]) * noise))
        shape = (count, *(n.shape[1] for n in nodes))
        arguments: list[np.ndarray] = [
            n.reshape((count, *(n.shape[1] if i == j else 1 for i in range(len(axes)))))
            for j, n in enumerate(nodes)
        ]
        numbers = np.array(self.known, float).reshape(count, -1).T
        arguments += [x.reshape((count,) + (1,) * len(axes)) for x in numbers]
        with np.errstate(all="ignore"):
            if self._fixed is None or smooth:
                found = np.broadcast_to(self.value(*arguments), shape)
                self._fixed = np.maximum(np.nan_to_num(found, nan=0.0, posinf=LOWEST), LOWEST)
            values = self._fixed
            expected = contract(values, weights)
            outer = np.array([state.weight(c) for c in self.chosen])
            for j, slope in enumerate(self.slopes):
                if slope is None:
                    each = contract(values, weights, j) * outer[:, None]
                    for row, k in enumerate(r[j] for r in self.latents):
                        state.slopes[k] += each[row]
                    continue
                change = np.nan_to_num(
                    np.broadcast_to(slope(*arguments), shape), posinf=0.0, neginf=0.0
                )
                each = contract(change, weights, j) * outer[:, None] * weights[j]
                move, stretch = chains[j]
                for row, k in enumerate(r[j] for r in self.latents):
                    slot = self.cells[k].slot
                    state.gradient[slot] += [
                        float(each[row] @ move[row]), float(each[row] @ stretch[row])
                    ]  # fmt: skip
        for chosen, value in zip(self.chosen, expected, strict=True):
            if chosen:
                state.pass_on(chosen, float(value))
        return float(outer @ expected)


@dataclass(frozen=True)
class Folded:
    r"""weight · |a + Σ bₖ zₖ| of Gaussian latents: \(s\sqrt{2/\pi}e^{-m^2/2s^2} + m\,erf\)."""

    chosen: tuple[tuple[int, int], ...]
    weight: float
    constant: float
    latents: tuple[int, ...]
    slopes: tuple[float, ...]

    def add(self, state: State) -> float:
        """Its expectation, weighted; its slopes go into the state."""
        own = [state.parameters[state.cells[k].slot] for k in self.latents]
        scales = [b * np.exp(p[1]) for b, p in zip(self.slopes, own, strict=True)]
        mean = self.constant + sum(b * p[0] for b, p in zip(self.slopes, own, strict=True))
        sd = float(np.sqrt(sum(s * s for s in scales))) + 1e-300
        ratio = mean / sd
        bell = np.sqrt(2 / np.pi) * np.exp(-ratio * ratio / 2)
        side = special.erf(ratio / np.sqrt(2))
        value = self.weight * (sd * bell + mean * side)
        outer = state.weight(self.chosen) * self.weight
        for k, b, s in zip(self.latents, self.slopes, scales, strict=True):
            state.gradient[state.cells[k].slot] += [outer * side * b, outer * bell * s * s / sd]
        state.pass_on(self.chosen, value)
        return float(state.weight(self.chosen) * value)


@dataclass(frozen=True)
class LogShare:
    r"""weight · log θₖ of a simplex: \(E \log\theta_k = \psi(\alpha_k) - \psi(\sum\alpha)\)."""

    chosen: tuple[tuple[int, int], ...]
    weight: float
    latent: int

    def add(self, state: State) -> float:
        """Its expectation, weighted; its slopes go into the state."""
        cell = state.cells[self.latent]
        factor, k = state.simplex(cell.slot), cell.coordinate
        value = self.weight * float(factor.psi[k] - factor.psi_whole)
        outer = state.weight(self.chosen) * self.weight
        slope = -factor.bend_whole * factor.alpha
        slope[k] += factor.bend[k] * factor.alpha[k]
        state.gradient[cell.slot] += outer * slope
        state.pass_on(self.chosen, value)
        return float(state.weight(self.chosen) * value)


@dataclass(frozen=True)
class Constant:
    """A number that discrete latents select."""

    chosen: tuple[tuple[int, int], ...]
    value: float

    def add(self, state: State) -> float:
        """Its expectation; its slopes go into the state."""
        state.pass_on(self.chosen, self.value)
        return state.weight(self.chosen) * self.value


def entropy(state: State) -> float:
    """The entropy of all factors; slopes of tables are moved to their logits as well."""
    total, seen = 0.0, set()
    noise, mass = hermite(NODES[1])
    for k, cell in enumerate(state.cells):
        own = state.parameters[cell.slot]
        if cell.kind == "table":
            table = state.tables[k]
            log_table = np.log(np.maximum(table, 1e-300))
            total -= float(table @ log_table)
            slope = state.slopes[k] - log_table
            state.gradient[cell.slot] += table * (slope - table @ slope)
        elif cell.kind == "dirichlet":
            if cell.slot.start in seen:
                continue
            seen.add(cell.slot.start)
            factor = state.simplex(cell.slot)
            alpha, excess = factor.alpha, factor.whole - len(factor.alpha)
            total += float(special.gammaln(alpha).sum() - special.gammaln(factor.whole))
            total += float(excess * factor.psi_whole - (alpha - 1) @ factor.psi)
            slope = excess * factor.bend_whole - (alpha - 1) * factor.bend
            state.gradient[cell.slot] += slope * alpha
        else:
            total += float(own[1])
            state.gradient[cell.slot] += [0.0, 1.0]
            if cell.kind == "lognormal":
                total += float(own[0])
                state.gradient[cell.slot] += [1.0, 0.0]
            elif cell.kind == "logit":
                step = np.exp(own[1]) * noise
                z = own[0] + step
                total -= float(mass @ (np.logaddexp(0, z) + np.logaddexp(0, -z)))
                turn = 1 - 2 * special.expit(z)
                state.gradient[cell.slot] += [float(mass @ turn), float(mass @ (turn * step))]
    return total


def transform(
    kind: str, z: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A latent from its Gaussian, and the derivative."""
    if kind == "lognormal":
        value = np.exp(z)
        return value, value
    if kind == "logit":
        share = special.expit(z)
        return low + (high - low) * share, (high - low) * share * (1 - share)
    return z, np.ones_like(z)


def contract(
    values: np.ndarray, weights: Sequence[np.ndarray], keep: int | None = None
) -> np.ndarray:
    """Sum over all axes with their weights, but for one that is kept unweighted.

    Example:
        >>> w = [np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])]
        >>> contract(np.array([[[1.0, 2.0], [3.0, 4.0]]]), w)
        array([2.75])
    """
    for j in reversed(range(len(weights))):
        if j == keep:
            continue
        axis = j + 1
        shape = [1] * values.ndim
        shape[0], shape[axis] = weights[j].shape
        values = (values * weights[j].reshape(shape)).sum(axis)
    return values


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(logits), normalised."""
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())


_RULES: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def hermite(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for a standard Normal."""
    if count not in _RULES:
        points, weights = np.polynomial.hermite_e.hermegauss(count)
        _RULES[count] = points, weights / weights.sum()
    return _RULES[count]
