"""hmmlearn's models in the notation: the same evidence, the same posteriors, and back."""

import sys

import numpy as np
import pytest
import torch
from hmmlearn import hmm

from avi_theory import (
    DataError,
    InputError,
    Model,
    from_hmmlearn,
    hmmlearn_data,
    load,
    to_hmmlearn,
)
from avi_theory.numeric import measure
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.evidence.chain import by_message_passing, discrete_marginals
from avi_theory.numeric.lowering import Where
from avi_theory.spec.bound import bind

STATES = 3
WHERE = Where(torch.device("cpu"), torch.float64)
KINDS = {
    "categorical": (hmm.CategoricalHMM, {}),
    "poisson": (hmm.PoissonHMM, {}),
    **{c: (hmm.GaussianHMM, {"covariance_type": c}) for c in ("spherical", "diag", "full", "tied")},
}
EARTHQUAKES = """
    13 14  8 10 16 26 32 27 18 32 36 24 22 23 22 18 25 21 21 14  8 11 14 23 18 17 19 20 22 19 13
    26 13 14 22 24 21 22 26 21 23 24 27 41 31 27 35 26 28 36 39 21 17 22 17 19 15 34 10 15 22 18
    15 20 15 22 19 16 30 27 29 23 20 16 21 21 25 16 18 15 18 14 10 15  8 15  6 11  8  7 18 16 13
    12 13 20 15 16 12 18 15 16 13 15 16 11 11
"""
"""Large earthquakes a year, 1900 to 2006 (US Geological Survey): hmmlearn's Poisson example."""


def random_model(kind, features, seed):
    """A model of hmmlearn with random parameters."""
    g = np.random.default_rng(seed)
    make, options = KINDS[kind]
    model = make(STATES, **options)
    model.startprob_ = g.dirichlet(np.ones(STATES))
    model.transmat_ = g.dirichlet(np.ones(STATES), STATES)
    model.n_features = features
    if kind == "categorical":
        model.n_features = 4
        model.emissionprob_ = g.dirichlet(np.ones(4), STATES)
    elif kind == "poisson":
        model.lambdas_ = g.gamma(2.0, 2.0, (STATES, features))
    else:
        model.means_ = g.normal(size=(STATES, features))
        roots = g.normal(size=(STATES, features, features))
        covs = roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(features)
        diagonal = np.einsum("kii->ki", covs)
        model.covars_ = {"spherical": diagonal[:, 0], "diag": diagonal,
                         "full": covs, "tied": covs[0]}[kind]  # fmt: skip
    return model


def agree(theirs, observations, lengths=None):
    """Our evidence and true marginals of the converted model are hmmlearn's."""
    model = from_hmmlearn(theirs, lengths)
    elbo = elbo_of(bind(model, hmmlearn_data(observations, lengths)), WHERE)
    evidence, posteriors = theirs.score_samples(observations, lengths)
    found = by_message_passing(elbo, None, 0).value
    assert found == pytest.approx(evidence, rel=0, abs=1e-10)
    np.testing.assert_allclose(discrete_marginals(elbo)["z"], posteriors, atol=1e-10, rtol=0)
    return model


@pytest.mark.parametrize("implementation", ["log", "scaling"])
@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_evidence_and_posteriors_are_hmmlearns(kind, features, implementation):
    seed = 100 + features
    theirs = random_model(kind, features, seed)
    theirs.implementation = implementation
    observations, _ = theirs.sample(30, random_state=seed)
    lengths = None if implementation == "log" else [12, 1, 17]
    model = agree(theirs, observations, lengths)
    back = to_hmmlearn(model)
    assert type(back) is type(theirs)
    there = theirs.score_samples(observations, lengths)
    here = back.score_samples(observations, lengths)
    assert here[0] == pytest.approx(there[0], abs=1e-10)
    np.testing.assert_allclose(here[1], there[1], atol=1e-10)
    np.testing.assert_allclose(back.transmat_, theirs.transmat_, rtol=1e-15)
    if "Gaussian" in type(back).__name__:
        np.testing.assert_allclose(back.covars_, theirs.covars_, atol=1e-13)


def test_the_earthquakes_of_hmmlearns_example():
    counts = np.array(EARTHQUAKES.split(), int)[:, None]
    assert len(counts) == 107
    theirs = hmm.PoissonHMM(2, random_state=0, n_iter=20).fit(counts)
    agree(theirs, counts)


def test_the_casino_of_hmmlearns_example():
    """A fair and a loaded die; the fair one is certain at first."""
    theirs = hmm.CategoricalHMM(2, random_state=99)
    theirs.startprob_ = np.array([1.0, 0.0])
    theirs.transmat_ = np.array([[0.95, 0.05], [0.1, 0.9]])
    theirs.emissionprob_ = np.array([[1 / 6] * 6, [1 / 10] * 5 + [1 / 2]])
    theirs.n_features = 6
    rolls, _ = theirs.sample(300)
    agree(theirs, rolls)


