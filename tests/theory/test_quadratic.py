"""The quadratic form read off a model equals its log density at random points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory.forms import NotQuadratic
from avi_theory.theory.quadratic import log_density


def value(text, draw, data=None, joint=True, **values):
    """The form's value, and the values drawn for each variable."""
    bound = bind(Model(text, **values), data)
    q = log_density(bound, joint=joint)
    y = np.asarray(draw(q.layout.size), float)
    found = {v.name: y[q.layout.block(v.name)] for v in q.layout.variables}
    return -0.5 * y @ (q.precision @ y) + q.linear @ y + q.constant, found


def draw(size):
    return np.random.default_rng(size).normal(size=size)


def test_a_chain_with_global_and_edge_value():
    text = """
    index t = 1:T
    given x[0] = 0.7
    global mu ~ Normal(2, 3)
    local z[t] ~ Normal(mu - x[t-1], 0.5)
    observed x[t] ~ Normal(2*z[t] + mu/3, 1.5)
    """
    found, v = value(text, draw, T=4)
    x, z, mu = v["x"][1:], v["z"], v["mu"][0]
    before = np.concatenate([[v["x"][0]], x[:-1]])
    expected = (
        stats.norm.logpdf(mu, 2, 3) + stats.norm.logpdf(z, mu - before, 0.5).sum()
        + stats.norm.logpdf(x, 2 * z + mu / 3, 1.5).sum()
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-10)


def test_vectors_matrices_and_coordinates():
    text = """
    index n = 1:N
    given A = [[1, 2], [3, 4], [5, 6]], c = [0.5, -1, 2]
    global mu : R[2] ~ Normal(0, 1)
    local z[n] : R[2] ~ Normal(mu, 1)
    observed x[n] : R[3] ~ Normal(A @ z[n] + c, 2)
    observed y[n] ~ Normal(z[n][1] - mu[0], 1)
    """
    found, v = value(text, draw, N=3)
    a = np.array([[1, 2], [3, 4], [5, 6]])
    mu, z, x = v["mu"], v["z"].reshape(3, 2), v["x"].reshape(3, 3)
    expected = (
        stats.norm.logpdf(mu).sum() + stats.norm.logpdf(z, mu).sum()
        + stats.norm.logpdf(x, z @ a.T + [0.5, -1, 2], 2).sum()
        + stats.norm.logpdf(v["y"], z[:, 1] - mu[0]).sum()
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-10)


def test_maps_rows_sums_and_potentials():
    text = """
    index n = 1:N
    index i = 1:I
    given g[i] in n
    given w[i]
    local z[n] ~ Normal(0, 1)
    observed y[i] ~ Normal(w[i]*z[g[i]], 1)
    observed s ~ Normal(sum(z), 0.5)
    potential -0.3*(z[n] - z[n+1])**2 for n in 1:N-1
    """
    data = {"g": [1, 3, 3, 2], "w": [0.5, 2.0, -1.0, 1.0], "y": np.ones(4), "s": np.array(0.0)}
    found, v = value(text, draw, data)
    z, y = v["z"], v["y"]
    at = np.array([0, 2, 2, 1])
    expected = (
        stats.norm.logpdf(z).sum() + stats.norm.logpdf(y, data["w"] * z[at]).sum()
        + stats.norm.logpdf(v["s"], z.sum(), 0.5).sum() - 0.3 * (np.diff(z) ** 2).sum()
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-10)


def test_a_gaussian_process():
    text = """
    index n = 1:N
    given s[n]
    local f[:] ~ MultivariateNormal(1, exp(-(s[n] - s[m])**2) + 0.2*exp(-900*(n-m)**2)) over n, m
    observed x[n] ~ Normal(f[n], 1)
    """
    s = np.array([0.1, 0.5, 1.5])
    found, v = value(text, draw, {"s": s, "x": np.zeros(3)})
    cov = np.exp(-(np.subtract.outer(s, s) ** 2)) + 0.2 * np.eye(3)
    expected = stats.multivariate_normal(np.ones(3), cov).logpdf(v["f"])
    expected += stats.norm.logpdf(v["x"], v["f"]).sum()
    assert found == pytest.approx(expected, rel=1e-9)


def test_empty_cells_are_integrated_out():
    text = """
    index n = 1:N
    local z[n] ~ Normal(0, 1)
    observed y[n] ~ Normal(z[n], 1) missing
    """
    data = {"y": np.array([1.0, np.nan, 3.0])}
    for joint in (True, False):
        q = log_density(bind(Model(text), data), joint=joint)
        np.testing.assert_array_equal(q.precision.diagonal()[:3], [2, 1, 2])


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("observed x[n] ~ Normal(exp(z[n]), 1)", "exp"),
        ("observed x[n] ~ Normal(z[n]**2, 1)", "three unknowns|square"),
        ("observed x[n] ~ Poisson(log_rate=z[n])", "count"),
        ("observed x[n] ~ StudentT(3, z[n], 1)", "log"),
    ],
)
def test_other_densities_are_refused_in_words(statement, words):
    text = f"index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n{statement}"
    with pytest.raises(NotQuadratic, match=words):
        log_density(bind(Model(text, N=3)), joint=True)


def test_a_product_of_latent_and_observation_is_quadratic_given_data_only():
    text = """
    index n = 1:N
    given x[0] = 1
    local z[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(z[n]*x[n-1], 1)
    """
    x = np.array([1.0, 2.0, 3.0])
    q = log_density(bind(Model(text), {"x": x}), joint=False)
    np.testing.assert_allclose(q.precision.diagonal(), 1 + np.array([1, 1, 2.0]) ** 2)
    with pytest.raises(NotQuadratic):
        log_density(bind(Model(text), {"x": x}), joint=True)
