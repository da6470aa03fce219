r"""Variational families: the factor of one latent, as a function of its free parameters.

.. math:: q(z_n; \nu_n),\qquad \nu_n = (\text{location}, \text{scale}),\; \log \alpha_n
    \text{ or } K - 1 \text{ logits}

A continuous latent is a fixed transform of a variable u on the real line: the identity, ``exp`` on
the positive half-line, a scaled logistic on an interval.  u is Gaussian (Normal, LogNormal,
logit-Normal factors), log-Gamma or logit-Beta (Gamma, inverse Gamma, Beta factors).  A simplex has
Dirichlet factors, a discrete latent Categorical ones; a global may be a point.  F-VI and A-VI share
these families; they differ in where ν comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric import laws
from avi_theory.numeric.factors import Factors
from avi_theory.numeric.laws import Law
from avi_theory.spec.bound import Bound, evaluate_number
from avi_theory.spec.model import Variable
from avi_theory.spec.variational import FACTORS, checked, default_factor

Kind = Literal[
    "Normal", "FullNormal", "LogNormal", "Gamma", "InverseGamma", "LogitNormal", "Beta",
    "Dirichlet", "Categorical", "Point",
]  # fmt: skip
Chart = Literal["identity", "exp", "logistic"]
CHARTS: Mapping[str, Chart] = {
    "real": "identity", "positive": "exp", "unit": "logistic", "interval": "logistic",
}  # fmt: skip
"""The transform of u that goes with each support."""
LAWS: Mapping[str, Law] = {"Gamma": "gamma", "InverseGamma": "inverse", "Beta": "beta"}
"""The law of u, where it is not Gaussian."""
POINT = -40.0
"""The log sd of a point: a width that no floating-point sum can see."""


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
        chart: the transform of u.
        unit: the variables that share one Normal with all covariances, in order; () if none do.
        full: coordinates of a vector with all covariances, whose table has one row; else 0.
    """

    name: str
    kind: Kind
    points: int
    dim: int = 1
    vector: bool = False
    categories: int = 0
    low: float = 0.0
    high: float = 1.0
    chart: Chart = "identity"
    unit: tuple[str, ...] = ()
    full: int = 0

    @property
    def coordinates(self) -> int:
        """Scalars at each index point."""
        return self.full or self.dim

    @property
    def before(self) -> tuple[str, ...]:
        """The variables whose noise its own depends on, itself last."""
        return self.unit[: self.unit.index(self.name) + 1] if self.unit else ()

    @property
    def law(self) -> Law:
        """What u is distributed like."""
        return LAWS.get(self.kind, "normal")

    @property
    def width(self) -> int:
        """Free parameters per coordinate: location and scale, log concentration, K − 1 logits."""
        if self.discrete:
            return self.categories - 1
        if self.full:
            return self.full * (self.full + 3) // 2
        if self.unit:
            return 2 + self.unit.index(self.name)
        return 1 if self.kind in ("Dirichlet", "Point") else 2

    @property
    def location(self) -> int:
        """How many of a coordinate's parameters are its location; the others are its scale."""
        return self.width if self.discrete else self.full or 1

    @property
    def real(self) -> bool:
        """Whether its latents are transforms of a variable u on the real line."""
        return self.kind not in ("Categorical", "Dirichlet")

    @property
    def gaussian(self) -> bool:
        """Whether the table holds means and log standard deviations of a Gaussian u."""
        return self.real and self.law == "normal" and self.kind not in ("Point", "FullNormal")

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
        if self.kind == "Dirichlet":
            alpha = parameters[..., 0].exp()
            total = alpha.sum(-1, keepdim=True)
            expected_log = torch.digamma(alpha) - torch.digamma(total)
            return Factors(mean=alpha / total, expected_log=expected_log, concentration=alpha)
        rows = parameters if self.vector else parameters[:, 0]
        if self.kind == "Point":
            return Factors(mean=rows[..., 0], log_sd=torch.full_like(rows[..., 0], POINT))
        if self.full:
            return _correlated_vector(rows[:, 0], self.full)
        if self.unit:
            own = torch.cat([rows[:, 2:], torch.ones_like(rows[:, :1])], -1)
            row = rows[:, 1:2].exp() * own
            return Factors(mean=rows[:, 0], log_sd=0.5 * (row**2).sum(-1).log(), row=row)
        if self.law == "normal":
            return Factors(mean=rows[..., 0], log_sd=rows[..., 1])
        alpha, beta = natural(self.law, rows)
        log_sd = 0.5 * torch.log(laws.variance(self.law, alpha, beta))
        return Factors(laws.mean(self.law, alpha, beta), log_sd, self.law, alpha, beta)

    def entropy(self, factors: Factors) -> Tensor:
        """Σₙ H[q(uₙ)] of the factors before their transforms, in nats; none of a point."""
        if self.discrete:
            assert factors.log_probability is not None
            return -(factors.probability * factors.log_probability).sum()
        if factors.concentration is not None and factors.expected_log is not None:
            alpha = factors.concentration
            norm = torch.lgamma(alpha).sum() - torch.lgamma(alpha.sum(-1)).sum()
            return norm - ((alpha - 1) * factors.expected_log).sum()
        assert factors.log_sd is not None
        if self.kind == "Point":
            return factors.log_sd.new_zeros(())
        if factors.alpha is not None and factors.beta is not None:
            return laws.entropy(self.law, factors.alpha, factors.beta).sum()
        constant = 0.5 * (1 + math.log(2 * math.pi)) * self.points * self.coordinates
        if factors.root is not None:
            return torch.diagonal(factors.root, dim1=-2, dim2=-1).log().sum() + constant
        if factors.row is not None:
            return factors.row[:, -1].log().sum() + constant
        return factors.log_sd.sum() + constant


