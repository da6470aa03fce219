"""Closed forms, quadrature and Monte Carlo agree wherever more than one applies."""

import numpy as np
import pytest
import sympy
import torch

from avi_theory.numeric.lowering import Where
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.latents import Latent
from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.numeric.lowering.quadrature import Rule
from avi_theory.spec import terms

WHERE = Where(torch.device("cpu"), torch.float64)
u, w = sympy.symbols("u w", real=True)
c = sympy.Symbol("c", positive=True)
LATENTS = {
    s: Latent(s, sympy.Symbol(f"{s}_m"), sympy.Symbol(f"{s}_v"), frozenset({(s, 0)}))
    for s in (u, w)
}
CLOSED = [
    u, u**2, u**5, (u - w) ** 2, (u - c * w + 1) ** 3, u * w, u**2 * w**3, sympy.exp(u),
    sympy.exp(2 * u - w), u * sympy.exp(-u), (u - w) ** 2 * sympy.exp(-2 * u),
    u**2 * w * sympy.exp(u - c * w), (u + w * u) ** 2, sympy.Abs(u - w), sympy.Abs(u) * w,
    terms.maximum(u, 0), terms.minimum(u, w), (u * w - c) ** 2, (1 + u) * (u - w) ** 2,
    c * (u - w) ** 2 + sympy.log(c) - u * sympy.exp(w) / 3,
]  # fmt: skip
INTEGRALS = [
    terms.softplus(u), terms.softplus(u - c * w + 1), sympy.log(1 + (u - w) ** 2 / 4),
    sympy.tanh(u) * u, sympy.exp(sympy.cos(u)), terms.sigmoid(u) * w**2,
    sympy.log(sympy.exp(2 * u) + c), (u - 1) ** 2 / (sympy.exp(2 * w) + c),
    sympy.loggamma(sympy.exp(u)), terms.softplus(u) * terms.sigmoid(w + u), sympy.cos(u) * w,
    sympy.sqrt(1 + u**2 + w**2), (u - w * (1 + sympy.sin(w))) ** 2 * sympy.exp(-2 * sympy.cos(w)),
]  # fmt: skip
VALUES = {"u_m": 0.4, "u_v": 0.49, "w_m": -0.3, "w_v": 0.16, "c": 1.7}


def derived(expression):
    """E[expression] by the package's own derivation, and the methods it used."""
    derivation = Expectation(dict(LATENTS))
    expected = derivation.of(expression)
    env = {sympy.Symbol(k): torch.tensor([v], dtype=torch.float64) for k, v in VALUES.items()}
    env[c] = env.pop(sympy.Symbol("c"))
    for integral in derivation.integrals.values():
        assert integral.directions, f"{expression} fell back to sampling"
        rule = Rule.start(len(integral.directions))
        while (finer := rule.finer()) is not None:
            rule = finer
        nodes, weights = rule.nodes(WHERE)
        for d, x in zip(integral.directions, nodes, strict=True):
            env[d.symbol] = Program(d.first)(env) + Program(d.second)(env).sqrt() * x[:, None]
        value = Program(integral.integrand)(env)
        env[integral.symbol] = torch.tensordot(weights, value, dims=1)
    return float(Program(expected)(env)), len(derivation.integrals)


@pytest.mark.parametrize("expression", CLOSED, ids=str)
def test_closed_forms_equal_quadrature_of_the_original(expression, gaussian_expectation):
    value, integrals = derived(expression)
    assert integrals == 0
    wanted = gaussian_expectation(expression, [u, w], VALUES)
    kinked = expression.has(sympy.Abs, terms.maximum, terms.minimum)
    assert value == pytest.approx(wanted, rel=2e-3 if kinked else 1e-10)


@pytest.mark.parametrize("expression", INTEGRALS, ids=str)
def test_quadrature_equals_a_dense_rule_and_sampling(expression, gaussian_expectation):
    value, integrals = derived(expression)
    assert integrals >= 1
    assert value == pytest.approx(gaussian_expectation(expression, [u, w], VALUES), rel=1e-8)
    function = sympy.lambdify([u, w, c], expression, [terms.numpy_functions(), "scipy", "numpy"])
    g = np.random.default_rng(0)
    draws = function(0.4 + 0.7 * g.normal(size=200_000), -0.3 + 0.4 * g.normal(size=200_000), 1.7)
    assert value == pytest.approx(np.mean(draws), abs=5 * np.std(draws) / np.sqrt(200_000))


def test_what_has_a_closed_form_given_one_latent_is_one_integral():
    square = (u - w * (1 + sympy.sin(w))) ** 2 * sympy.exp(-2 * sympy.cos(w))
    assert derived(square)[1] == 1
    assert derived(square + sympy.cos(u))[1] == 2


def test_squares_are_kept_so_that_large_means_do_not_cancel():
    shifted = {"u_m": 1e8, "u_v": 1.0, "w_m": 1e8 + 1.0, "w_v": 1.0}
    expected = Expectation(dict(LATENTS)).of((u - w) ** 2)
    env = {sympy.Symbol(k): torch.tensor([v], dtype=torch.float64) for k, v in shifted.items()}
    assert float(Program(expected)(env)) == 3.0


def test_every_gallery_factor_agrees_with_sampling(measurable, bound_of, elbo_at, random_tables):
    """E_q[log p] of each statement lies within five standard errors of a sampled one."""
    elbo = elbo_at(bound_of(measurable, most=20))
    q = elbo.marginals(random_tables(elbo))
    generator = torch.Generator().manual_seed(3)
    values, categories = {}, {}
    for name, f in elbo.families.items():
        if f.discrete:
            drawn = torch.multinomial(q[name].probability, 4000, True, generator=generator)
            categories[name] = drawn.T
        elif f.gaussian:
            noise = torch.randn(4000, *q[name].mean.shape, generator=generator, dtype=torch.float64)
            values[name] = q[name].mean + q[name].log_sd.exp() * noise
        else:
            shape = (4000, f.points, f.dim)
            gammas = np.random.default_rng(4).gamma(q[name].concentration, size=shape)
            values[name] = torch.as_tensor(gammas / gammas.sum(-1, keepdims=True))
    for factor in elbo.factors:
        if "cos(" in factor.text:
            continue  # the printed nonlinear model: its expectation does not exist
        sampled = factor.log_density(values, categories)
        error = 5 * float(sampled.std()) / np.sqrt(4000) + 1e-9
        assert float(factor.value(q, {})) == pytest.approx(float(sampled.mean()), abs=error), (
            factor.text
        )
