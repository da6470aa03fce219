"""The prior mean of the globals, from their own densities."""

from __future__ import annotations

import numpy as np
import sympy

from avi_theory.spec import terms
from avi_theory.spec.bound import Bound
from avi_theory.spec.factors import GroundFactor
from avi_theory.spec.grounding import ground, ground_argument
from avi_theory.spec.model import Density
from avi_theory.theory.forms import NotQuadratic
from avi_theory.theory.quadratic import Layout, density_of


def family_means(bound: Bound, theta: np.ndarray) -> np.ndarray:
    """θ with missing (NaN) coordinates at the mean of their density, where that can be told.

    Its arguments must be known, and the mean must exist.

    Args:
        bound: the model at its sizes.
        theta: scalars in the order of declaration; NaN where the prior mean is wanted.
    """
    layout = Layout.of(bound, bound.model.globals)
    filled = theta.copy()
    for f in ground(bound, generative=True).factors:
        source = f.source
        slot = next((s for s in f.slots if s.symbol == f.target), None)
        if not isinstance(source, Density) or slot is None or slot.role != "global":
            continue
        if source.family.multivariate or source.family.mean is None or slot.vector:
            continue
        parts = {name: ground_argument(f, bound, name) for name in source.arguments}
        slots = [s for part in parts.values() for s in part.slots]
        if any(s.latent or s.vector for s in slots):
            continue
        arguments = {name: _numbers(part) for name, part in parts.items()}
        mean = np.broadcast_to(np.asarray(source.family.mean(arguments), float), (f.count,))
        exists = np.isfinite(mean) & ((mean > 0) | (source.family.support != "positive"))
        at = layout.offsets[slot.name] + np.broadcast_to(np.asarray(slot.positions), (f.count,))
        wanted = np.isnan(filled[at]) & exists
        filled[at[wanted]] = mean[wanted]
    return filled


def _numbers(part: GroundFactor) -> np.ndarray:
    """A known argument at its instances."""
    symbols = [s.symbol for s in part.slots]
    function = sympy.lambdify(symbols, part.expression, modules=[terms.numpy_functions(), "numpy"])
    return np.asarray(function(*(np.asarray(s.values, float) for s in part.slots)), float)


def prior_means(bound: Bound, theta: np.ndarray) -> np.ndarray | str:
    """θ with its missing (NaN) coordinates at their prior mean, given the others.

    Args:
        bound: the model at its sizes.
        theta: values in the order of declaration; NaN where the prior mean is wanted.
    """
    layout = Layout.of(bound, bound.model.globals)
    try:
        q = density_of(bound, layout, [v.name for v in bound.model.globals])
    except NotQuadratic as e:
        return f"the prior mean of the globals has no closed form: {e}"
    wanted = np.isnan(theta)
    precision = q.precision.toarray()
    right = q.linear[wanted] - precision[np.ix_(wanted, ~wanted)] @ theta[~wanted]
    filled = theta.copy()
    try:
        filled[wanted] = np.linalg.solve(precision[np.ix_(wanted, wanted)], right)
    except np.linalg.LinAlgError:
        name = layout.label(int(np.flatnonzero(wanted)[0]))
        return f"{name} has no prior mean; set a value with --set"
    return filled
