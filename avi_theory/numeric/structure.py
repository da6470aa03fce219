r"""Which points of the variational tables the ELBO lets interact: those that share an instance.

.. math:: \frac{\partial^2\,\mathrm{ELBO}}{\partial \nu_a\, \partial \nu_b} = 0
    \quad\text{unless a and b stand in one instance of a factor}

because E_q[log p] is a sum over instances, and the entropy a sum over points.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.solve.colouring import Pattern, pattern

MOST_PAIRS = 2_000_000
"""Pairs of points that are looked at, at most."""


def pattern_of(elbo: Elbo) -> Pattern | None:
    """The zeros of the Hessian in all tables, flattened in order; None where they save nothing."""
    kinds = elbo.families
    points = np.asarray([f.points for f in kinds.values()])
    first = dict(zip(kinds, np.cumsum([0, *points])[:-1].tolist(), strict=True))
    total = int(points.sum())
    near = sparse.csr_matrix((total, total))
    for factor in elbo.factors:
        held = factor.held
        if not held:
            continue
        at = np.concatenate([rows for rows, _, _ in held])
        who = np.concatenate([first[name] + positions for _, name, positions in held])
        met = sparse.csr_matrix((np.ones(len(at)), (at, who)), shape=(factor.count, total))
        met.sum_duplicates()
        if float((np.diff(met.indptr).astype(float) ** 2).sum()) > MOST_PAIRS:
            return None
        near = near + met.T @ met
    near = (near - sparse.diags(near.diagonal())).tocsr()
    near.eliminate_zeros()
    widths = np.repeat([f.dim * f.width for f in kinds.values()], points)
    return pattern(near, widths)
