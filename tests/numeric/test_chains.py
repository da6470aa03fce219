"""Message passing against enumeration, dense Gaussian algebra, and itself in other orders."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from avi_theory import InputError, Model, load
from avi_theory.gallery import data_path
from avi_theory.numeric import measure
from avi_theory.numeric.chains import (
    DiscreteChain,
    GaussianChain,
    block_tridiagonal,
    forward_backward,
    kalman_smoother,
    log_evidence,
)
from avi_theory.numeric.chains.potentials import interval
from avi_theory.numeric.evidence import gaussian as gaussian_module
from avi_theory.numeric.evidence import precision as precision_module
from avi_theory.numeric.evidence.chain import by_message_passing, discrete_marginals
from avi_theory.numeric.evidence.discrete import by_elimination
from avi_theory.numeric.evidence.layout import layout_of
from avi_theory.spec.bound import bind
from avi_theory.spec.simulate import simulate_bound

WAYS = list(itertools.product(("loop", "scan"), ("scaled", "log")))


def drawn(generator, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def enumerated(chain):
    """Evidence, marginals and neighbours' marginals by a sum over all state sequences."""
    b, t, s = chain.emission.shape
    moves = chain.transition.expand(b, t - 1, s, s).numpy()
    start = chain.initial.expand(b, s).numpy()
    emission = chain.emission.numpy()
    evidence, marginals, joint = np.zeros(b), np.zeros((b, t, s)), np.zeros((b, t - 1, s, s))
    for k in range(b):
        n = t if chain.lengths is None else int(chain.lengths[k])
        paths = list(itertools.product(range(s), repeat=n))
        level = [
            start[k, z[0]]
            + sum(emission[k, i, z[i]] for i in range(n))
            + sum(moves[k, i, z[i], z[i + 1]] for i in range(n - 1))
            for z in paths
        ]
        evidence[k] = logsumexp(level)
        for z, w in zip(paths, np.exp(level - evidence[k]), strict=True):
            for i in range(n):
                marginals[k, i, z[i]] += w
            for i in range(n - 1):
                joint[k, i, z[i], z[i + 1]] += w
    return evidence, marginals, joint


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind", ["one matrix", "one a step", "one a step and sequence"])
def test_every_way_equals_enumeration(steps, ragged, kind):
    g = torch.Generator().manual_seed(steps)
    s, b = 3, 4
    moves = {"one matrix": (s, s), "one a step": (steps - 1, s, s),
             "one a step and sequence": (b, steps - 1, s, s)}[kind]  # fmt: skip
    lengths = torch.randint(1, steps + 1, (b,), generator=g) if ragged else None
    initial = drawn(g, s) if ragged else drawn(g, b, s)
    chain = DiscreteChain(initial, drawn(g, *moves), drawn(g, b, steps, s, scale=3.0), lengths)
    evidence, marginals, joint = enumerated(chain)
    for order, arithmetic in WAYS:
        found = forward_backward(chain, order=order, arithmetic=arithmetic, pairwise=True)
        where = f"{order}, {arithmetic}"
        np.testing.assert_allclose(found.log_evidence, evidence, atol=1e-12, err_msg=where)
        np.testing.assert_allclose(found.marginals, marginals, atol=1e-13, err_msg=where)
        np.testing.assert_allclose(found.pairwise, joint, atol=1e-13, err_msg=where)
        alone = log_evidence(chain, order=order, arithmetic=arithmetic)
        np.testing.assert_allclose(alone, evidence, atol=1e-12, err_msg=where)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_long_sequences_agree_in_every_order_and_arithmetic(dtype):
    g = torch.Generator().manual_seed(5)
    moves = torch.log_softmax(drawn(g, 4, 4), -1)
    chain = DiscreteChain(
        torch.zeros(4, dtype=dtype), moves.to(dtype), drawn(g, 3, 700, 4, scale=6.0).to(dtype),
        torch.tensor([700, 1, 333]),
    )  # fmt: skip
    exact = forward_backward(
        DiscreteChain(chain.initial.double(), chain.transition.double(), chain.emission.double(),
                      chain.lengths))  # fmt: skip
    assert "rescaled" in exact.method
    room = 1e3 * torch.finfo(dtype).eps
    for order, arithmetic in WAYS:
        found = forward_backward(chain, order=order, arithmetic=arithmetic)
        assert found.marginals.dtype == dtype
        torch.testing.assert_close(found.marginals[0].sum(-1), torch.ones(700, dtype=dtype))
        torch.testing.assert_close(found.log_evidence.double(), exact.log_evidence,
                                   rtol=room, atol=0.0)  # fmt: skip
        torch.testing.assert_close(found.marginals.double(), exact.marginals, rtol=0.0,
                                   atol=room * (300 if arithmetic == "log" else 1))  # fmt: skip


