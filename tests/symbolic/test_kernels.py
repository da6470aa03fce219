"""Closed forms of the optimal factor: family, class, and the numbers the formula stands for."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.results.report import OptimalFactor
from avi_theory.spec.model import Model


def factor(text: str, name: str = "z") -> OptimalFactor | None:
    return check(Model(text), witness=False).locals[name].optimal_factor


FORMS = {
    "eight schools": (
        "given s[n] > 0\nglobal mu ~ Normal(0, 5)\nglobal tau ~ HalfNormal(5)\n"
        "local z[n] ~ Normal(mu, tau)\nobserved x[n] ~ Normal(z[n], s[n])",
        "Normal", "affine", ("E[mu]", "E[tau**(-2)]", "s[n]", "x[n]"),
    ),
    "constant": ("local z[n] ~ Normal(0, 1)", "Normal", "constant", ("mean = 0", "sd = 1")),
    "normal, quadratic": (
        "local z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(0, 1)\n"
        "observed y[n] ~ Normal(x[n]**2 + z[n], 1)",
        "Normal", "polynomial:2", ("x[n]**2",),
    ),
    "groups": (
        "index i = 1:I\nlocal z[n] ~ Normal(0, 1)\nobserved y[n,i] ~ Normal(z[n], 1)",
        "Normal", "affine", ("sum(y[n,i] for i)", "I + 1"),
    ),
    "gamma": (
        "local z[n] ~ Gamma(3, 2)\nobserved x[n] ~ Poisson(z[n])",
        "Gamma", "affine", ("shape = x[n] + 3", "rate = 3"),
    ),
    "inverse gamma": (
        "local z[n] ~ InverseGamma(2, 3)\nobserved x[n] ~ Normal(0, sqrt(z[n]))",
        "InverseGamma", "polynomial:2", ("x[n]**2",),
    ),
    "beta": (
        "local z[n] ~ Beta(2, 3)\nobserved x[n] ~ Bernoulli(z[n])",
        "Beta", "affine", ("a = x[n] + 2", "4 - x[n]"),
    ),
    "lognormal": (
        "local z[n] ~ LogNormal(0, 1)\nobserved x[n] ~ LogNormal(log(z[n]), 1)",
        "LogNormal", "none", ("log(x[n])",),
    ),
    "categorical": (
        "given m = [0, 1, 2]\nlocal z[n] ~ Categorical([0.2, 0.3, 0.5])\n"
        "observed x[n] ~ Normal(m[z[n]], 1)",
        "Categorical", "log-linear", ("m[k]*x[n]",),
    ),
    "bernoulli": (
        "local z[n] ~ Bernoulli(0.3)\nobserved x[n] ~ Normal(z[n], 1)",
        "Bernoulli", "log-linear", ("k*x[n]",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_closed_form(name: str) -> None:
    text, family, kind, parts = FORMS[name]
    found = factor("index n = 1:N\n" + text)
    assert found is not None
    assert (found.family, found.function_class) == (family, kind), found.text
    for part in parts:
        assert part in found.text, found.text
    assert found.latex
    assert found.to_dict()["class"] == kind


@pytest.mark.parametrize(
    "text",
    [
        "local z[n] ~ Normal(0, 1)\nobserved x[n] ~ Bernoulli(logit=z[n])",
        "local z[n] ~ StudentT(4, 0, 1)\nobserved x[n] ~ Normal(z[n], 1)",
        "network f : R[1] -> R[3]\nlocal z[n] ~ Normal(0, 1)\n"
        "observed x[n] : R[3] ~ Normal(f(z[n]), 1)",
    ],
)
def test_no_closed_form(text: str) -> None:
    assert factor("index n = 1:N\n" + text) is None


def test_coupled_normals_are_affine_and_products_are_not() -> None:
    pair = "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nlocal w[n] ~ Normal(0, 1)\n"
    linear = factor(pair + "observed x[n] ~ Normal(z[n] + w[n], 1)")
    product = factor(pair + "observed x[n] ~ Normal(z[n]*w[n], 1)")
    assert linear is not None and linear.function_class == "affine"
    assert product is not None and product.function_class == "none"


def test_linear_model_of_margossian_and_blei() -> None:
    """MB's linear model: mean τ(x − E[θ])/(σ² + τ²), variance σ²/(σ² + τ²)."""
    found = factor(
        "index n = 1:N\ngiven tau = 1.155, sigma = 2.43\nglobal theta ~ Flat()\n"
        "local z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(theta + tau*z[n], sigma)"
    )
    assert found is not None
    assert "tau*(-E[theta] + x[n])/(sigma**2 + tau**2)" in found.text
