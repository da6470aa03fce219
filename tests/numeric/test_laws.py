"""Log-Gamma and logit-Beta laws: closed forms, quadrature and sampling agree, at all sizes."""

import numpy as np
import pytest
import sympy
import torch
from scipy import integrate, special, stats

from avi_theory.numeric import laws
from avi_theory.numeric.families import Family, natural, table_of
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.integrals import Lowered
from avi_theory.numeric.lowering.latents import Latent
from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.numeric.lowering.quadrature import Rule
from avi_theory.numeric.lowering.values import alpha_symbol, beta_symbol, elementary
from avi_theory.numeric.parameters import fisher
from avi_theory.spec import terms

WHERE = Where(torch.device("cpu"), torch.float64)
u, w = sympy.symbols("u w", real=True)
z, zbar = terms.sigmoid(u), terms.sigmoid(-u)
log_z, log_zbar = -terms.softplus(-u), -terms.softplus(u)
LOG_GAMMA = [
    u, u**2, u**3, sympy.exp(u), sympy.exp(2 * u), sympy.exp(-u), sympy.exp(-2 * u),
    u * sympy.exp(u), u**2 * sympy.exp(u / 2), (u - 1) ** 2, sympy.exp(u) * w**2,
    (w - 1) ** 2 * sympy.exp(u), sympy.exp(u - w), u * w * sympy.exp(-u), (sympy.exp(u) - 2) ** 2,
]  # fmt: skip
LOGIT_BETA = [
    u, u**2, z, z**2, zbar * z, 1 / z, 1 / (1 - z), log_z, log_zbar, log_z**2, log_z * log_zbar,
    z * log_z, (2 + 3 * z) ** 2, sympy.exp(u), z * w**2, (w - 1) ** 2 * z * zbar,
]  # fmt: skip
CASES = [("gamma", e) for e in LOG_GAMMA] + [("inverse", e) for e in LOG_GAMMA]
CASES += [("beta", e) for e in LOGIT_BETA]
INTEGRALS = [
    ("gamma", terms.softplus(2 * u - 1)), ("gamma", sympy.log(1 + sympy.exp(u))),
    ("inverse", sympy.loggamma(sympy.exp(u))), ("gamma", sympy.tanh(u) * w**2),
    ("beta", sympy.log(1 + z)), ("beta", sympy.cos(u)), ("gamma", sympy.sin(u + w)),
    ("beta", terms.softplus(u + 2 * w)),
]  # fmt: skip
SIZES = {"alpha": 3.5, "beta": 4.5, "w_m": -0.3, "w_v": 0.16}


def environment(law):
    at = {alpha_symbol(u): SIZES["alpha"], beta_symbol(u): SIZES["beta"]}
    at |= {sympy.Symbol(k): SIZES[k] for k in ("w_m", "w_v")}
    env = {s: torch.tensor([v], dtype=torch.float64) for s, v in at.items()}
    pair = env[alpha_symbol(u)], env[beta_symbol(u)]
    env[sympy.Symbol("u_m", real=True)] = laws.mean(law, *pair)
    env[sympy.Symbol("u_v", positive=True)] = laws.variance(law, *pair)
    return env


def derived(law, expression):
    """E[expression] by the package's own derivation, and how many integrals it needed."""
    latents = {
        u: elementary(u, law, frozenset({(u, 0)}), False),
        w: Latent(w, sympy.Symbol("w_m"), sympy.Symbol("w_v"), frozenset({(w, 0)})),
    }
    derivation = Expectation(latents)
    expected, env = derivation.of(expression), environment(law)
    for integral in derivation.integrals.values():
        assert integral.directions, f"{expression} fell back to sampling"
        env[integral.symbol] = by_rule(integral, env)
    return float(Program(expected)(env)), len(derivation.integrals)


def by_rule(integral, env):
    """The product rule of `Evaluated`, at the second finest spacing."""
    rule = Rule(len(integral.directions), 0.09375)
    x, weight = rule.one(WHERE)
    inner, product = dict(env), torch.ones((), dtype=torch.float64)
    for k, d in enumerate(integral.directions):
        lowered = Lowered(d.symbol, d.law, Program(d.first), Program(d.second))
        nodes, own = lowered.points(env, x, weight, rule.spacing)
        shape = [-1 if j == k else 1 for j in range(len(integral.directions))]
        inner[d.symbol], product = nodes.reshape(shape), product * own.reshape(shape)
    return (product * Program(integral.integrand)(inner)).sum().reshape(1)


def frozen(law, alpha, beta):
    """Scipy's law of z, and u as a function of z."""
    if law == "beta":
        return stats.beta(alpha, beta), special.logit
    return (stats.gamma(alpha, scale=1 / beta), np.log) if law == "gamma" else (
        stats.invgamma(alpha, scale=beta), np.log
    )  # fmt: skip


def sampled(law, expression, count=100_000):
    """Mean and standard error of the expression at scipy's draws."""
    function = sympy.lambdify([u, w], expression, [terms.numpy_functions(), "scipy", "numpy"])
    q, chart = frozen(law, SIZES["alpha"], SIZES["beta"])
    g = np.random.default_rng(0)
    at = chart(q.rvs(count, random_state=g)), -0.3 + 0.4 * g.normal(size=count)
    draws = function(*at) * np.ones(count)
    return draws.mean(), draws.std() / np.sqrt(count)


