r"""Is the optimum that was found the only one?

Two sufficient conditions.  A log-concave target with Normal factors: the ELBO is concave in means
and standard deviations (Challis & Barber, JMLR 14, 2013), and stays so when the means are linear in
the parameters and scales are shared.  A discrete target whose coordinate map is a contraction:

.. math:: \max_i \sum_j \tfrac14 \max_{k,k',l,l'}
    |\psi_{ij}(k,l) - \psi_{ij}(k',l) - \psi_{ij}(k,l') + \psi_{ij}(k',l')| < 1

because a softmax moves by at most a quarter of the range that its logits move by, in total
variation; for a two-state chain with stay probability p this is log(p/(1−p)) < 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.functions import Polynomial, Table
from avi_theory.numeric.parameters import Amortized, Parametrisation

MOST_CATEGORIES = 12
TIGHT = 1e-8
"""Of the log evidence: what its quadrature leaves open."""


def unique(elbo: Elbo, parameters: Parametrisation) -> bool:
    """Whether a stationary point in these parameters is known to be the only one."""
    functions = [b.function for b in parameters.blocks.values() if isinstance(b, Amortized)]
    if elbo.sampled or parameters.couplings or not all(f.smooth for f in functions):
        return False
    if elbo.concave:
        return True
    pooled = all(
        isinstance(f, Table) or (isinstance(f, Polynomial) and f.degree == 0) for f in functions
    )
    return pooled and contraction(elbo) < 1


def tight(elbo: float, evidence: Mapping[str, Any]) -> bool:
    """Whether an ELBO is the exact log evidence itself: no optimum can be better."""
    value = evidence["value"]
    if value is None or evidence["standard_error"] != 0.0:
        return False
    return bool(value - elbo <= TIGHT * (1 + abs(value)))


def contraction(elbo: Elbo) -> float:
    """The contraction constant of a discrete model's coordinate map; infinite if not known."""
    kinds = elbo.families
    if not all(f.discrete and f.categories <= MOST_CATEGORIES for f in kinds.values()):
        return math.inf
    points = [f.points for f in kinds.values()]
    first = dict(zip(kinds, np.cumsum([0, *points])[:-1].tolist(), strict=True))
    influence = np.zeros(sum(points))
    for factor in elbo.factors:
        if len(factor.sites) < 2:
            continue
        if len(factor.sites) > 2:
            return math.inf
        (a, at), (b, bt) = factor.sites
        shape = (kinds[a].categories, kinds[b].categories)
        with torch.no_grad():
            each = factor.instances({}, {}).expand(factor.count).cpu().double().numpy()
        psi = each.reshape(-1, *shape)
        if not np.all(np.isfinite(psi)):
            return math.inf
        rows = psi[:, :, None, :] - psi[:, None, :, :]
        mixed = rows[..., :, None] - rows[..., None, :]
        strength = np.abs(mixed).reshape(len(psi), -1).max(1) / 4
        joint = math.prod(shape)
        i, j = first[a] + at[::joint], first[b] + bt[::joint]
        if np.any(i == j):
            return math.inf
        np.add.at(influence, i, strength)
        np.add.at(influence, j, strength)
    return float(influence.max(initial=0.0))