def test_evidence_far_below_the_smallest_number_is_kept():
    g = torch.Generator().manual_seed(6)
    moves = torch.log_softmax(drawn(g, 3, 3), -1)
    emission = drawn(g, 2, 40, 3, scale=900.0) - 5000.0  # single steps differ by e^-1000 and more
    chain = DiscreteChain(torch.zeros(3).double(), moves, emission)
    assert float(chain.emission.exp().max()) == 0.0
    exact = forward_backward(chain, arithmetic="log")
    for order in ("loop", "scan"):
        found = forward_backward(chain, order=order, arithmetic="scaled")
        np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-13)
        np.testing.assert_allclose(found.marginals, exact.marginals, atol=1e-11)


def test_sequences_of_every_length_share_a_batch():
    """Some end just where messages are rescaled."""
    g = torch.Generator().manual_seed(9)
    moves = torch.log_softmax(drawn(g, 3, 3), -1) - 0.5  # not normalised
    lengths = torch.arange(1, 131)
    chain = DiscreteChain(torch.zeros(3).double(), moves, drawn(g, 130, 130, 3), lengths)
    assert interval(chain) < 100
    exact = forward_backward(chain, arithmetic="log")
    for order in ("loop", "scan"):
        found = forward_backward(chain, order=order, arithmetic="scaled")
        np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-12)
        np.testing.assert_allclose(found.marginals, exact.marginals, atol=1e-12)


def test_a_first_state_that_the_start_forbids_does_not_hide_the_others():
    moves = torch.tensor([[0.6, 0.4], [0.5, 0.5]], dtype=torch.float64).log()
    emission = torch.tensor([[[-2000.0, 0.0], [0.0, 0.0]]]).double()
    chain = DiscreteChain(torch.tensor([0.0, -torch.inf]).double(), moves, emission)
    for order in ("loop", "scan"):
        found = forward_backward(chain, order=order, arithmetic="scaled")
        assert float(found.log_evidence[0]) == pytest.approx(-2000.0, abs=1e-9)
        np.testing.assert_allclose(found.marginals[0], [[1.0, 0.0], [0.6, 0.4]], atol=1e-14)


@pytest.mark.parametrize(("loss", "certified"), [(140.0, True), (165.0, False)])
def test_nearly_impossible_transitions_are_certified_up_to_a_point(loss, certified):
    moves = torch.tensor([[0.0, -loss], [-loss, 0.0]]).double()
    emission = drawn(torch.Generator().manual_seed(2), 2, 50, 2, scale=100.0)
    chain = DiscreteChain(torch.zeros(2).double(), moves, emission)
    assert (interval(chain) is not None) == certified
    exact = forward_backward(chain, arithmetic="log")
    for order in ("loop", "scan"):
        found = forward_backward(chain, order=order)
        assert ("rescaled" in found.method) == certified
        np.testing.assert_allclose(found.log_evidence, exact.log_evidence, rtol=1e-13)
        np.testing.assert_allclose(found.marginals, exact.marginals, atol=1e-11)