@pytest.mark.parametrize(("law", "expression"), CASES, ids=str)
def test_closed_forms_equal_quadrature_and_sampling(law, expression):
    value, integrals = derived(law, expression)
    assert integrals == 0
    latents = {
        u: elementary(u, law, frozenset({(u, 0)}), False),
        w: Latent(w, sympy.Symbol("w_m"), sympy.Symbol("w_v"), frozenset({(w, 0)})),
    }
    forced = Expectation(latents)
    forced._integral(expression)
    (integral,) = forced.integrals.values()
    if integral.directions:
        assert value == pytest.approx(float(by_rule(integral, environment(law))), rel=1e-7)
    mean, error = sampled(law, expression)
    assert value == pytest.approx(mean, abs=6 * error)


@pytest.mark.parametrize(("law", "expression"), INTEGRALS, ids=str)
def test_what_has_no_closed_form_is_integrated(law, expression):
    value, integrals = derived(law, expression)
    assert integrals >= 1
    mean, error = sampled(law, expression)
    assert value == pytest.approx(mean, abs=5 * error)


def test_a_moment_that_does_not_exist_is_infinite():
    env = environment("gamma") | {alpha_symbol(u): torch.tensor([0.9], dtype=torch.float64)}
    latents = {u: elementary(u, "gamma", frozenset({(u, 0)}), False)}
    assert float(Program(Expectation(latents).of(sympy.exp(-u)))(env)) == np.inf


ALPHAS = [1e-3, 0.05, 0.7, 1.0, 8.0, 300.0, 1e5]


@pytest.mark.parametrize("law", ["gamma", "inverse", "beta"])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_rule_integrates_moments_at_every_shape(law, alpha):
    a = torch.tensor([alpha], dtype=torch.float64)
    b = torch.tensor([2.5], dtype=torch.float64)
    nodes, weights = laws.nodes(law, a, b, 0.375 / 8)
    mean, variance = float(laws.mean(law, a, b)), float(laws.variance(law, a, b))
    assert float((weights * nodes).sum()) == pytest.approx(mean, rel=1e-9, abs=1e-9)
    spread = float((weights * (nodes - mean) ** 2).sum())
    assert spread == pytest.approx(variance, rel=1e-8)


@pytest.mark.parametrize("law", ["gamma", "inverse", "beta"])
@pytest.mark.parametrize("alpha", [0.05, 1.0, 30.0, 2000.0])
def test_entropy_is_that_of_scipy(law, alpha):
    a = torch.tensor([alpha], dtype=torch.float64)
    b = torch.tensor([2.5], dtype=torch.float64)
    q, _ = frozen(law, alpha, 2.5)
    slope = laws.mean(law, a, b)
    if law == "beta":  # E log z(1 − z)
        slope = torch.digamma(a) + torch.digamma(b) - 2 * torch.digamma(a + b)
    wanted = float(q.entropy())
    assert float(laws.entropy(law, a, b) + slope) == pytest.approx(wanted, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("law", ["gamma", "inverse", "beta"])
def test_log_density_integrates_to_one_and_importance_weights_are_right(law):
    a, b = torch.tensor([0.8], dtype=torch.float64), torch.tensor([2.5], dtype=torch.float64)
    density = lambda x: np.exp(float(laws.log_density(law, torch.tensor([x]).double(), a, b)))  # noqa: E731
    assert integrate.quad(density, -60, 60, limit=400, points=[0.0])[0] == pytest.approx(1.0)
    uniform = torch.rand(200_000, 1, generator=torch.Generator().manual_seed(1)).double()
    x, level, proposal = laws.proposed(law, a, b, uniform)
    weight = torch.exp(level - proposal)
    assert float(weight.mean()) == pytest.approx(1.0, abs=0.02)
    assert float((weight * x).mean()) == pytest.approx(float(laws.mean(law, a, b)), abs=0.03)


@pytest.mark.parametrize("kind", ["Gamma", "InverseGamma", "Beta"])
def test_fisher_information_is_the_curvature_of_kl(kind):
    """½ δᵀFδ ≈ KL(q_ν ‖ q_ν+δ), by the Hessian of the expected log density."""
    family = Family("z", kind, 1)
    table = torch.tensor([[[0.4, 1.1]]], dtype=torch.float64)
    alpha, beta = natural(family.law, table[0])
    nodes, weights = laws.nodes(family.law, alpha, beta, 0.05)

    def level(flat):
        moved = laws.log_density(family.law, nodes, *natural(family.law, flat.reshape(1, 2)))
        return -(weights.detach() * moved).sum()

    hessian = torch.autograd.functional.hessian(level, table.reshape(-1))
    found = fisher(family, table).reshape(-1)
    np.testing.assert_allclose(torch.diagonal(hessian), found, rtol=1e-6)
    np.testing.assert_allclose(table_of(family.law, alpha, beta), table[0], rtol=1e-12)
