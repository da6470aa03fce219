"""Is the quadrature good enough here, and does the integral exist at all?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.factors import Factors
from avi_theory.numeric.lowering import ExpectedFactor

ACCURACY = 1e-10
SUSPECT = 1e-2
OVERFLOW = (
    "The expectation of '{}' is no finite number in {}: the data hold numbers too large to be "
    "squared or exponentiated, or lie outside the density's support. Rescale them."
)


@dataclass(frozen=True)
class Trouble:
    """What quadrature leaves open: nothing, a stated error, or (fatal) no finite integral."""

    text: str = ""
    fatal: bool = False


def settle(elbo: Elbo, tables: Mapping[str, Tensor]) -> tuple[Elbo, Trouble]:
    """Halve the spacing of each rule until two spacings agree at these factors.

    An expectation that still changes by a per cent at the finest spacing does not exist: refining
    a rule near a pole samples ever larger values.

    Returns:
        The ELBO with the rules it needs (itself if none changed), and what is left open.
    """
    q = elbo.marginals(tables)
    factors, changed, left = [], False, []
    with torch.no_grad():
        for factor in elbo.factors:
            settled, error, growing = _settled(factor, q, elbo.noise)
            if growing or not math.isfinite(error):
                if not any(not i.sampled for i in factor.integrals):
                    return elbo, Trouble(_overflow(factor, elbo), True)
                return elbo, Trouble(
                    f"The expectation of '{factor.text}' is not finite: it changes by {error:.3g} "
                    "nats from one quadrature rule to a finer one. Its log density has a pole, or "
                    "tails that no Normal factor can integrate.",
                    True,
                )
            if error > 1e-8:
                left.append(f"quadrature of '{factor.text}' is accurate to {error:.1g} nats")
            changed |= settled is not factor
            factors.append(settled)
    if not changed:
        return elbo, Trouble("; ".join(left))
    return replace(elbo, factors=tuple(factors)), Trouble("; ".join(left))


def _overflow(factor: ExpectedFactor, elbo: Elbo) -> str:
    return OVERFLOW.format(factor.text, str(elbo.where.dtype).removeprefix("torch."))


def _settled(
    factor: ExpectedFactor, q: Mapping[str, Factors], noise: Mapping[str, Tensor]
) -> tuple[ExpectedFactor, float, bool]:
    """The factor with rules fine enough, the error left, and whether it grows."""
    smooth = [i.symbol for i in factor.integrals if not i.sampled]
    value = float(factor.value(q, noise))
    if not smooth:
        return factor, 0.0 if math.isfinite(value) else math.inf, False
    errors: list[float] = []
    while True:
        finer = factor.refined(smooth)
        if all(a is b for a, b in zip(finer.integrals, factor.integrals, strict=True)):
            break
        fine = float(finer.value(q, noise))
        error = abs(fine - value)
        if not math.isfinite(fine):
            return factor, math.inf, True
        if error <= ACCURACY * (1 + abs(fine)):
            return factor, 0.0, False
        errors.append(error)
        factor, value = finer, fine
        if _wild(errors, value) and len(errors) >= 3:
            break
    if not errors:
        return factor, 0.0, False
    return factor, errors[-1], _wild(errors[-1:], value)


def _wild(errors: list[float], value: float) -> bool:
    """Whether spacings disagree by more than any integrable log density lets them."""
    return all(e > SUSPECT * (1 + abs(value)) for e in errors)