def _correlated_vector(rows: Tensor, d: int) -> Factors:
    """Means, log diagonal of the Cholesky root L, and its rows in units of that, ``[P, width]``."""
    below = torch.tril_indices(d, d, -1, device=rows.device)
    unit = torch.diag_embed(torch.ones_like(rows[:, :d]))
    lower = rows.new_zeros(len(rows), d, d).index_put(
        (torch.arange(len(rows), device=rows.device)[:, None], below[0], below[1]), rows[:, 2 * d :]
    )
    root = rows[:, d : 2 * d, None].exp() * (unit + lower)
    return Factors(mean=rows[:, :d], log_sd=0.5 * (root**2).sum(-1).log(), root=root)


def natural(law: Law, table: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha, beta) of a log-Gamma or logit-Beta from its location and scale, last axis.

    Gamma: log mean and log shape; inverse Gamma: minus the log mean of 1/z, and log shape; Beta:
    logit of the mean, and log(a + b).  All but orthogonal in the Fisher information.
    """
    location, scale = table[..., 0], table[..., 1].exp()
    if law == "gamma":
        return scale, scale * torch.exp(-location)
    if law == "inverse":
        return scale, scale * torch.exp(location)
    return scale * torch.sigmoid(location), scale * torch.sigmoid(-location)


def table_of(law: Law, alpha: Tensor, beta: Tensor) -> Tensor:
    """The inverse of `natural`."""
    if law == "beta":
        return torch.stack([torch.log(alpha / beta), torch.log(alpha + beta)], -1)
    location = torch.log(alpha / beta)
    return torch.stack([location if law == "gamma" else -location, torch.log(alpha)], -1)


def family_of(bound: Bound, variable: Variable, factor: str | None = None) -> Family:
    """The family of a latent variable's factors.

    Args:
        bound: the model with its sizes.
        variable: the latent.
        factor: its name; None for the one that goes with the support.

    Raises:
        InputError: a support without a family (unbounded counts), named.
    """
    chosen = factor or default_factor(variable.support)
    if chosen is None or (variable.discrete and variable.dim is not None):
        raise InputError(
            f"{variable} takes values in '{variable.support}', for which no factor is measured. "
            "Measured are real, positive, bounded, simplex, binary and categorical latents; check "
            "and predict still answer."
        )
    kind = cast(Kind, FACTORS[chosen].family)
    points = bound.tables[variable.name].size
    if kind == "Categorical":
        if variable.categories is None:
            raise InputError(f"{variable} has no fixed number of categories to sum over.")
        scalars = {k: v for k, v in bound.known.items() if k not in bound.tables}
        count = int(evaluate_number(variable.categories, {}, bound.sizes, scalars))
        return Family(variable.name, kind, points, 1, False, count)
    low, high = _ends(bound, variable) if variable.support == "interval" else (0.0, 1.0)
    chart = CHARTS.get(variable.support, "identity")
    dim, vector = bound.dim(variable), variable.dim is not None
    if kind == "FullNormal" and vector:
        return Family(variable.name, kind, points, 1, True, full=dim)
    return Family(variable.name, kind, points, dim, vector, 0, low, high, chart)


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


def families(bound: Bound, factors: Mapping[str, str] | None = None) -> Mapping[str, Family]:
    """The families of all latents, globals first.

    Args:
        bound: the model with its sizes.
        factors: the name of the factor of some of them, as in ``{"z": "gamma"}``.

    Raises:
        InputError: a factor that does not exist or does not fit its latent.
    """
    model = bound.model
    chosen = {
        name: (kind, tuple(names.split(",")))
        for names, kind in checked(model, factors).items()
        for name in names.split(",")
    }
    found = {}
    for v in (*model.globals, *model.locals):
        kind, named = chosen.get(v.name, (None, ()))
        together = tuple(w.name for w in (*model.globals, *model.locals) if w.name in named)
        family = family_of(bound, v, kind)
        if len(together) > 1:
            _same_points(bound, together)
            family = replace(family, unit=together)
        found[v.name] = family
    return found


def _same_points(bound: Bound, names: Sequence[str]) -> None:
    first = bound.tables[names[0]]
    for name in names[1:]:
        if not np.array_equal(bound.tables[name].points, first.points):
            raise InputError(
                f"{names[0]} and {name} stand at different index points, so no factor holds one of "
                "each. Latents that share a factor need the same index."
            )