def test_measure_knows_hmmlearns_evidence_and_posteriors():
    theirs = random_model("poisson", 2, 1)
    observations, _ = theirs.sample(8, random_state=1)
    found = measure(from_hmmlearn(theirs), hmmlearn_data(observations))
    evidence, posteriors = theirs.score_samples(observations)
    assert found.log_evidence["value"] == pytest.approx(evidence, abs=1e-10)
    truth = found.exact_posterior()
    ours = np.array([truth.probabilities[name] for name in truth.names])
    np.testing.assert_allclose(ours, posteriors, atol=1e-10, rtol=0)


def test_numbers_are_written_so_that_they_read_back_the_same():
    theirs = random_model("poisson", 1, 5)
    found = from_hmmlearn(theirs)
    read = np.array([[float(x) for x in row] for row in found.givens["A"].value])
    assert np.array_equal(read, theirs.transmat_)


def test_gallery_models_convert():
    assert type(to_hmmlearn(load("hmm"))).__name__ == "CategoricalHMM"
    found = to_hmmlearn(load("recessions").with_values(mu=[-0.5, 1.25]))
    np.testing.assert_array_equal(found.means_, [[-0.5], [1.25]])
    np.testing.assert_array_equal(found.covars_, [[[0.5625]], [[0.5625]]])


CHAIN = """
index t = 1:T
given A = [[0.7, 0.3], [0.2, 0.8]]
local z[1] ~ Categorical([0.4, 0.6])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
"""


@pytest.mark.parametrize(
    ("observed", "attribute", "wanted"),
    [
        ("observed x[t] ~ Bernoulli(0.1 + 0.5*z[t])", "emissionprob_", [[0.9, 0.1], [0.4, 0.6]]),
        ("observed x[t] ~ Bernoulli(logit=2*z[t])", "emissionprob_",
         [[0.5, 0.5], [0.11920292, 0.88079708]]),
        ("observed x[t] ~ Poisson(log_rate=z[t])", "lambdas_", [[1.0], [np.e]]),
        ("observed x[t] : R[2] ~ Normal(3*z[t], 2)", "means_", [[0, 0], [3, 3]]),
        ("given C = [[2, 1], [1, 3]]\nobserved x[t] : R[2] ~ MultivariateNormal(z[t], C)",
         "covars_", [[[2, 1], [1, 3]]] * 2),
    ],
)  # fmt: skip
def test_other_ways_to_write_a_model_convert_too(observed, attribute, wanted):
    np.testing.assert_allclose(getattr(to_hmmlearn(Model(CHAIN + observed)), attribute), wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CHAIN + "observed x[t] ~ Normal(t*z[t], 1)", "depends on t"),
        (CHAIN + "given s[t]\nobserved x[t] ~ Normal(s[t]*z[t], 1)", "s has no value"),
        (CHAIN + "global m ~ Normal(0, 1)\nobserved x[t] ~ Normal(m*z[t], 1)", "m has no value"),
        (CHAIN + "observed x[t] ~ Gamma(1 + z[t], 1)", "Gamma"),
        (CHAIN + "observed x[t] ~ Normal(z[t], 1)\nobserved y[t] ~ Normal(z[t]*x[t]**2, 1)",
         "not linear"),
        (CHAIN + "observed x[t] ~ Normal(z[t], 1)\nobserved y[t] ~ Normal(0, exp(x[t]))",
         "depends on x"),
        (CHAIN + "observed x[t] ~ Normal(z[t], 1) for t in 2:T", "at every step"),
        (CHAIN + "observed x[t] ~ Normal(z[t], 1) missing", "at every step"),
        (CHAIN + "observed x[1] ~ Normal(z[1], 1)\nobserved x[t] ~ Normal(z[t-1], 1) for t in 2:T",
         "at every step"),
        ("index t = 1:T\nlocal z[t] ~ Bernoulli(0.5)\nobserved x[t] ~ Normal(z[t], 1)",
         "first step"),
        ("index t = 1:T\nlocal z[t] ~ Normal(0, 1)\nobserved x[t] ~ Normal(z[t], 1)",
         "one discrete local"),
    ],
)  # fmt: skip
def test_what_is_no_model_of_hmmlearns_is_refused_by_name(text, message):
    with pytest.raises(InputError, match=message):
        to_hmmlearn(Model(text))


def test_what_cannot_be_written_is_refused_by_name():
    with pytest.raises(InputError, match="GMMHMM cannot be written"):
        from_hmmlearn(hmm.GMMHMM(2))
    with pytest.raises(InputError, match="no startprob_"):
        from_hmmlearn(hmm.PoissonHMM(2))
    with pytest.raises(DataError, match="add up to 4, but there are 3"):
        hmmlearn_data([[1], [2], [3]], [2, 2])


def test_without_hmmlearn_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "hmmlearn", None)
    with pytest.raises(InputError, match="pip install hmmlearn"):
        to_hmmlearn(load("hmm"))
