"""Gamma, inverse Gamma, Beta, Dirichlet and point factors: exact where the model is conjugate."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from avi_theory import Model, load_measurement
from avi_theory.errors import InputError
from avi_theory.numeric import measure
from avi_theory.numeric.families import families
from avi_theory.numeric.fit import starting_tables
from avi_theory.numeric.solve.conjugate import natural_updates
from avi_theory.numeric.solve.coordinate import coordinate_ascent
from avi_theory.spec.bound import bind

COUNTS = """
index n = 1:N
given e[n] > 0
local z[n] ~ Gamma(2, 1.5)
observed y[n] ~ Poisson(e[n]*z[n])
"""
g = np.random.default_rng(3)
EXPOSURE = g.uniform(0.5, 3.0, 30)
COUNTED = {"e": EXPOSURE, "y": g.poisson(EXPOSURE * g.gamma(2, 1 / 1.5, 30)).astype(float)}


def gamma_poisson():
    exact = stats.nbinom.logpmf(COUNTED["y"], 2, 1.5 / (1.5 + EXPOSURE)).sum()
    posterior = stats.gamma(2 + COUNTED["y"], scale=1 / (1.5 + EXPOSURE))
    return COUNTS, COUNTED, {"z": "gamma"}, exact, posterior


def beta_bernoulli():
    x = np.array([1, 1, 0, 1, 1, 0, 1.0])
    a, b = 2 + x.sum(), 3 + (1 - x).sum()
    exact = special.betaln(a, b) - special.betaln(2, 3)
    text = "index n = 1:N\nglobal p ~ Beta(2, 3)\nobserved x[n] ~ Bernoulli(p)"
    return text, {"x": x}, {"p": "beta"}, exact, stats.beta([a], [b])


def uniform_binomial():
    """A Beta factor on an interval other than (0, 1)."""
    x = np.array([3.0, 5, 4])
    text = "index n = 1:N\nglobal p ~ Uniform(0, 2)\nobserved x[n] ~ Binomial(6, p/2)"
    a, b = 1 + x.sum(), 1 + (6 - x).sum()
    exact = special.betaln(a, b) + np.log(special.comb(6, x)).sum()
    return text, {"x": x}, {"p": "beta"}, exact, stats.beta([a], [b], 0, 2)


def normal_variance():
    x = np.array([1.0, -2, 0.5, 3])
    text = "index n = 1:N\nglobal v ~ InverseGamma(3, 2)\nobserved x[n] ~ Normal(0, sqrt(v))"
    a, b = 3 + 2, 2 + (x**2).sum() / 2
    exact = 3 * np.log(2) - special.gammaln(3) + special.gammaln(a) - a * np.log(b)
    exact -= 2 * np.log(2 * np.pi)
    return text, {"x": x}, {"v": "inversegamma"}, exact, stats.invgamma([a], scale=b)


def dirichlet_categorical():
    x = np.array([0, 2, 2, 1, 2.0])
    prior = np.array([0.5, 1, 2])
    alpha = prior + np.bincount(x.astype(int))
    exact = special.gammaln(alpha).sum() - special.gammaln(alpha.sum())
    exact -= special.gammaln(prior).sum() - special.gammaln(prior.sum())
    text = "index n=1:N\nglobal p : R[3] ~ Dirichlet([0.5, 1, 2])\nobserved x[n] ~ Categorical(p)"
    return text, {"x": x}, {}, exact, stats.beta(alpha, alpha.sum() - alpha)


CONJUGATE = [
    gamma_poisson, beta_bernoulli, uniform_binomial, normal_variance, dirichlet_categorical,
]  # fmt: skip


@pytest.mark.parametrize("case", CONJUGATE, ids=lambda c: c.__name__)
def test_a_conjugate_model_reaches_its_evidence_and_its_posterior(case):
    text, data, factors, exact, posterior = case()
    found = measure(Model(text), data, factors=factors)
    assert found.fvi.status == "converged"
    assert found.fvi.elbo == pytest.approx(exact, abs=1e-9 * (1 + abs(exact)))
    assert set(found.methods.values()) == {"exact"}
    assert found.log_evidence["value"] == pytest.approx(exact, abs=1e-4)
    if "exact" in found.log_evidence["method"]:
        assert found.fvi.certified
    own = found.posterior()
    np.testing.assert_allclose(own.mean, posterior.mean(), rtol=1e-7)
    np.testing.assert_allclose(own.sd, posterior.std(), rtol=1e-7)
    for level, values in ((0.05, own.low), (0.5, own.median), (0.95, own.high)):
        np.testing.assert_allclose(values, posterior.ppf(level), rtol=1e-6)


@pytest.mark.parametrize("case", CONJUGATE, ids=lambda c: c.__name__)
def test_one_sweep_of_closed_form_updates_is_exact(case, elbo_at):
    text, data, factors, exact, _ = case()
    elbo = elbo_at(bind(Model(text), data), factors=factors)
    start = starting_tables(elbo, 7, 0.5)
    tables = coordinate_ascent(elbo, start, sweeps=1)
    assert float(elbo(start)) < exact - 1e-3
    assert float(elbo(tables)) == pytest.approx(exact, abs=1e-9 * (1 + abs(exact)))


LOCALS = {
    "beta": ("local z[n] ~ Beta(2, 3)\nobserved y[n] ~ Binomial(t[n], z[n])",
             {"t": g.integers(2, 30, 30), "y": None}),
    "inversegamma": ("local z[n] ~ InverseGamma(3, 2)\nobserved y[n] ~ Normal(0, t[n]*sqrt(z[n]))",
                     {"t": g.uniform(0.5, 2, 30), "y": g.normal(size=30)}),
}  # fmt: skip
LOCALS["beta"][1]["y"] = g.binomial(LOCALS["beta"][1]["t"], g.beta(2, 3, 30)).astype(float)


@pytest.mark.parametrize("kind", LOCALS)
def test_networks_reach_beta_and_inverse_gamma_factors(kind):
    text, data = LOCALS[kind]
    model = Model(f"index n = 1:N\ngiven t[n]\n{text}")
    inputs = ["t[n]", "y[n]"]
    found = measure(model, data, factors={"z": kind}, function="mlp:16x16", inputs=inputs)
    assert found.fvi.certified and found.log_evidence["standard_error"] == 0
    assert 0 <= found.gap < 1e-3 * 30


@pytest.mark.parametrize("function", ["mlp:16x16", "table"])
def test_amortized_gamma_factors_reach_the_free_ones(function):
    """f(e[n], y[n]) holds the posterior: less than 1e-3 nats per latent are lost."""
    found = measure(
        Model(COUNTS), COUNTED, factors={"z": "gamma"}, function=function, inputs=["e[n]", "y[n]"]
    )
    assert 0 <= found.gap < 1e-3 * 30
    if function == "table":  # no two units share both inputs
        assert found.gap == pytest.approx(0, abs=1e-8)


def test_affine_functions_of_gamma_factors_have_one_shared_shape():
    found = measure(
        Model(COUNTS), COUNTED, factors={"z": "gamma"}, function="affine", inputs=["e[n]", "y[n]"]
    )
    q = found.infer(COUNTED)
    np.testing.assert_allclose(q.sd / q.mean, (q.sd / q.mean)[0], rtol=1e-9)
    assert found.gap > 0.1


def test_saved_factors_come_back(tmp_path):
    found = measure(
        Model(COUNTS), COUNTED, factors={"z": "gamma"}, function="table", inputs=["e[n]", "y[n]"]
    )
    again = load_measurement(found.save(tmp_path / "m.safetensors"))
    np.testing.assert_allclose(again.posterior().mean, found.posterior().mean)
    np.testing.assert_allclose(again.infer(COUNTED).sd, found.infer(COUNTED).sd)


def test_a_point_is_the_mode_of_what_the_others_leave():
    """q(θ) = δ: θ maximises log p(x, θ) itself, in θ's own coordinates."""
    x = np.array([1.0, -2, 0.5, 3])
    text = "index n=1:N\nglobal v ~ InverseGamma(3, 2)\nobserved x[n] ~ Normal(0, sqrt(v))"
    found = measure(Model(text), {"x": x}, factors={"v": "point"})
    a, b = 3 + 2, 2 + (x**2).sum() / 2
    v = found.posterior()["v"]
    assert v["mean"] == pytest.approx(b / (a + 1), rel=1e-8)
    assert v["sd"] == 0.0 and v["q05"] == v["q95"] == v["mean"]
    level = stats.norm.logpdf(x, 0, np.sqrt(v["mean"])).sum()
    level += stats.invgamma.logpdf(v["mean"], 3, scale=2)
    assert found.fvi.elbo == pytest.approx(level, abs=1e-9)
    assert found.log_evidence["value"] is None and "point" in found.log_evidence["method"]


