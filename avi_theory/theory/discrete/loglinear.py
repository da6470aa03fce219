r"""The best discrete factors whose logits are polynomials of the inputs.

.. math:: \max_B \sum_d w_d\, \mathrm{ELBO}_d(q^B), \qquad
    q^B_c = \operatorname{softmax}(\phi_c^\top B)

Where the features tell all values of the inputs apart linearly (as many independent features as
distinct inputs) the class is that of all tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.optimize import minimize
from scipy.special import softmax

from avi_theory.theory.design import monomials
from avi_theory.theory.discrete.ascent import Pool
from avi_theory.theory.discrete.field import NEVER, Field

EVALUATIONS = 3000
FLAT = 1e-7


@dataclass(frozen=True, eq=False)
class Basis:
    """An orthonormal basis of logits over the classes of a pool.

    Attributes:
        features: ``[classes, columns]``.
        saturated: whether they span every function of the classes.
    """

    features: np.ndarray
    saturated: bool


def polynomial_basis(values: np.ndarray, function: np.ndarray, degree: int) -> Basis:
    """Polynomials of the inputs of each class, a block of features for each function.

    Args:
        values: inputs by class, ``[classes, inputs]``; NaN where an input does not exist.
        function: which function a class belongs to, ``[classes]``.
        degree: the total degree.

    Raises:
        InputError: too many monomials.
    """
    blocks = []
    for g in np.unique(function):
        rows = np.flatnonzero(function == g)
        seen = values[rows]
        seen = seen[:, ~np.isnan(seen).any(0)]
        seen = seen[:, np.ptp(seen, 0) > 0]
        seen = (seen - seen.mean(0)) / np.where(seen.std(0) > 0, seen.std(0), 1.0)
        q, r, _ = qr(monomials(seen, degree), mode="economic", pivoting=True)
        size = np.abs(np.diagonal(r))
        kept = q[:, : len(size)][:, size > 1e-10 * size[0]]
        block = np.zeros((len(values), kept.shape[1]))
        block[rows] = kept
        blocks.append(block)
    features = np.concatenate(blocks, 1)
    return Basis(features, features.shape[1] == len(values))


def loglinear_optimum(
    field: Field, pool: Pool, basis: Basis, table: np.ndarray
) -> np.ndarray | None:
    """The best factors found, ``[D, n, K]``, from the best table's and from equal ones.

    None where the maximisation stopped early.
    """
    states = field.unary.shape[2]
    inside = np.zeros((len(pool.mass), states), bool)
    inside[pool.classes] = np.arange(states) < field.states[:, None]
    width = basis.features.shape[1]
    weights = pool.weights[:, None, None]

    def factors(flat: np.ndarray) -> np.ndarray:
        logits = np.where(inside, basis.features @ flat.reshape(width, states), NEVER)
        return np.asarray(softmax(logits, -1)[pool.classes])

    def negative(flat: np.ndarray) -> tuple[float, np.ndarray]:
        q = factors(flat)
        slope = field.logits(q, slice(None)) - np.log(np.maximum(q, 1e-300))
        slope = np.where(q > 0, slope, 0.0)
        change = weights * q * (slope - (q * slope).sum(-1, keepdims=True))
        by_class = np.stack(
            [
                np.bincount(pool.classes.ravel(), change[..., k].ravel(), len(pool.mass))
                for k in range(states)
            ],
            -1,
        )
        return -float(pool.weights @ field.elbo(q)), -(basis.features.T @ by_class).ravel()

    level = np.zeros((len(pool.mass), states))
    level[pool.classes] = np.log(np.maximum(table, 1e-12))
    found = []
    for start in ((basis.features.T @ level).ravel(), np.zeros(width * states)):
        run = minimize(
            negative, start, jac=True, method="L-BFGS-B",
            options={"maxiter": EVALUATIONS, "maxfun": EVALUATIONS, "ftol": 1e-16, "gtol": 1e-10},
        )  # fmt: skip
        if np.abs(run.jac).max(initial=0.0) < FLAT:
            found.append(run)
    if not found:
        return None
    return factors(min(found, key=lambda r: r.fun).x)
