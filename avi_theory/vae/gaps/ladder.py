"""The rungs of some images: exact where they can be, else optimised and sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avi_theory.vae.elbo import plug_in
from avi_theory.vae.gaps.affine import Affine
from avi_theory.vae.gaps.ascent import CONVERGED, STATUSES
from avi_theory.vae.gaps.drawn import drawn_elbo
from avi_theory.vae.gaps.evidence import CHAINS, TEMPERATURES, Evidence, estimated, exactly
from avi_theory.vae.gaps.flags import flagged
from avi_theory.vae.gaps.flow_optimum import flow_optimum
from avi_theory.vae.gaps.fresh import ENOUGH, LEAST, MOST, evaluate
from avi_theory.vae.gaps.optimum import EVALUATIONS, optimum
from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.posteriors import Diagonal, Posterior

MOMENTS = 500
"""Draws that a start is taken from where the encoder's q is not diagonal."""
LEAST_VARIANCE = 1e-12

Told = Callable[[str, int, int], None]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """How hard to try.

    Attributes:
        temperatures, chains: of the annealing; no temperatures leave it out.
        evaluations: of the optimiser, per image, start and round, at most.
        draws: fresh samples per image, at least.
        most_draws: at most; enough: the standard error in nats at which an image is done.
        flow: whether to optimise q*_Flow, too.
        seed: of everything drawn.
    """

    temperatures: int = TEMPERATURES
    chains: int = CHAINS
    evaluations: int = EVALUATIONS
    draws: int = LEAST
    most_draws: int = MOST
    enough: float = ENOUGH
    flow: bool = False
    seed: int = 0


def climb(
    problem: Problem, q: Posterior, affine: Affine | None, settings: Settings, told: Told | None
) -> tuple[Columns, dict[str, str]]:
    """Columns of `Gaps.per_image`, and how each rung was found.

    Args:
        problem: the decoder and the images.
        q: the encoder's posteriors.
        affine: the closed form, where there is one.
        settings: how hard to try.
        told: progress.
    """
    if affine is not None and isinstance(q, Diagonal):
        return _finished(*_exact(affine, q), diagonal=True)
    begin = q if isinstance(q, Diagonal) else _moments(problem, q, settings.seed)
    found = optimum(problem, begin, seed=settings.seed, evaluations=settings.evaluations, told=told)
    sampled = evaluate(
        problem, begin, found.q, seed=settings.seed + 1, least=settings.draws,
        most=settings.most_draws, enough=settings.enough,
    )  # fmt: skip
    rungs = {
        "elbo": sampled.elbo,
        "elbo_standard_error": sampled.elbo_error,
        "elbo_optimum": sampled.best,
        "elbo_optimum_standard_error": sampled.best_error,
        "amortization_gap_standard_error": sampled.gap_error,
        "draws": sampled.draws,
        "gradient_norm": found.gradient_norm,
        "evaluations": found.evaluations,
        "start_spread": found.start_spread,
        "from_zero": found.from_zero,
    }
    methods = {
        "elbo": "analytic KL, fresh orthogonal samples with a control variate",
        "elbo_optimum": "quasi-Newton on balanced noise from two starts, then fresh samples",
    }
    if not isinstance(q, Diagonal):
        rungs |= _drawn(problem, q, sampled.best_error, settings)
        methods["elbo"] = "fresh samples"
    if settings.flow:
        more = flow_optimum(
            problem, found.q, seed=settings.seed + 4, least=settings.draws,
            most=settings.most_draws, enough=settings.enough, told=told,
        )  # fmt: skip
        rungs |= {
            "elbo_flow": more.elbo,
            "elbo_flow_standard_error": more.standard_error,
            "flow_gain": more.elbo - sampled.best,
            "flow_gain_standard_error": torch.hypot(more.standard_error, sampled.best_error),
            "flow_settled": more.settled,
        }
        methods["elbo_flow"] = "Adam on fresh balanced noise from q*_FFG, then fresh samples"
    evidence = exactly(affine) if affine is not None else estimated(
        problem, found.q, sampled, temperatures=settings.temperatures, chains=settings.chains,
        seed=settings.seed + 2, told=told,
    )  # fmt: skip
    columns = _arrays(rungs)
    columns["status"] = np.array([STATUSES[k] for k in found.status.tolist()])
    columns["converged"] = (found.status == CONVERGED).cpu().numpy()
    if isinstance(q, Diagonal):
        with torch.no_grad():
            columns["plug_in"] = _array(
                plug_in(problem.decode, problem.likelihood, q, problem.images)
            )
    return _finished(columns, evidence, methods, diagonal=isinstance(q, Diagonal))


def _exact(affine: Affine, q: Diagonal) -> tuple[Columns, Evidence, dict[str, str]]:
    value, best = affine.elbo(q), affine.optimum()
    zero = torch.zeros_like(value)
    rungs = {"elbo": value, "elbo_optimum": affine.elbo(best)}
    errors = ("elbo", "elbo_optimum", "amortization_gap")
    rungs |= {f"{name}_standard_error": zero for name in errors}
    columns = _arrays(rungs | {"gradient_norm": zero})
    columns["status"] = np.full(len(value), STATUSES[CONVERGED])
    columns["converged"] = np.ones(len(value), dtype=bool)
    return columns, exactly(affine), {"elbo": "exact", "elbo_optimum": "exact"}


def _finished(
    columns: Columns, evidence: Evidence, methods: dict[str, str], *, diagonal: bool
) -> tuple[Columns, dict[str, str]]:
    """The differences between the rungs, and the flags."""
    columns |= _arrays(evidence.columns)
    columns["log_evidence"] = _array(evidence.value)
    columns["log_evidence_standard_error"] = _array(evidence.standard_error)
    columns["amortization_gap"] = columns["elbo_optimum"] - columns["elbo"]
    columns["approximation_gap"] = columns["log_evidence"] - columns["elbo_optimum"]
    columns["approximation_gap_standard_error"] = np.hypot(
        columns["log_evidence_standard_error"], columns["elbo_optimum_standard_error"]
    )
    columns["flag"] = flagged(columns, diagonal=diagonal)
    return columns, {**methods, "log_evidence": evidence.method}


@torch.no_grad()
def _moments(problem: Problem, q: Posterior, seed: int) -> Diagonal:
    """The diagonal Gaussian with the moments of any posterior."""
    z, _ = q.sample(MOMENTS, _generator(problem, seed))
    return Diagonal(z.mean(0), z.var(0).clamp(min=LEAST_VARIANCE).log())


def _drawn(problem: Problem, q: Posterior, other: Tensor, settings: Settings) -> dict[str, Tensor]:
    value, error = drawn_elbo(
        problem, q, _generator(problem, settings.seed + 3), least=settings.draws,
        most=settings.most_draws, enough=settings.enough,
    )  # fmt: skip
    return {
        "elbo": value,
        "elbo_standard_error": error,
        "amortization_gap_standard_error": torch.hypot(error, other),
    }


def _generator(problem: Problem, seed: int) -> torch.Generator:
    return torch.Generator(problem.images.device).manual_seed(seed)


def _arrays(columns: dict[str, Tensor]) -> Columns:
    return {name: _array(column) for name, column in columns.items()}


def _array(column: Tensor) -> np.ndarray:
    found = column.detach().cpu()
    return (found.double() if found.is_floating_point() else found).numpy()
