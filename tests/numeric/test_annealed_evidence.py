"""The last resort of the evidence: where importance sampling fails, annealing meets quadrature."""

import numpy as np
import torch
from scipy import stats

from avi_theory import Model
from avi_theory.numeric import measure
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.evidence.annealed import by_annealing
from avi_theory.numeric.evidence.gaussian import by_determinant
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.measure import factorized
from avi_theory.numeric.solve import Options
from avi_theory.spec.bound import bind

WALK = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 0.3) for t in 2:T
"""
COUNTS = WALK + "observed x[t] ~ Poisson(log_rate=z[t])"
GAUSSIAN = WALK + "observed x[t] ~ Normal(z[t], 1)"


def solved(text, x):
    elbo = elbo_of(bind(Model(text), {"x": x}), Where(torch.device("cpu"), torch.float64))
    return factorized(elbo, 0, None, Options())


def filtered(x):
    """log p(x) of a walk seen through counts, by sums over a grid of z."""
    z = np.linspace(-5, 5, 501)
    width = z[1] - z[0]
    move = stats.norm.pdf(z[:, None], z[None, :], 0.3) * width
    level, total = stats.norm.pdf(z), 0.0
    for k, count in enumerate(x):
        level = (move @ level if k else level) * stats.poisson.pmf(count, np.exp(z))
        total += np.log(level.sum() * width)
        level = level / (level.sum() * width)
    return total


def test_a_walk_through_counts_is_annealed_where_importance_sampling_fails():
    x = np.random.default_rng(0).poisson(1.5, 30)
    found = measure(Model(COUNTS), {"x": x}).log_evidence
    assert found["method"].startswith("annealed importance sampling")
    assert found["method"].endswith("seed 0)")
    assert 0 < found["standard_error"] < 0.5
    assert abs(found["value"] - filtered(x)) < 4 * found["standard_error"]
    assert found["value"] - measure(Model(COUNTS), {"x": x}, evidence=False).fvi.elbo > 2


def test_annealing_agrees_with_the_determinant():
    fit, elbo = solved(GAUSSIAN, np.random.default_rng(1).normal(size=12))
    found, exact = by_annealing(elbo, fit, 3), by_determinant(elbo, fit, 3)
    assert abs(found.value - exact.value) < 4 * found.standard_error < 1.0
    assert found.method.endswith("seed 3)")


def test_discrete_latents_are_not_annealed():
    text = "index n = 1:N\nlocal c[n] ~ Categorical([0.3, 0.7])\nobserved x[n] ~ Normal(c[n], 1)"
    fit, elbo = solved(text, np.array([0.1, 1.2]))
    assert by_annealing(elbo, fit, 0) is None
