"""Data sets drawn from a continuous model, half to fit a function and half to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import sparse

from avi_theory.spec.bound import Bound
from avi_theory.theory.quadrature.ascent import NotConverged
from avi_theory.theory.quadrature.convexity import concave
from avi_theory.theory.quadrature.draws import draw_many
from avi_theory.theory.quadrature.elbo import (
    DRAWN,
    MOST_POINTS,
    NotIntegrable,
    Objective,
    TooManyPoints,
    objective,
    require_scalars,
)
from avi_theory.theory.quadrature.newton import Curvature, Separate, ascend

LATENTS, FEWEST, MOST = 20_000, 8, 150
"""Latents of all data sets to fit (as many are fresh), and limits to the number of data sets."""
FEW = 3
"""So many times more quadrature points than one data set may have."""
FIRST_LEVEL = -0.7
SEED = 0


@dataclass(frozen=True, eq=False)
class Half:
    """Some of the data sets.

    Attributes:
        bounds: each of them.
        target: their summed ELBO.
        curvature: its second derivatives.
        start: locations of the drawn latents, ``[D, coordinates]``.
    """

    bounds: tuple[Bound, ...]
    target: Objective
    curvature: Curvature
    start: np.ndarray

    def free(self, mean: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F-VI's means and log scales from a start.

        Raises:
            NotConverged: the maximisation stopped early.
        """
        size = mean.size
        everything = sparse.identity(size, format="csr")
        family = Separate(np.zeros(size), np.zeros(size), np.arange(size), everything)
        begin = np.concatenate([mean.ravel(), level.ravel()])
        _, _, best = ascend(self.curvature, family, np.zeros(0), begin)
        return best.mean, best.level


@dataclass(frozen=True, eq=False)
class Sample:
    """Both halves, and F-VI's optima.

    Attributes:
        fit, fresh: the halves.
        fit_free: F-VI's means and log scales at the data sets to fit, where functions start.
        mean, level: of F-VI at the fresh data sets.
        sure: whether the ELBO is concave, so that each optimum is unique.
    """

    fit: Half
    fresh: Half
    fit_free: tuple[np.ndarray, np.ndarray]
    mean: np.ndarray
    level: np.ndarray
    sure: bool

    @property
    def copies(self) -> int:
        """The number of data sets in each half."""
        return self.fit.target.copies


def sample(bound: Bound, theta: Mapping[str, np.ndarray]) -> Sample:
    """Draw data sets, and find F-VI's optima.

    Args:
        bound: the model at its sizes.
        theta: values of the globals that are not drawn from their prior.

    Raises:
        NotIntegrable: the model cannot be drawn from or integrated.
        NotConverged: F-VI's optimum was not reached.
    """
    found = _sample(bound, tuple((k, tuple(v.tolist())) for k, v in theta.items()))
    if isinstance(found, Exception):
        raise found
    return found


@lru_cache(maxsize=2)
def _sample(
    bound: Bound, theta: tuple[tuple[str, tuple[float, ...]], ...]
) -> Sample | NotIntegrable | NotConverged:
    """Kept for the next question about the same model, the failure too."""
    count = int(np.clip(LATENTS // max(bound.latents, 1), FEWEST, MOST))
    try:
        require_scalars(bound)
        while True:
            drawn = draw_many(bound, {k: np.array(v) for k, v in theta}, 2 * count, SEED)
            try:
                fit, fresh = (
                    _half(bound, {k: x[at] for k, x in drawn.items()})
                    for at in (slice(None, count), slice(count, None))
                )
                break
            except TooManyPoints:
                if count <= FEWEST:
                    raise
                count = max(count // 2, FEWEST)
        sure = concave(fresh.target) and concave(fit.target)
        fitted, (mean, level) = (
            half.free(half.start, np.full(half.start.size, FIRST_LEVEL)) for half in (fit, fresh)
        )
    except (NotIntegrable, NotConverged) as e:
        return e
    return Sample(fit, fresh, fitted, mean, level, sure)


def _half(bound: Bound, drawn: Mapping[str, np.ndarray]) -> Half:
    model = bound.model
    observed = {v.name: drawn[v.name] for v in model.observed}
    target = objective(bound, drawn=observed, most=_most(next(iter(drawn.values()))))
    copies = target.copies
    bounds = tuple(
        replace(bound, known={**bound.known, **{k: x[d] for k, x in observed.items()}})
        for d in range(copies)
    )
    start = np.concatenate([drawn[v.name] for v in target.layout.variables], 1)
    positive = target.positive.reshape(copies, -1)
    location = np.where(positive, np.log(np.where(positive, start, 1.0)), start)
    return Half(bounds, target, Curvature.of(target), location)


def _most(drawn: np.ndarray) -> int:
    """How many quadrature points are too many."""
    return MOST_POINTS * (DRAWN if len(drawn) <= FEWEST else FEW)


def finer(half: Half, mean: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The ELBO of each data set by a finer quadrature."""
    observed = {
        v.name: np.stack([b.known[v.name] for b in half.bounds])
        for v in half.bounds[0].model.observed
    }
    most = _most(next(iter(observed.values())))
    target = objective(half.bounds[0], finer=True, drawn=observed, most=most)
    return target.each(mean, level)