def test_plain_numbers_are_refused_where_they_could_lose_a_path():
    """The observations say 0 for 400 steps, then 1: only a state that seemed dead leads there."""
    stay = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double().log()
    emission = torch.tensor([[0.0, -3.0]] * 400 + [[-2000.0, 0.0]]).double()[None]
    chain = DiscreteChain(torch.full((2,), 0.5).double().log(), stay, emission)
    assert interval(chain) is None
    with pytest.raises(InputError, match="arithmetic='log'"):
        forward_backward(chain, arithmetic="scaled")
    for order in ("loop", "scan"):
        found = forward_backward(chain, order=order)
        assert "logarithms" in found.method
        wanted = np.logaddexp(-2000.0, -1200.0) + math.log(0.5)
        assert float(found.log_evidence[0]) == pytest.approx(wanted, abs=1e-10)
        np.testing.assert_allclose(found.marginals[0, :, 1], 1.0)


def test_impossible_data_have_evidence_zero():
    chain = DiscreteChain(
        torch.zeros(2).double(), torch.zeros(2, 2).double(),
        torch.tensor([[[0.0, 0.0], [-torch.inf, -torch.inf]]]).double(),
    )  # fmt: skip
    found = forward_backward(chain)
    assert float(found.log_evidence[0]) == -math.inf
    assert bool(found.marginals.isnan().all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emission": torch.zeros(5, 2)}, "sequences, steps, states"),
        ({"transition": torch.zeros(3, 3)}, r"\[2, 2\] or \[4, 2, 2\]"),
        ({"initial": torch.full((2,), torch.nan)}, "NaN"),
        ({"lengths": torch.tensor([6])}, "from 1 to 5"),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_named(change, message):
    good = {"initial": torch.zeros(2), "transition": torch.zeros(2, 2),
            "emission": torch.zeros(1, 5, 2)}  # fmt: skip
    with pytest.raises(InputError, match=message):
        DiscreteChain(**{**good, **change})


@pytest.fixture
def gaussian_chain():
    """Two sequences with everything changing from step to step, some cells missing."""
    g = torch.Generator().manual_seed(7)
    b, t, d, p = 2, 6, 3, 2

    def cov(*shape):
        root = drawn(g, *shape, shape[-1])
        return root @ root.mT + torch.eye(shape[-1], dtype=torch.float64)

    x = drawn(g, b, t, p, scale=2.0)
    x[0, 2, 1] = x[1, 3] = x[1, 5] = torch.nan
    return GaussianChain(
        drawn(g, d), cov(d), drawn(g, t - 1, d, d), drawn(g, t - 1, d), cov(t - 1, d),
        drawn(g, t, p, d), drawn(g, t, p), cov(t, p), x,
    )  # fmt: skip


def conditioned(chain, k):
    """Evidence, mean and covariance of one sequence's states by the joint Gaussian, densely."""
    t, d = chain.observations.shape[1], len(chain.mean)
    gain, mean = np.zeros((t * d, t * d)), np.zeros(t * d)
    noise = np.zeros((t * d, t * d))
    for i in range(t):
        here = slice(i * d, (i + 1) * d)
        noise[here, here] = chain.noise[i - 1] if i else chain.covariance
        mean[here] = chain.drift[i - 1] if i else chain.mean
        if i:
            gain[here, (i - 1) * d : i * d] = chain.transition[i - 1]
    inverse = np.linalg.inv(np.eye(t * d) - gain)
    mean, cov = inverse @ mean, inverse @ noise @ inverse.T
    h = torch.block_diag(*chain.loading).numpy()
    r = torch.block_diag(*chain.error).numpy()
    x = chain.observations[k].reshape(-1).numpy()
    seen = ~np.isnan(x)
    h, r = h[seen], r[np.ix_(seen, seen)]
    rest = x[seen] - h @ mean - chain.offset.reshape(-1).numpy()[seen]
    total = h @ cov @ h.T + r
    weight = np.linalg.solve(total, h @ cov).T
    evidence = -0.5 * (rest @ np.linalg.solve(total, rest) + np.linalg.slogdet(total)[1]
                       + len(rest) * np.log(2 * np.pi))  # fmt: skip
    return evidence, mean + weight @ rest, cov - weight @ h @ cov


def test_kalman_smoother_equals_dense_conditioning(gaussian_chain):
    found = kalman_smoother(gaussian_chain)
    t, d = found.mean.shape[1:]
    for k in range(2):
        evidence, mean, cov = conditioned(gaussian_chain, k)
        assert float(found.log_evidence[k]) == pytest.approx(evidence, abs=1e-11)
        np.testing.assert_allclose(found.mean[k].reshape(-1), mean, atol=1e-11)
        blocks = cov.reshape(t, d, t, d)
        for i in range(t):
            np.testing.assert_allclose(found.covariance[k, i], blocks[i, :, i], atol=1e-11)
            if i + 1 < t:
                np.testing.assert_allclose(found.cross[k, i], blocks[i, :, i + 1], atol=1e-11)


def test_kalman_smoother_takes_steps_without_noise():
    """A second-order autoregression has one noise for two coordinates."""
    one = torch.eye(2).double()
    zero = torch.zeros(2).double()
    f = torch.tensor([[0.5, 0.3], [1.0, 0.0]]).double()
    q = torch.diag(torch.tensor([1.0, 0.0]).double())
    loading, offset = torch.tensor([[1.0, 0.0]]).double(), torch.zeros(1).double()
    x = drawn(torch.Generator().manual_seed(1), 1, 5, 1)
    chain = GaussianChain(
        zero, one, f, zero, q, loading, offset, torch.zeros(1, 1).double(), x
    )  # fmt: skip
    found = kalman_smoother(chain)
    np.testing.assert_allclose(found.mean[0, :, 0], x[0, :, 0], atol=1e-10)
    np.testing.assert_allclose(found.mean[0, 1:, 1], x[0, :-1, 0], atol=1e-10)


def test_gaussian_chain_names_a_shape_that_does_not_fit(gaussian_chain):
    fields = vars(gaussian_chain) | {"noise": torch.eye(2).double()}
    with pytest.raises(InputError, match=r"noise has shape \[2, 2\]. Give \[3, 3\]"):
        GaussianChain(**fields)


def test_block_tridiagonal_equals_the_dense_inverse():
    g = torch.Generator().manual_seed(8)
    t, d = 5, 3
    below = drawn(g, t - 1, d, d)
    diagonal = 12 * torch.eye(d).double() + drawn(g, t, d, d)
    diagonal = 0.5 * (diagonal + diagonal.mT)
    dense = torch.block_diag(*diagonal)
    for i, link in enumerate(below):
        dense[(i + 1) * d : (i + 2) * d, i * d : (i + 1) * d] = link
        dense[i * d : (i + 1) * d, (i + 1) * d : (i + 2) * d] = link.T
    log_det, blocks = block_tridiagonal(diagonal, below)
    assert float(log_det) == pytest.approx(float(torch.linalg.slogdet(dense)[1]), abs=1e-12)
    inverse = torch.linalg.inv(dense).reshape(t, d, t, d)
    for i in range(t):
        np.testing.assert_allclose(blocks[i], inverse[i, :, i], atol=1e-13)


# ---------------------------------------------------------------- models

SEQUENCES = """
index s = 1:S
index t = 1:T[s]
given A = [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.05, 0.05, 0.9]]
given m = [-1, 0.5, 3]
local z[s,1] ~ Categorical([0.2, 0.3, 0.5])
local z[s,t] ~ Categorical(A[z[s,t-1]]) for t in 2:T[s]
observed x[s,t] ~ Normal(m[z[s,t]], 1.5)
"""
TWO_KINDS = """
index n = 1:N
local a[n] ~ Bernoulli(0.3)
local b[n] ~ Bernoulli(0.2 + 0.5*a[n])
observed x[n] ~ Normal(a[n] + 2*b[n], 1)
potential 0.7*b[n]*a[n+1] for n in 1:N-1
"""
RING = "\npotential 0.5*b[N]*a[1]"
STAR = "\nlocal h ~ Bernoulli(0.5)\npotential 0.4*h*a[n] for n in 1:N"


@pytest.fixture
def elbo_of_text(elbo_at):
    def make(text, x=None, **values):
        if x is None:
            x = np.random.default_rng(3).normal(1.0, 2.0, values["N"])
        return elbo_at(bind(Model(text, **values), {"x": x}))

    return make


RAGGED = {"S": 4, "T": [5, 1, 2, 4]}


@pytest.mark.parametrize("text", [SEQUENCES, TWO_KINDS])
def test_models_by_message_passing_equal_elimination(elbo_of_text, elbo_at, text):
    if text is SEQUENCES:
        elbo = elbo_at(simulate_bound(bind(Model(text, **RAGGED)), seed=3).bound)
    else:
        elbo = elbo_of_text(text, N=6)
    found, wanted = by_message_passing(elbo, None, 0), by_elimination(elbo, None, 0)
    assert found.method == "exact: message passing"
    assert found.value == pytest.approx(wanted.value, abs=1e-11)


@pytest.mark.parametrize("more", [RING, STAR])
def test_latents_that_form_no_chain_are_left_to_elimination(elbo_of_text, more):
    elbo = elbo_of_text(TWO_KINDS + more, N=4)
    assert layout_of(elbo, list(elbo.families)) is None
    assert by_message_passing(elbo, None, 0) is None
    assert by_elimination(elbo, None, 0).value is not None


def test_marginals_of_two_linked_variables_equal_enumeration(elbo_of_text):
    elbo = elbo_of_text(TWO_KINDS, N=3)
    found = discrete_marginals(elbo)
    states = torch.cartesian_prod(*[torch.arange(2)] * 6)
    values = {"a": states[:, :3], "b": states[:, 3:]}
    level = sum(f.log_density({}, values) for f in elbo.factors)
    weight = torch.softmax(level, 0)
    for name, table in values.items():
        wanted = [[float(weight[table[:, n] == k].sum()) for k in (0, 1)] for n in range(3)]
        np.testing.assert_allclose(found[name], wanted, atol=1e-13)


def test_a_chain_longer_than_elimination_takes(elbo_of_text):
    """Twenty thousand sites and more: the product of two-state transfer matrices in plain numpy."""
    text = load("hmm").text
    x = np.random.default_rng(3).integers(0, 2, 25_000)
    elbo = elbo_of_text(text, x)
    found = by_message_passing(elbo, None, 0)
    assert by_elimination(elbo, None, 0).value is None
    a, b = np.array([[0.7, 0.3], [0.3, 0.7]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    message, total = np.array([0.5, 0.5]) * b[:, x[0]], 0.0
    for symbol in x[1:]:
        message = message @ a * b[:, symbol]
        total += np.log(message.sum())
        message /= message.sum()
    wanted = total + np.log(message.sum())
    assert found.value == pytest.approx(wanted, rel=1e-12)
    marginals = discrete_marginals(elbo)["z"]
    np.testing.assert_allclose(marginals[-1], message, atol=1e-12)


def test_unknown_emissions_are_integrated_over_the_chain():
    """Recessions: two means on a grid of hmmlearn-free forward sums, by the trapezoidal rule."""
    model = load("recessions").with_values(T=25)
    bound = bind(model, data_path(model))
    x = bound.known["x"]
    found = measure(model, bound).log_evidence
    a, start = np.array([[0.75, 0.25], [0.1, 0.9]]), np.array([0.3, 0.7])
    h = 0.1
    low, high = np.meshgrid(np.arange(-2.0, 1.0, h), np.arange(-0.3, 2.5, h), indexing="ij")
    means = np.stack([low.ravel(), high.ravel()], 1)
    like = norm.pdf(x[:, None, None], means, 0.75)
    message, total = start * like[0], np.zeros(len(means))
    for step in like[1:]:
        message = message @ a * step
        total += np.log(message.sum(1))
        message /= message.sum(1, keepdims=True)
    prior = norm.logpdf(means, [-0.4, 1.1], 0.3).sum(1)
    wanted = logsumexp(total + np.log(message.sum(1)) + prior) + 2 * np.log(h)
    assert found["method"] == "quadrature over globals and locals"
    assert found["value"] == pytest.approx(wanted, abs=1e-3)


VECTORS = """
index t = 1:T
given F = [[0.9, 0.2], [-0.1, 0.8]]
given q = [0.5, 0.3]
local z[1] : R[2] ~ Normal(0, 1)
local z[t] : R[2] ~ Normal(F@z[t-1], q) for t in 2:T
observed x[t] ~ Normal(z[t][0] + 0.5*z[t][1], 0.7)
"""


def test_vector_chains_of_any_length_have_evidence_and_true_marginals(monkeypatch):
    """More coordinates than a dense precision matrix may have."""
    for module in (precision_module, gaussian_module):
        monkeypatch.setattr(module, "DENSE", 30)
    x = np.random.default_rng(0).normal(size=50)
    found = measure(Model(VECTORS), {"x": x})
    as_tensor = {"dtype": torch.float64}
    chain = GaussianChain(
        torch.zeros(2, **as_tensor), torch.eye(2, **as_tensor),
        torch.tensor([[0.9, 0.2], [-0.1, 0.8]], **as_tensor), torch.zeros(2, **as_tensor),
        torch.diag(torch.tensor([0.25, 0.09], **as_tensor)),
        torch.tensor([[1.0, 0.5]], **as_tensor), torch.zeros(1, **as_tensor),
        torch.tensor([[0.49]], **as_tensor), torch.tensor(x, **as_tensor)[None, :, None],
    )  # fmt: skip
    smoothed = kalman_smoother(chain)
    assert found.log_evidence["value"] == pytest.approx(float(smoothed.log_evidence[0]), abs=1e-8)
    truth = found.exact_posterior()
    sds = torch.diagonal(smoothed.covariance[0], dim1=-2, dim2=-1).sqrt()
    np.testing.assert_allclose(truth.sd.reshape(-1, 2), sds, atol=1e-12)
    np.testing.assert_allclose(truth.mean.reshape(-1, 2), smoothed.mean[0], atol=1e-9)
    assert np.all(found.posterior().sd < truth.sd)  # what factorized inference leaves out


def test_precision_by_products_equals_the_dense_one(
    bound_of, elbo_at, elbo_of_text, precision, monkeypatch
):
    monkeypatch.setattr(precision_module, "second_derivatives", lambda factor: None)
    for elbo in (elbo_of_text(VECTORS, np.arange(6.0)), elbo_at(bound_of("local_level", T=9))):
        found = precision_module.precision_of(elbo)
        assert not found.whole
        np.testing.assert_allclose(found.matrix.toarray(), precision(elbo)[0], atol=1e-7)


def test_true_marginals_with_a_global_equal_the_inverse_precision(bound_of, precision, elbo_at):
    bound = bound_of("linear", N=12)
    found = measure(bound.model, bound).exact_posterior()
    lam, *_ = precision(elbo_at(bound))
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(np.linalg.inv(lam))), rtol=1e-6)


def test_true_marginals_where_none_are_known_say_so(bound_of):
    bound = bound_of("poisson_exposure", most=5)
    found = measure(bound.model, bound, evidence=False)
    with pytest.raises(InputError, match="neither discrete chains nor linear-Gaussian"):
        found.exact_posterior()


def test_impossible_transitions_leave_evidence_and_marginals():
    """F-VI has no ELBO where a state is impossible; sums over states do not mind."""
    text = load("hmm").text.replace("[0.5, 0.5]", "[1, 0]")
    x = np.array([0, 1, 1, 0])
    found = measure(Model(text), {"x": x})
    a, b = np.array([[0.7, 0.3], [0.3, 0.7]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    message = np.array([1.0, 0.0]) * b[:, x[0]]
    for symbol in x[1:]:
        message = message @ a * b[:, symbol]
    assert found.fvi.elbo is None
    assert found.log_evidence["value"] == pytest.approx(np.log(message.sum()), abs=1e-12)
    last = found.exact_posterior()["z[4]"]["probabilities"]
    assert last == pytest.approx(tuple(message / message.sum()), abs=1e-12)
