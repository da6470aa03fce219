r"""Gaps of a VAE, image by image.

.. math::
    \log p(x) - \mathcal L[q] = \underbrace{\log p(x) - \mathcal L[q^*]}_{\text{approximation}}
    + \underbrace{\mathcal L[q^*] - \mathcal L[q]}_{\text{amortization}}

(Cremer, Li and Duvenaud, 2018).
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.results.base import Result
from avi_theory.results.shown import Shown

FLAGS = {"optimum_below_encoder": 1, "evidence_below_optimum": 2, "not_a_number": 4}
"""Bits of ``per_image["flag"]``: L[q] > L[q*] beyond noise, the optimiser failed; log p̂ < L[q*]
beyond noise, the estimator failed; a number is NaN or infinite."""
RUNGS = ("elbo", "elbo_optimum", "log_evidence", "amortization_gap", "approximation_gap")
TRIMMED = 0.05
"""Left out at either end by a trimmed mean."""


@dataclass(frozen=True)
class Sandwich(Result):
    """Bidirectional Monte Carlo on simulated images; all values in nats, means over images.

    Attributes:
        lower, upper: stochastic bounds of the mean log p(x).
        width: upper − lower; near 0 where annealing works.
        standard_error: of the width, between images.
        images, temperatures, chains, seed: what it was run with.
    """

    lower: float
    upper: float
    width: float
    standard_error: float
    images: int
    temperatures: int
    chains: int
    seed: int


@dataclass(frozen=True)
class Level(Result):
    """One column over the images.

    Attributes:
        mean, median, trimmed_mean: over finite values, in nats; the trimmed mean leaves out the
            lowest and the highest 5 %.
        standard_error: of the mean, between images.
        images: with a finite value.
        left_out: without one; never averaged away in silence.
    """

    mean: float
    median: float
    trimmed_mean: float
    standard_error: float
    images: int
    left_out: int


@dataclass(frozen=True, eq=False)
class Gaps(Shown):
    """What `vae_gaps` measured.

    Attributes:
        per_image: columns over the images, each ``[B]``: ``elbo``, ``elbo_optimum``,
            ``log_evidence``, ``amortization_gap``, ``approximation_gap`` (nats) and
            ``<name>_standard_error``; ``flag`` (bits of `FLAGS`, 0 for none); diagnostics of the
            optimiser and of the evidence.
        latents: coordinates of a code.
        methods: rung to how it was found.
        provenance: seed, device, dtype, likelihood, seconds, versions.
        training: the gaps on training images, where they were given.
        sandwich: the check of the annealing on simulated images, where it was asked for.
        pictures: some images ``[k, …]``, those with the largest amortization gaps; worst: their
            places.
    """

    per_image: Mapping[str, np.ndarray]
    latents: int
    methods: Mapping[str, str]
    provenance: Mapping[str, Any]
    training: Gaps | None = None
    sandwich: Sandwich | None = None
    pictures: np.ndarray | None = field(default=None, repr=False)
    worst: tuple[int, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.per_image["elbo"])

    @property
    def flags(self) -> dict[str, int]:
        """How many images carry each flag."""
        bits = self.per_image["flag"]
        return {name: int(((bits & bit) != 0).sum()) for name, bit in FLAGS.items()}

    @property
    def unconverged(self) -> int:
        """How many images have an optimum without certificate."""
        return int((~self.per_image["converged"]).sum())

    def summary(self) -> dict[str, Level]:
        """Mean, median and trimmed mean of each rung, with the counts they are over."""
        return {name: level(self.per_image[name]) for name in self.levels}

    @property
    def levels(self) -> tuple[str, ...]:
        """The columns that are rungs of a ladder."""
        more = ("elbo_flow", "flow_gain")
        return RUNGS + tuple(n for n in more if n in self.per_image)

    @property
    def generalization(self) -> tuple[float, float] | None:
        """Mean amortization gap on these images less that on training images, with its error.

        None without training images (Zhang, Hayes and Barber, 2022).
        """
        if self.training is None:
            return None
        here, there = (level(g.per_image["amortization_gap"]) for g in (self, self.training))
        return here.mean - there.mean, math.hypot(here.standard_error, there.standard_error)

    def to_parquet(self, path: str | Path) -> Path:
        """Write one row per image; complete or not at all.

        Raises:
            InputError: the path cannot be written.
        """
        import pandas as pd

        content = BytesIO()
        frame = pd.DataFrame(dict(self.per_image))
        frame.insert(0, "image", np.arange(len(self)))
        frame.to_parquet(content, index=False)
        path = Path(path)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except OSError as e:
            raise InputError(
                f"The gaps cannot be written to {path}: {e.strerror}. Choose another path."
            ) from e
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.getvalue())
            Path(name).replace(path)
        except OSError as e:
            Path(name).unlink(missing_ok=True)
            raise InputError(f"The gaps cannot be written to {path}: {e.strerror}.") from e
        return path

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers, with the summary and the counts of flags."""
        found = super().to_dict()
        found["summary"] = {name: one.to_dict() for name, one in self.summary().items()}
        found["flags"], found["unconverged"] = self.flags, self.unconverged
        pair = self.generalization
        found["generalization"] = pair and {"value": pair[0], "standard_error": pair[1]}
        return found


def level(column: np.ndarray) -> Level:
    """One column in a few numbers.

    Example:
        >>> found = level(np.array([1.0, 2.0, 6.0, np.nan]))
        >>> found.mean, found.median, found.images, found.left_out
        (3.0, 2.0, 3, 1)
    """
    kept = np.sort(column[np.isfinite(column)])
    if not len(kept):
        nan = math.nan
        return Level(nan, nan, nan, nan, 0, len(column))
    cut = int(TRIMMED * len(kept))
    inner = kept[cut : len(kept) - cut]
    error = kept.std(ddof=1) / math.sqrt(len(kept)) if len(kept) > 1 else math.nan
    return Level(
        float(kept.mean()), float(np.median(kept)), float(inner.mean()), float(error),
        len(kept), len(column) - len(kept),
    )  # fmt: skip
