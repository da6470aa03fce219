"""How good a model is on a split: sampled, with its error, and under its own name what flatters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from avi_theory.vae.data.images import Images
from avi_theory.vae.elbo import elbo, plug_in
from avi_theory.vae.model import VAE
from avi_theory.vae.posteriors import Diagonal

DRAWS, FEWEST, CODES = 100, 10, 200_000
"""Per image at most and at least, and for a split together."""
MOST, BATCH = 10_000, 500
ACTIVE = 0.01
"""A coordinate is active if its posterior mean varies more over images (Burda et al. 2016)."""


@dataclass(frozen=True)
class Score:
    """Means over the images of a split, in nats per image.

    Attributes:
        images: how many were looked at.
        elbo: sampled.
        standard_error: of `elbo`, by the draws of codes; these images are all there are.
        plug_in: log p(x | z = µ) − KL, which is no bound; None for a q that is not diagonal.
        active: coordinates of the code that are in use; None likewise.
        draws: per image.
        seed: of the draws.
    """

    images: int
    elbo: float
    standard_error: float
    plug_in: float | None
    active: int | None
    draws: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)


@torch.no_grad()
def score(model: VAE, images: Images, split: str, *, seed: int) -> Score:
    """A model's bounds on a split.

    Args:
        model: in evaluation mode.
        images: with the split.
        split: train, validation or test; its first 10,000 images.
        seed: of the draws.
    """
    parameter = next(model.parameters())
    generator = torch.Generator(parameter.device).manual_seed(seed)
    count = min(len(images.split(split)), MOST)
    draws = max(FEWEST, min(DRAWS, CODES // count))
    values: list[Tensor] = []
    errors: list[Tensor] = []
    flattered: list[Tensor] = []
    means: list[Tensor] = []
    for k in range(0, count, BATCH):
        x = images.tensor(
            split, slice(k, min(k + BATCH, count)), device=parameter.device, dtype=parameter.dtype
        )
        q = model.posterior(x)
        found = elbo(model.decoder, model.likelihood, q, x, draws=draws, generator=generator)
        values.append(found.value)
        errors.append(found.standard_error)
        if isinstance(q, Diagonal):
            flattered.append(plug_in(model.decoder, model.likelihood, q, x))
            means.append(q.mean)
    error = float(torch.cat(errors).double().square().sum().sqrt()) / count
    return Score(
        images=count,
        elbo=float(torch.cat(values).double().mean()),
        standard_error=error,
        plug_in=float(torch.cat(flattered).double().mean()) if flattered else None,
        active=int((torch.cat(means).var(0) > ACTIVE).sum()) if means else None,
        draws=draws,
        seed=seed,
    )
