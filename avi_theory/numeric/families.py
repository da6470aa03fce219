r"""Variational families: the factor of one latent, as a function of its free parameters.

.. math:: q(z_n; \nu_n),\qquad
    \nu_n = (m_n, \log s_n),\; \log \alpha_n \text{ or } K - 1 \text{ logits}

A continuous latent is a fixed transform of a Gaussian: the identity on the real line, ``exp`` on
the positive half-line (LogNormal), a scaled logistic on an interval (logit-Normal).  A simplex has
Dirichlet factors, a discrete latent Categorical ones.  F-VI and A-VI share these families; they
differ in where ν comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound, evaluate_number
from avi_theory.spec.model import Variable

Kind = Literal["Normal", "LogNormal", "LogitNormal", "Dirichlet", "Categorical"]
KINDS: dict[str, Kind] = {
    "real": "Normal",
    "positive": "LogNormal",
    "unit": "LogitNormal",
    "interval": "LogitNormal",
    "binary": "Categorical",
    "categories": "Categorical",
    "simplex": "Dirichlet",
}
"""The factor that goes with each support."""


@dataclass(frozen=True)
class Family:
    """The family of one variable's factors.

    Attributes:
        name: of the variable.
        kind: of its factors.
        points: P, the number of index points; dim: coordinates at each (1 for a scalar).
        vector: whether the variable is declared vector-valued.
        categories: K of a discrete variable, else 0.
        low, high: ends of a bounded support.
    """

    name: str
    kind: Kind
    points: int
    dim: int = 1
    vector: bool = False
    categories: int = 0
    low: float = 0.0
    high: float = 1.0

    @property
    def width(self) -> int:
        """Free parameters per coordinate: mean and log sd, log concentration, or K − 1 logits."""
        if self.discrete:
            return self.categories - 1
        return 2 if self.gaussian else 1

    @property
    def gaussian(self) -> bool:
        """Whether the factors are transforms of Gaussians."""
        return self.kind not in ("Categorical", "Dirichlet")

    @property
    def discrete(self) -> bool:
        """Whether the factors are Categorical."""
        return self.kind == "Categorical"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the parameter table: points, coordinates, free parameters."""
        return (self.points, self.dim, self.width)

    def factors(self, parameters: Tensor) -> Factors:
        """The factors with these parameters ``[P, dim, width]``."""
        if self.discrete:
            zero = torch.zeros_like(parameters[:, 0, :1])
            logits = torch.cat([parameters[:, 0, :], zero], -1)
            return Factors(log_probability=torch.log_softmax(logits, -1))
        if not self.gaussian:
            alpha = parameters[..., 0].exp()
            total = alpha.sum(-1, keepdim=True)
            expected_log = torch.digamma(alpha) - torch.digamma(total)
            return Factors(mean=alpha / total, expected_log=expected_log, concentration=alpha)
        mean, log_sd = parameters[..., 0], parameters[..., 1]
        if not self.vector:
            mean, log_sd = mean[:, 0], log_sd[:, 0]
        return Factors(mean=mean, log_sd=log_sd)

    def entropy(self, factors: Factors) -> Tensor:
        """Σₙ H[q(zₙ)] of the Gaussian (before its transform) or Categorical factors, in nats."""
        if self.discrete:
            assert factors.log_probability is not None
            return -(factors.probability * factors.log_probability).sum()
        if factors.concentration is not None and factors.expected_log is not None:
            alpha = factors.concentration
            norm = torch.lgamma(alpha).sum() - torch.lgamma(alpha.sum(-1)).sum()
            return norm - ((alpha - 1) * factors.expected_log).sum()
        assert factors.log_sd is not None
        constant = 0.5 * (1 + math.log(2 * math.pi)) * self.points * self.dim
        return factors.log_sd.sum() + constant


@dataclass(frozen=True, eq=False)
class Factors:
    """The factors of all points of one variable: moments, or category probabilities.

    Attributes:
        mean, log_sd: ``[P]``, or ``[P, d]`` for a vector, of the Gaussian before its transform.
        expected_log: ``[P, d]`` of a simplex, with its concentration; its mean is then its own.
        log_probability: ``[P, K]`` of a discrete variable; `weights` instead of its exponential
            where the derivative in the probabilities themselves is wanted.
    """

    mean: Tensor | None = None
    log_sd: Tensor | None = None
    expected_log: Tensor | None = None
    concentration: Tensor | None = None
    log_probability: Tensor | None = None
    weights: Tensor | None = None

    @property
    def probability(self) -> Tensor:
        """``[P, K]``."""
        if self.weights is not None:
            return self.weights
        assert self.log_probability is not None
        return self.log_probability.exp()


def family_of(bound: Bound, variable: Variable) -> Family:
    """The family that goes with a latent variable's support.

    Raises:
        InputError: a support without a family (unbounded counts, simplices), named.
    """
    if variable.support not in KINDS or (variable.discrete and variable.dim is not None):
        raise InputError(
            f"{variable} takes values in '{variable.support}', for which no factor is measured. "
            "Measured are real, positive, bounded, simplex, binary and categorical latents; check "
            "and predict still answer."
        )
    kind = KINDS[variable.support]
    points = bound.tables[variable.name].size
    if kind == "Categorical":
        if variable.categories is None:
            raise InputError(f"{variable} has no fixed number of categories to sum over.")
        scalars = {k: v for k, v in bound.known.items() if k not in bound.tables}
        count = int(evaluate_number(variable.categories, {}, bound.sizes, scalars))
        return Family(variable.name, kind, points, 1, False, count)
    low, high = _ends(bound, variable) if variable.support == "interval" else (0.0, 1.0)
    return Family(
        variable.name, kind, points, bound.dim(variable), variable.dim is not None, 0, low, high
    )


def _ends(bound: Bound, variable: Variable) -> tuple[float, float]:
    scalars = {k: v for k, v in bound.known.items() if np_ndim(v) == 0}
    ends = set()
    for d in bound.model.densities:
        if d.variable == variable.name:
            try:
                pair = tuple(
                    float(evaluate_number(d.arguments[end], {}, bound.sizes, scalars))
                    for end in ("low", "high")
                )
            except (InputError, KeyError, TypeError) as e:
                raise InputError(
                    f"{d.text}: the ends must be fixed numbers, the same at all points, for the "
                    f"support of {variable} to have a factor. Use constants or scalar givens."
                ) from e
            ends.add(pair)
    if len(ends) != 1:
        raise InputError(f"{variable} has several supports; no factor fits all of them.")
    low, high = ends.pop()
    return low, high


def np_ndim(value: object) -> int:
    """The number of axes of an array or number."""
    return int(getattr(value, "ndim", 0))


def families(bound: Bound) -> Mapping[str, Family]:
    """The families of all latents, globals first."""
    model = bound.model
    return {v.name: family_of(bound, v) for v in (*model.globals, *model.locals)}
