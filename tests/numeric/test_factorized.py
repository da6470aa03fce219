"""F-VI equals its closed forms and independent solutions."""

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from avi_theory import Model
from avi_theory.numeric import measure

GAUSSIAN = {
    "local_level": {}, "random_walk": {}, "saw": {"N": 60}, "linear": {"N": 60},
    "vectors": {}, "sums": {}, "crossed": {}, "coinciding": {}, "kernel": {}, "ties": {},
}  # fmt: skip
TEXTS = {
    "vectors": """
        index n = 1:N
        given W = [[1.0, 0.5], [0.2, -1.0], [0.3, 0.3]]
        local z[n] : R[2] ~ Normal(0, 1)
        observed x[n] : R[3] ~ Normal(W @ z[n], 0.5)
    """,
    "sums": """
        index n = 1:N
        local z[n] ~ Normal(0, 1)
        observed y ~ Normal(sum(z), 1)
        observed x[n] ~ Normal(z[n], 1)
    """,
    "crossed": """
        index i = 1:I
        index j = 1:J
        index m = 1:M
        given p[m] in i, q[m] in j
        local a[i] ~ Normal(0, 1)
        local b[j] ~ Normal(0, 1)
        observed y[m] ~ Normal(a[p[m]] + b[q[m]], 1)
    """,
    "coinciding": """
        index i = 1:I
        index m = 1:M
        given p[m] in i, q[m] in i
        local a[i] ~ Normal(0, 1)
        observed y[m] ~ Normal(a[p[m]] - 2*a[q[m]], 1)
    """,
    "kernel": """
        index n = 1:N
        given s[n]
        local f[:] ~ MultivariateNormal(0.5, exp(-(s[n] - s[m])**2)) over n, m
        observed x[n] ~ Normal(f[n], 0.3)
    """,
    "ties": """
        index i = 1:N
        global a ~ Flat()
        local z[i] ~ Normal(a, 1)
        observed x[i] ~ Normal(z[i], 1) missing
        potential -2*(z[i] - z[i+1])**2 for i in 1:N-1
    """,
}
g = np.random.default_rng(0)
DATA = {
    "vectors": {"x": g.normal(size=(5, 3))},
    "sums": {"x": g.normal(size=6), "y": np.array(2.0)},
    "crossed": {
        "y": g.normal(size=8), "p": np.array([1, 1, 2, 2, 3, 3, 1, 2]),
        "q": np.array([1, 2, 1, 2, 1, 2, 1, 1]),
    },
    "coinciding": {
        "y": g.normal(size=6), "p": np.array([1, 1, 2, 2, 3, 3]),
        "q": np.array([1, 2, 2, 3, 1, 3]),
    },
    "kernel": {"x": g.normal(size=7), "s": np.arange(7) / 2},
    "ties": {"x": np.array([1.0, np.nan, -1.0, 2.0, 0.5])},
}  # fmt: skip


@pytest.mark.parametrize("name", GAUSSIAN)
def test_linear_gaussian_optimum_is_the_dense_solution(name, bound_of, elbo_at, precision):
    """m = Λ⁻¹h and v = 1/Λₙₙ, and the ELBO is log p(x) − ½(Σ log Λₙₙ − log|Λ|)."""
    bound = (
        bound_of(Model(TEXTS[name]), DATA[name]) if name in TEXTS
        else bound_of(name, **GAUSSIAN[name])
    )  # fmt: skip
    elbo = elbo_at(bound)
    assert elbo.quadratic
    lam, h, zero = precision(elbo)
    found = measure(bound.model, bound)
    assert found.fvi.status == "converged" and found.fvi.certified
    posterior = found.posterior()
    mean = np.linalg.solve(lam, h)
    scale = 1 / np.sqrt(np.diag(lam))
    np.testing.assert_allclose(posterior.mean, mean, rtol=1e-9, atol=1e-9 * np.abs(mean).max())
    np.testing.assert_allclose(posterior.sd, scale, rtol=1e-9)
    log_det = np.linalg.slogdet(lam)[1]
    evidence = zero + 0.5 * h @ mean + 0.5 * len(h) * np.log(2 * np.pi) - 0.5 * log_det
    gap = 0.5 * (np.log(np.diag(lam)).sum() - log_det)
    assert found.fvi.elbo == pytest.approx(evidence - gap, abs=1e-7)
    assert found.log_evidence["value"] == pytest.approx(evidence, abs=1e-6)
    assert found.log_evidence["standard_error"] == 0.0


ONE = {
    "poisson": ("Normal(0.3, 0.8)", "Poisson(log_rate=z[n])", [0.0, 3.0, 9.0]),
    "logistic": ("Normal(0, 2)", "Binomial(9, logit=z[n])", [0.0, 4.0, 9.0]),
    "student": ("Normal(0, 1)", "StudentT(4, z[n], 0.5)", [-3.0, 0.2, 6.0]),
    "laplace": ("Normal(0, 1)", "Laplace(z[n], 0.5)", [-3.0, 0.2, 6.0]),
    "volatility": ("Normal(0, 1)", "Normal(0, exp(z[n]/2))", [0.01, -1.0, 4.0]),
}