def test_a_point_beside_free_locals_is_empirical_bayes():
    """With q(z) exact given θ, the point is the maximum of the marginal likelihood."""
    x = np.array([1.0, -2, 0.5, 3, 4])
    text = """
    index n = 1:N
    global m ~ Flat()
    local z[n] ~ Normal(m, 1)
    observed x[n] ~ Normal(z[n], 2)
    """
    found = measure(Model(text), {"x": x}, factors={"m": "point"})
    assert found.posterior()["m"]["mean"] == pytest.approx(x.mean(), rel=1e-9)
    exact = stats.norm.logpdf(x, x.mean(), np.sqrt(5)).sum()
    assert found.fvi.elbo == pytest.approx(exact, abs=1e-9)


SAMPLED = """
index n = 1:N
global a ~ Gamma(3, 2)
global b ~ Gamma(2, 1)
global c ~ Beta(2, 2)
observed x[n] ~ Normal(log(1 + a + b*c + a*b), 1)
"""


def test_what_can_only_be_sampled_carries_its_error_and_seed():
    factors = {"a": "gamma", "b": "gamma", "c": "beta"}
    data = {"x": np.array([1.0, 2.0, 1.5])}
    settings = {"evidence": False, "starts": 1, "samples": 64}
    runs = [measure(Model(SAMPLED), data, factors=factors, seed=s, **settings) for s in (0, 1)]
    assert "monte carlo" in runs[0].methods.values()
    assert [r.provenance["seed"] for r in runs] == [0, 1]
    error = np.hypot(runs[0].fvi.standard_error, runs[1].fvi.standard_error)
    assert 0 < error < 0.1
    assert runs[0].fvi.elbo == pytest.approx(runs[1].fvi.elbo, abs=5 * error)


