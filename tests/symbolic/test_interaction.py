"""Interactions one by one: analytic, kinked, discrete, supported, opaque, with evidence."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.spec import terms
from avi_theory.spec.model import Model
from avi_theory.symbolic.interaction import Decider
from avi_theory.symbolic.places import generic_site
from avi_theory.symbolic.structure import Structure


def tied(text: str, u: str = "z", v: str = "w") -> tuple[bool, str]:
    structure = Structure(Model("index n = 1:N\n" + text))
    tester = Decider(structure)
    first, place = generic_site(structure, u)
    second = terms.ref(v, terms.index_symbol("n"))
    found = tester.pair(place, first, second)
    return found.present, found.evidence


PRIORS = "local z[n] ~ Normal(0, 1)\nlocal w[n] ~ Normal(0, 1)\n"
YES = {
    "sum": PRIORS + "observed x[n] ~ Normal(z[n] + w[n], 1)",
    "scale": PRIORS + "observed x[n] ~ Normal(z[n], exp(w[n]))",
    "far kink": PRIORS + "potential -abs(z[n] + w[n] - 3000) for n in 1:N",
    "narrow": PRIORS + "potential exp(-10**7*(z[n] - w[n])**2) for n in 1:N",
    "laplace": PRIORS + "observed x[n] ~ Laplace(z[n] + w[n], 1)",
    "max": PRIORS + "potential max(z[n], w[n]) for n in 1:N",
    "support": "local z[n] ~ Gamma(2, 1)\nlocal w[n] ~ Uniform(0, z[n])",
    "logit": PRIORS + "observed x[n] ~ Bernoulli(logit=z[n] + w[n])",
    "network": "network f : R[2] -> R[1]\n" + PRIORS + "observed x[n] ~ Normal(f(z[n], w[n]), 1)",
    "tiny": PRIORS + "potential z[n]*w[n]/10**12 for n in 1:N",
    "huge": PRIORS + "potential (10**9*z[n] + w[n])**2 - 10**18*z[n]**2 for n in 1:N",
}
NO = {
    "apart": PRIORS + "observed x[n] ~ Normal(z[n], 1)\nobserved y[n] ~ Normal(w[n], 1)",
    "orthogonal": PRIORS + "observed x[n] ~ Normal(z[n] + w[n], 2)\n"
    "observed y[n] ~ Normal(z[n] - w[n], 2)",
    "sum of kinks": PRIORS + "potential -abs(z[n]) - abs(w[n]) for n in 1:N",
    "additive network": "network f : R[1] -> R[1]\n" + PRIORS
    + "potential f(z[n]) + f(w[n]) for n in 1:N",
    "polynomial": PRIORS + "potential (z[n] + w[n])**2 - z[n]**2 - 2*z[n]*w[n] for n in 1:N",
    "product of rates": "local z[n] ~ Gamma(2, 1)\nlocal w[n] ~ Gamma(2, 1)\n"
    "potential log(z[n]*w[n]) for n in 1:N",
    "max of a sum": PRIORS + "potential max(z[n], 0) + min(w[n], 0) for n in 1:N",
    "two names of one function": PRIORS
    + "potential sigmoid(z[n]*w[n]) - tanh(z[n]*w[n]/2)/2 for n in 1:N",
}  # fmt: skip


@pytest.mark.parametrize("name", YES)
def test_interacts(name: str) -> None:
    assert tied(YES[name])[0]


@pytest.mark.parametrize("name", NO)
def test_does_not_interact(name: str) -> None:
    assert not tied(NO[name])[0]


def test_evidence_is_symbolic_where_algebra_succeeds() -> None:
    assert tied(NO["orthogonal"]) == (False, "symbolic")
    assert tied(NO["polynomial"]) == (False, "symbolic")
    assert tied(NO["additive network"]) == (False, "symbolic")
    assert tied(NO["two names of one function"]) == (False, "randomised")


def test_discrete_tables_with_more_categories_than_are_looked_at_once() -> None:
    rows = [[f"1/{9}"] * 9 for _ in range(9)]
    rows[8] = ["1/18"] * 2 + ["1/9"] * 6 + ["2/9"]
    table = "[" + ", ".join("[" + ", ".join(r) + "]" for r in rows) + "]"
    flat = "[" + ", ".join(["1/9"] * 9) + "]"
    text = (
        f"index t = 1:T\ngiven A = {table}\nlocal z[1] ~ Categorical({flat})\n"
        "local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T\nobserved x[t] ~ Normal(z[t], 1)"
    )
    assert check(Model(text), witness=False).closes == "no"


def test_unknown_names_the_expression() -> None:
    text = (
        "index t = 1:T\ngiven M\ngiven K\nlocal z[t] ~ Normal(0, 1)\n"
        "observed x[t] ~ Normal(z[t], 1) for t in 1:M\n"
        "observed y[t] ~ Normal(2*z[t], 1) for t in K:T"
    )
    report = check(Model(text))
    assert report.closes == "unknown"
    assert not report.simple_hierarchical
    assert any("K:T" in a for a in report.advice)
