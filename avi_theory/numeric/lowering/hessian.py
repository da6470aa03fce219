r"""Second derivatives of a quadratic factor, as sparse entries.

.. math:: \frac{\partial^2 \ell}{\partial u_a \partial u_b}
"""

from __future__ import annotations

from itertools import product

import numpy as np
import sympy

from avi_theory.numeric.lowering.expected import ExpectedFactor
from avi_theory.numeric.lowering.heads import Program

Point = tuple[str, np.ndarray]
Entry = tuple[Point, Point, np.ndarray]


def second_derivatives(factor: ExpectedFactor) -> list[Entry] | None:
    """Entries ((variable, positions), (variable, positions), values) of a factor's Hessian.

    Returns:
        None where a vector, a matrix or a sum is involved, or where the factor is not quadratic:
        then the Hessian must be formed densely.
    """
    if factor.sums or not factor.quadratic or factor.weights:
        return None
    latent = {p.symbol: p for p in factor.places if p.positions is not None}
    if any(p.rank or np.asarray(p.positions).ndim > 1 for p in latent.values()):
        return None
    expression = factor.pointwise.expression
    entries: list[Entry] = []
    for a, b in product(latent, repeat=2):
        slope = sympy.expand(sympy.diff(expression, a, b))
        if slope == 0:
            continue
        if slope.free_symbols & latent.keys():
            return None
        each = Program(slope)(factor.values.known).expand(factor.count)
        entries.append(
            (
                (latent[a].name, _all(latent[a].positions, factor.count)),
                (latent[b].name, _all(latent[b].positions, factor.count)),
                each.cpu().double().numpy(),
            )
        )
    return entries


def _all(positions: np.ndarray | None, count: int) -> np.ndarray:
    assert positions is not None
    return np.broadcast_to(positions, (count,))
