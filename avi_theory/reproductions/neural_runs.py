"""The runs of the Bayesian neural decoder: each family from its own start, and F-VI from A-VI's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from avi_theory.numeric.checkpoint import Checkpoint, fingerprint
from avi_theory.reproductions.base import Progress
from avi_theory.reproductions.neural_decoder import (
    Network,
    Objective,
    Table,
    Weights,
    train,
    value,
)

DRAWS = 100
"""Of all codes, for each loss."""
Key = str | int
Runs = Mapping[Key, np.ndarray]
"""Losses per image of each seed, by family or width; ``warm 64``: F-VI from width 64's factors."""


@dataclass(frozen=True)
class Size:
    """A scale.

    Attributes:
        data: a set of images; images: the first so many.
        units: what a pixel between 0 and 1 is multiplied by; the noise is 1.
        codes, hidden: of the decoder, whose two layers are equally wide.
        widths: of both hidden layers of the encoder.
        seeds, steps, batch, rate: of a run; steps of each half.
        spread: of the weights' means at the start, in units of 1 / root of a layer's inputs.
    """

    data: str
    images: int
    units: float
    codes: int
    hidden: int
    widths: tuple[int, ...]
    seeds: int
    steps: int
    batch: int
    rate: float
    spread: float


def families(
    x: Tensor, size: Size, objective: Objective, seed: int, words: str, progress: Progress
) -> Runs:
    """Every family from its own start, and F-VI from every A-VI's solution at half time.

    Args:
        x: images ``[N, D]``, in units of the noise.
        size: of the runs.
        objective: what is minimised.
        seed: of starts and noise.
        words: that name these runs.
        progress: told of each family; where it keeps trainings, those that are done are taken.
    """
    folder, memory = progress.kept(words), None
    if folder is not None:
        told = {"size": asdict(size), "objective": asdict(objective), "seed": seed, "draws": DRAWS}
        data = fingerprint({"x": x.cpu().numpy()})
        memory = Checkpoint(folder, {**told, "data": data, "torch": torch.__version__})
    found: dict[Key, np.ndarray] = {}
    keys: tuple[Key, ...] = ("F-VI", "constant", *size.widths)
    for key in keys:
        progress(f"{words}: {f'width {key}' if isinstance(key, int) else key}")

        def work(key: Key = key) -> dict[str, Tensor]:
            return _family(key, x, size, objective, seed)

        losses = memory.result(work) if memory is not None else work()
        found[key] = losses["own"].numpy()
        if "warm" in losses:
            found[f"warm {key}"] = losses["warm"].numpy()
    return found


def _family(key: Key, x: Tensor, size: Size, objective: Objective, seed: int) -> dict[str, Tensor]:
    """Losses at the end, and of F-VI that went on from half time."""
    draw = torch.Generator().manual_seed(seed)
    widths = (size.codes, size.hidden, size.hidden, x.shape[1])
    weights = Weights(widths, size.seeds, draw, size.spread).to(x.device)
    factors = _factors(key, x, size, draw).to(x.device)
    noise, found = torch.Generator(x.device).manual_seed(seed), {}
    _half(factors, weights, x, size, objective, noise, ends=False)
    if isinstance(key, int):
        warm = Table(*factors(x, slice(0, len(x)))), copy.deepcopy(weights)
        again = torch.Generator(x.device)
        again.set_state(noise.get_state())
        _half(*warm, x, size, objective, again, ends=True)
        found["warm"] = _mean(*warm, x, objective, seed)
    _half(factors, weights, x, size, objective, noise, ends=True)
    return {"own": _mean(factors, weights, x, objective, seed), **found}


def _factors(key: Key, x: Tensor, size: Size, draw: torch.Generator) -> nn.Module:
    """As in the public notebook: Normal means, log sds around −1, torch's start of a network."""
    if isinstance(key, int):
        return Network((x.shape[1], key, key, 2 * size.codes), size.seeds, draw)
    shape = (size.seeds, len(x) if key == "F-VI" else 1, size.codes)
    return Table(torch.randn(shape, generator=draw), torch.randn(shape, generator=draw) - 1)


def _half(
    factors: nn.Module,
    weights: Weights,
    x: Tensor,
    size: Size,
    objective: Objective,
    draw: torch.Generator,
    *,
    ends: bool,
) -> None:
    how = {"steps": size.steps, "batch": size.batch, "rate": size.rate}
    train(factors, weights, x, objective, draw, **how, ends=ends)  # type: ignore[arg-type]


def _mean(
    factors: nn.Module, weights: Weights, x: Tensor, objective: Objective, seed: int
) -> Tensor:
    return value(factors, weights, x, objective, draws=DRAWS, seed=seed).mean(0).cpu()