@pytest.mark.parametrize("name", ONE)
def test_one_dimensional_factors_equal_a_direct_search(name):
    """Each Normal factor maximises ∫ q log p + H[q], here by scipy's quadrature and search."""
    prior, likelihood, data = ONE[name]
    text = f"index n = 1:N\nlocal z[n] ~ {prior}\nobserved x[n] ~ {likelihood}"
    found = measure(Model(text), {"x": np.asarray(data)})
    assert found.fvi.status == "converged"
    m0, s0 = (0.3, 0.8) if name == "poisson" else (0.0, 2.0 if name == "logistic" else 1.0)
    densities = {
        "poisson": lambda x, z: stats.poisson.logpmf(x, np.exp(z)),
        "logistic": lambda x, z: stats.binom.logpmf(x, 9, 1 / (1 + np.exp(-z))),
        "student": lambda x, z: stats.t.logpdf(x, 4, z, 0.5),
        "laplace": lambda x, z: stats.laplace.logpdf(x, z, 0.5),
        "volatility": lambda x, z: stats.norm.logpdf(x, 0, np.exp(z / 2)),
    }
    t, weight = np.polynomial.legendre.leggauss(600)
    t, weight = 8 * t, 8 * weight * stats.norm.pdf(8 * t)

    def loss(p, x):
        z = p[0] + np.exp(p[1]) * t
        level = densities[name](x, z) + stats.norm.logpdf(z, m0, s0)
        return -(weight @ level) - p[1] - 0.5 * np.log(2 * np.pi * np.e)

    best = [optimize.minimize(loss, [0.5, -0.5], (x,), tol=1e-12) for x in data]
    tolerance = 1e-3 if name == "laplace" else 1e-5  # the oracle's rule crosses the kink
    assert found.fvi.elbo == pytest.approx(-sum(b.fun for b in best), abs=tolerance)
    evidence = [
        integrate.quad(
            lambda z, x=x: np.exp(densities[name](x, z) + stats.norm.logpdf(z, m0, s0)),
            m0 - 12 * s0, m0 + 12 * s0, limit=400, points=[m0, x] if name == "laplace" else [m0],
        )[0]
        for x in data
    ]  # fmt: skip
    assert found.log_evidence["value"] == pytest.approx(np.log(evidence).sum(), abs=1e-4)


def test_positive_latents_have_lognormal_factors():
    """A Gamma posterior's best LogNormal factor, by a direct search."""
    found = measure(Model("global b ~ Gamma(3, 2)\nobserved x ~ Poisson(b)"), {"x": np.array(4.0)})
    a, rate = 3 + 4, 2 + 1

    def loss(p):  # E log p(x, b) = const + (a − 1) m − rate exp(m + v/2); entropy m + log s
        return -((a - 1) * p[0] - rate * np.exp(p[0] + np.exp(2 * p[1]) / 2) + p[0] + p[1])

    best = optimize.minimize(loss, [0.0, 0.0], tol=1e-12).x
    b = found.posterior()["b"]
    assert b["q50"] == pytest.approx(np.exp(best[0]), rel=1e-6)
    assert b["mean"] == pytest.approx(np.exp(best[0] + np.exp(2 * best[1]) / 2), rel=1e-6)
    exact = stats.nbinom.logpmf(4, 3, 2 / 3)
    assert found.log_evidence["value"] == pytest.approx(exact, abs=1e-6)
    assert found.fvi.elbo < exact


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-1.0, 3.0)])
def test_bounded_latents_have_factors_inside_their_support(low, high):
    text = f"global p ~ Uniform({low}, {high})\nobserved x ~ Normal(p, 0.4)"
    found = measure(Model(text), {"x": np.array(0.9)})
    p = found.posterior()["p"]
    assert low < p["q05"] < p["q95"] < high
    cdf = stats.norm.cdf([low, high], 0.9, 0.4)
    exact = np.log((cdf[1] - cdf[0]) / (high - low))
    assert found.fvi.elbo <= exact
    assert found.fvi.elbo == pytest.approx(exact, abs=0.1)


def test_a_simplex_has_a_dirichlet_factor():
    """One conjugate vector: its factor is the posterior, and the ELBO is log p(x)."""
    text = """
    index n = 1:N
    global p : R[3] ~ Dirichlet([0.5, 1, 2])
    observed x[n] ~ Categorical(p)
    """
    x = np.array([0, 2, 2, 1, 2])
    found = measure(Model(text), {"x": x})
    prior = np.array([0.5, 1, 2])
    alpha = prior + np.bincount(x)
    exact = special.gammaln(alpha).sum() - special.gammaln(alpha.sum())
    exact -= special.gammaln(prior).sum() - special.gammaln(prior.sum())
    assert found.fvi.elbo == pytest.approx(exact, abs=1e-9)
    np.testing.assert_allclose(found.posterior().mean, alpha / alpha.sum(), rtol=1e-7)


def test_every_gallery_model_converges(measurable, bound_of):
    """On real data, F-VI reaches the tolerance or says why not; the ELBO is below log p(x)."""
    bound = bound_of(measurable, most=100)
    found = measure(bound.model, bound)
    if found.fvi.status == "non_integrable":
        assert "is not finite" in found.fvi.message
        return
    assert found.fvi.status == "converged", found.fvi.message
    assert found.fvi.gradient_norm <= 1e-6
    assert found.fvi.remaining is None or found.fvi.remaining < 1e-9
    evidence = found.log_evidence
    if evidence["value"] is not None:
        assert found.fvi.elbo <= evidence["value"] + 4 * evidence["standard_error"] + 1e-8
    assert set(found.methods.values()) <= {"exact", "quadrature"}


def test_the_saw_series_has_the_papers_optimum(bound_of):
    """−ELBO − ½(N−1) log 2π = 553.014 in Margossian and Blei's units."""
    bound = bound_of("saw")
    found = measure(bound.model, bound)
    assert -found.fvi.elbo - 0.5 * 999 * np.log(2 * np.pi) == pytest.approx(553.014, abs=1e-3)
