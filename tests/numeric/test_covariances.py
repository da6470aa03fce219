"""Normal factors with all covariances: of a vector, and of several latents at one point."""

import numpy as np
import pytest
import torch
from scipy import stats

from avi_theory import Model, load_measurement
from avi_theory.errors import InputError
from avi_theory.numeric import measure
from avi_theory.numeric.evidence.sampled import by_importance_sampling
from avi_theory.numeric.fit import fit, starting_tables
from avi_theory.numeric.parameters import free
from avi_theory.numeric.solve import Options
from avi_theory.spec.bound import bind

g = np.random.default_rng(1)
W = [[1.0, 0.5], [0.2, -1.0], [0.3, 0.3]]
PRIOR = [[1.0, 0.3], [0.3, 0.5]]
VECTORS = {
    "matrix": "observed x[n] : R[3] ~ Normal(W @ z[n], 0.5)",
    "coordinates": "observed x[n,t] ~ Normal(z[n][0] + z[n][1]*t, 0.5)",
}


def regression(rows, x, noise=0.5, prior=None):
    """log evidence, mean and covariance of x = rows·z + noise."""
    prior = np.eye(2) if prior is None else np.asarray(prior)
    cov = rows @ prior @ rows.T + noise**2 * np.eye(len(rows))
    gain = prior @ rows.T @ np.linalg.inv(cov)
    evidence = stats.multivariate_normal.logpdf(x, np.zeros(len(rows)), cov)
    return evidence, gain @ x, prior - gain @ rows @ prior


def vector_case(name, n=4):
    rows = {"matrix": np.asarray(W), "coordinates": np.stack([np.ones(3), [1, 2, 3]], 1)}[name]
    x = g.normal(size=(n, 3))
    head = "index n = 1:N\n" + ("" if name == "matrix" else "index t = 1:3\n")
    head += f"given W = {W}\n" if name == "matrix" else ""
    text = f"{head}local z[n] : R[2] ~ Normal(0, 1)\n{VECTORS[name]}"
    return text, {"x": x}, [regression(rows, row) for row in x]


@pytest.mark.parametrize("name", ["matrix", "coordinates"])
def test_a_gaussian_vector_reaches_its_evidence(name):
    text, data, exact = vector_case(name)
    found = measure(Model(text), data, factors={"z": "full"})
    plain = measure(Model(text), data)
    assert found.fvi.status == "converged" and found.fvi.certified
    assert set(found.methods.values()) == {"exact"}
    evidence = sum(e for e, _, _ in exact)
    assert found.fvi.elbo == pytest.approx(evidence, abs=1e-9)
    assert plain.fvi.elbo < evidence - 0.05
    q = found.posterior()
    np.testing.assert_allclose(q.mean, np.concatenate([m for _, m, _ in exact]), atol=1e-8)
    sds = np.sqrt(np.concatenate([np.diag(c) for _, _, c in exact]))
    np.testing.assert_allclose(q.sd, sds, rtol=1e-7)


UNIT = """
index n = 1:N
index t = 1:3
given s[t]
local a[n] ~ Normal(0, 1)
local b[n] ~ Normal(0, 1)
observed x[n,t] ~ {}
"""
SLOPES = np.array([-1.0, 0.5, 2.0])


def test_two_latents_of_a_unit_share_a_factor():
    x = g.normal(size=(4, 3))
    rows = np.stack([np.ones(3), SLOPES], 1)
    exact = [regression(rows, row) for row in x]
    model = Model(UNIT.format("Normal(a[n] + b[n]*s[t], 0.5)"))
    found = measure(model, {"x": x, "s": SLOPES}, factors={"b,a": "full"})
    assert found.fvi.elbo == pytest.approx(sum(e for e, _, _ in exact), abs=1e-9)
    assert set(found.methods.values()) == {"exact"}
    q = found.posterior()
    for k, (_, mean, cov) in enumerate(exact):
        for j, name in enumerate("ab"):
            own = q[f"{name}[{k + 1}]"]
            assert own["mean"] == pytest.approx(mean[j], abs=1e-8)
            assert own["sd"] == pytest.approx(np.sqrt(cov[j, j]), rel=1e-7)