def test_sampled_expectations_agree_with_quadrature(elbo_at):
    """One direction, forced to be sampled, against the same by its rule."""
    text = "global a ~ Gamma(3, 2)\nobserved x ~ Normal(log(1 + a), 1)"
    bound = bind(Model(text), {"x": np.array(1.0)})
    elbo = elbo_at(bound, factors={"a": "gamma"}, samples=20_000)
    tables = starting_tables(elbo, 0, 0.3)
    q = elbo.marginals(tables)
    factor = next(f for f in elbo.factors if f.method == "quadrature")
    uniform = torch.rand(200_000, 1, generator=torch.Generator().manual_seed(2)).double()
    u, weight = q["a"].at(uniform)
    each = factor.log_density({"a": u}, {})
    sampled = (torch.softmax(weight[:, 0], 0) * each).sum()
    assert float(factor.value(q, {})) == pytest.approx(float(sampled), abs=0.02)


@pytest.mark.parametrize(
    ("factors", "culprit"),
    [
        ({"w": "gamma"}, "no latent 'w'"),
        ({"z": "gama"}, "Did you mean 'gamma'"),
        ({"z": "beta"}, "its values are 'positive'"),
        ({"z": "point"}, "it is local"),
        ({"z": "full"}, "lognormal, gamma, inversegamma"),
    ],
)
def test_impossible_factors_are_named(factors, culprit):
    with pytest.raises(InputError, match=culprit):
        measure(Model(COUNTS), COUNTED, factors=factors)


def test_a_sum_that_would_need_many_weights_is_refused():
    text = """
    index n = 1:N
    local z[n] ~ Gamma(2, 1)
    observed x[n] ~ Normal(z[n], 1)
    observed y ~ {}
    """
    data = {"x": np.array([1.0, 2.0, 4.0]), "y": np.array(3.0)}
    model = Model(text.format("Normal(sum(z), 1)"))
    found = measure(model, data, factors={"z": "gamma"}, evidence=False)
    assert set(found.methods.values()) == {"exact"}
    with pytest.raises(InputError, match=r"Poisson\(sum\(z\)\).*lognormal"):
        measure(Model(text.format("Poisson(sum(z))")), data, factors={"z": "gamma"})


CHAIN = """
index t = 1:T
local z[1] ~ Gamma(2, 1)
local z[t] ~ Gamma(3, 3/z[t-1]) for t in 2:T
observed x[t] ~ Poisson(z[t])
"""


def test_natural_gradients_never_lower_the_elbo(elbo_at):
    """A chain of Gamma latents: all points move at once although neighbours interact."""
    bound = bind(Model(CHAIN), {"x": np.array([1.0, 2, 4, 3, 0, 7])})
    elbo = elbo_at(bound, factors={"z": "gamma"})
    tables, levels = starting_tables(elbo, 1, 1.0), []
    for _ in range(5):
        levels.append(float(elbo(tables)))
        tables = natural_updates(elbo, tables)
    assert np.all(np.diff(levels) >= 0) and levels[-1] > levels[0]
    found = measure(bound.model, bound, factors={"z": "gamma"}, evidence=False)
    assert found.fvi.status == "converged" and set(found.methods.values()) == {"exact"}
    assert levels[-1] <= found.fvi.elbo + 1e-9


def test_the_support_alone_chooses_as_before():
    kinds = families(bind(Model(COUNTS), COUNTED))
    assert kinds["z"].kind == "LogNormal"
