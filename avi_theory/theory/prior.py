"""The prior mean of the globals, from their own densities."""

from __future__ import annotations

import numpy as np

from avi_theory.spec.bound import Bound
from avi_theory.theory.forms import NotQuadratic
from avi_theory.theory.quadratic import Layout, density_of


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
