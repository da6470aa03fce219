"""log p(x) per image: exact, by quadrature, or the larger of two lower bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.numeric.annealing import Normal, anneal, sigmoidal
from avi_theory.vae.gaps.affine import Affine
from avi_theory.vae.gaps.fresh import Sampled
from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.gaps.quadrature import WIDEST, by_quadrature
from avi_theory.vae.posteriors import Diagonal

TEMPERATURES, CHAINS = 1000, 10
UNRELIABLE = 0.5
"""Nats: a bound with a larger standard error gives way to one with a smaller."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """log p̂(x).

    Attributes:
        value, standard_error: ``[B]``, nats.
        method: in a word or two.
        columns: the estimates it was chosen from, and their diagnostics, by name.
    """

    value: Tensor
    standard_error: Tensor
    method: str
    columns: dict[str, Tensor]


def exactly(affine: Affine) -> Evidence:
    """In closed form."""
    value = affine.log_evidence()
    return Evidence(value, torch.zeros_like(value), "exact", {})


def estimated(
    problem: Problem,
    best: Diagonal,
    sampled: Sampled,
    *,
    temperatures: int,
    chains: int,
    seed: int,
    told: Callable[[str, int, int], None] | None = None,
) -> Evidence:
    r"""Quadrature where z has at most two coordinates, else the larger of IWAE and AIS.

    .. math:: \log \hat p(x) = \max(\text{IWAE},\ \text{AIS})

    Both are lower bounds in expectation; the larger of two noisy numbers is a little high where
    both are close, by less than their standard errors.  An estimate whose error exceeds
    `UNRELIABLE` is passed over where the other's does not.

    Args:
        problem: the decoder and the images.
        best: q*_FFG, the proposal of IWAE; its widths are the metric of the transitions.
        sampled: what holds IWAE.
        temperatures: distributions of the annealing; 0 leaves it out.
        chains: per image.
        seed: of the annealing.
        told: progress.
    """
    columns = {
        "iwae": sampled.iwae,
        "iwae_standard_error": sampled.iwae_error,
        "iwae_effective_blocks": sampled.effective_blocks,
    }
    if problem.d <= WIDEST:
        value, change = by_quadrature(problem, best)
        return Evidence(value, change, "quadrature", columns)
    if not temperatures:
        return Evidence(sampled.iwae, sampled.iwae_error, "IWAE", columns)
    columns |= annealed(
        problem, best, temperatures=temperatures, chains=chains, seed=seed, told=told
    )
    ais, error = columns["ais"], columns["ais_standard_error"]
    doubtful, sure = error > UNRELIABLE, sampled.iwae_error <= UNRELIABLE
    higher = (ais > sampled.iwae) & ~(doubtful & sure) | (~doubtful & ~sure)
    value = torch.where(higher, ais, sampled.iwae)
    return Evidence(
        value, torch.where(higher, error, sampled.iwae_error), "larger of IWAE and AIS", columns
    )


def annealed(
    problem: Problem,
    best: Diagonal,
    *,
    temperatures: int,
    chains: int,
    seed: int,
    told: Callable[[str, int, int], None] | None = None,
) -> dict[str, Tensor]:
    """AIS from the prior with its diagnostics; the arguments are those of `estimated`.

    Returns:
        ``ais`` in nats, ``ais_standard_error``, ``ais_effective_samples`` and
        ``ais_acceptance``, ``[B]`` each.
    """
    parts = []
    for k, at in enumerate(problem.portions(chains)):
        some, begin = problem.take(at), Normal.standard(len(at), problem.d, like=problem.images)

        def tell(done: int, total: int, before: int = int(at[0]), size: int = len(at)) -> None:
            if told is not None:
                told("AIS", before + size * done // total, len(problem))

        parts.append(
            anneal(
                some.log_joint,
                begin,
                schedule=sigmoidal(temperatures),
                chains=chains,
                scale=(0.5 * best.log_variance[at]).exp(),
                seed=seed + k,
                progress=tell,
            )
        )
    return {
        "ais": torch.cat([p.log_evidence for p in parts]),
        "ais_standard_error": torch.cat([p.standard_error for p in parts]),
        "ais_effective_samples": torch.cat([p.effective_samples for p in parts]),
        "ais_acceptance": torch.cat([p.acceptance for p in parts]),
    }
