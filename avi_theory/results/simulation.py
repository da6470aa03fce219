"""A draw from a declared model: data that `measure` takes, and the latents behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from avi_theory.results.base import Result


@dataclass(frozen=True, eq=False)
class Simulation(Result):
    """Data drawn from a model's prior.

    Attributes:
        model: the model's name.
        data: observed variables and givens, arrays by shape (NaN where a ragged array has no
            cell); hand it to `measure` or `compare` as it is.
        latents: the drawn locals and globals, arrays by shape.
        sizes: the sizes used.
        seed: of the generator.
    """

    model: str
    data: Mapping[str, np.ndarray]
    latents: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    seed: int

    def __str__(self) -> str:
        shapes = ", ".join(f"{k} {np.shape(v)}" for k, v in self.data.items())
        return f"{self.model}, simulated with seed {self.seed}: {shapes}"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, as JSON has them."""
        from avi_theory.results.base import plain

        return {k: plain(getattr(self, k)) for k in ("model", "data", "latents", "sizes", "seed")}