@pytest.mark.parametrize("likelihood", [
    "Bernoulli(logit=a[n] + b[n]*s[t])", "Poisson(exp(0.3*a[n] + b[n]*s[t]))",
    "Normal(s[t]*a[n]*b[n], 1)", "Normal(s[t] + exp(a[n] + b[n]), 2)",
])  # fmt: skip
def test_expectations_with_covariances_agree_with_sampling(likelihood, elbo_at, random_tables):
    model = Model(UNIT.format(likelihood))
    x = g.integers(0, 2, size=(4, 3)).astype(float)
    elbo = elbo_at(bind(model, {"x": x, "s": SLOPES}), factors={"a,b": "full"}, samples=4000)
    tables = random_tables(elbo, seed=3)
    q = elbo.marginals(tables)
    noise = torch.randn(200_000, 4, 2, generator=torch.Generator().manual_seed(5)).double()
    values = {"a": q["a"].at(noise[..., :1])[0], "b": q["b"].at(noise)[0]}
    for factor in elbo.factors:
        each = factor.log_density(values, {})
        error = float(each.std()) / np.sqrt(len(each)) + 1e-9
        assert float(factor.value(q, elbo.noise)) == pytest.approx(
            float(each.mean()), abs=(5 if factor.method != "monte carlo" else 30) * error
        ), factor.text


def test_a_process_prior_with_a_correlated_vector():
    """E log N(z; m, C) needs tr(C⁻¹ Σ)."""
    text = f"""
    index n = 1:N
    given C = {PRIOR}
    local z[n] : R[2] ~ MultivariateNormal(0, C)
    observed x[n] ~ Normal(z[n][0] + 2*z[n][1], 0.5)
    """
    x = np.array([1.0, -0.5])
    exact = [regression(np.array([[1.0, 2.0]]), row[None], prior=PRIOR) for row in x]
    found = measure(Model(text), {"x": x}, factors={"z": "full"})
    assert found.fvi.elbo == pytest.approx(sum(e for e, _, _ in exact), abs=1e-9)


@pytest.mark.parametrize("function", ["affine", "mlp:8x8"])
def test_amortized_correlated_factors_reach_the_free_ones(function, tmp_path):
    text, data, _ = vector_case("matrix", n=12)
    found = measure(Model(text), data, factors={"z": "full"}, function=function, inputs=["x[n]"])
    assert found.gap == pytest.approx(0, abs=1e-6)
    again = load_measurement(found.save(tmp_path / "m.safetensors"))
    np.testing.assert_allclose(again.infer(data).mean, found.infer(data).mean)
    np.testing.assert_allclose(again.posterior().sd, found.posterior().sd)


def test_amortized_units_reach_the_free_ones():
    model = Model(UNIT.format("Normal(a[n] + b[n]*s[t], 0.5)"))
    data = {"x": g.normal(size=(8, 3)), "s": SLOPES}
    seen = ["x[n,1]", "x[n,2]", "x[n,3]"]
    found = measure(model, data, factors={"a,b": "full"}, function="affine", inputs=seen)
    assert found.gap == pytest.approx(0, abs=1e-7)


def test_the_evidence_and_the_true_marginals_do_not_depend_on_the_factors():
    text, data, exact = vector_case("coordinates")
    found = measure(Model(text), data, factors={"z": "full"})
    evidence = sum(e for e, _, _ in exact)
    assert found.log_evidence["value"] == pytest.approx(evidence, abs=1e-8)
    assert found.log_evidence["method"] == "exact: Gaussian integral"
    np.testing.assert_allclose(found.exact_posterior().sd, found.posterior().sd, rtol=1e-7)


@pytest.mark.parametrize("factors", [{"z": "full"}, {"a,b": "full"}])
def test_an_exact_joint_factor_is_a_perfect_proposal(factors, elbo_at):
    """Importance weights of draws from the posterior itself do not vary."""
    data = {"x": g.normal(size=(4, 3)), "s": SLOPES}
    model = Model(UNIT.format("Normal(a[n] + b[n]*s[t], 0.5)"))
    if "z" in factors:
        text, data, _ = vector_case("coordinates")
        model = Model(text)
    found = measure(model, data, factors=factors, evidence=False)
    elbo = elbo_at(bind(model, data), factors=factors)
    parameters = free(elbo.families)
    fitted, elbo = fit(elbo, parameters, [starting_tables(elbo, 0, 0.05)], Options())
    sampled = by_importance_sampling(elbo, fitted, seed=0)
    assert sampled.value == pytest.approx(found.fvi.elbo, abs=1e-6)
    assert sampled.standard_error < 1e-6


@pytest.mark.parametrize(
    ("factors", "culprit"),
    [
        ({"a": "full"}, "name two latents"),
        ({"a,b": "normal"}, "all covariances is 'full'"),
        ({"a,b": "full", "b": "normal"}, "b was given two factors"),
        ({"a,a": "full"}, "named twice"),
        ({"a,c": "full"}, "no latent 'c'"),
    ],
)
def test_impossible_units_are_named(factors, culprit):
    model = Model(UNIT.format("Normal(a[n] + b[n]*s[t], 0.5)"))
    with pytest.raises(InputError, match=culprit):
        measure(model, {"x": np.zeros((2, 3)), "s": SLOPES}, factors=factors)
