"""`explain` derives every verdict of the gallery in words, with the numbers that decide it."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.gallery import gallery_names, load
from avi_theory.report import page
from avi_theory.results.report import Report, Step
from avi_theory.spec.model import Model


def step(report: Report, question: str) -> Step:
    (found,) = [s for s in report.steps if s.question.startswith(question)]
    return found


@pytest.mark.parametrize("name", gallery_names())
def test_every_local_is_derived(name: str) -> None:
    report = check(load(name), witness=False)
    text = report.explain()
    for local, verdict in report.locals.items():
        assert f"{local}" in text
        assert f": {verdict.closes}." in text
        for entry in verdict.inputs:
            assert entry in text
    separates = "The ELBO separates" in text
    assert separates == any(v.closes != "no" for v in report.locals.values())


@pytest.mark.parametrize("name", gallery_names())
def test_every_step_teaches(name: str) -> None:
    """It asks, says what was tested, answers, and leads on; tables have a head for each column."""
    report = check(load(name), witness=False)
    for number, found in enumerate(report.steps):
        assert found.question.endswith("?")
        assert found.tested and found.result, found.question
        assert found.then or number == len(report.steps) - 1, found.question
        assert all(len(row) == len(found.heads) for row in found.rows), found.question


@pytest.mark.parametrize("name", gallery_names())
def test_the_table_of_pairs_agrees_with_the_verdict(name: str) -> None:
    """A difference that is 0 does not interact, another number does."""
    report = check(load(name), witness=False)
    met = 0
    for found in report.steps:
        if found.heads[:1] != ("pair",):
            continue
        for pair, _, value, says in found.rows:
            total = value.split(" = ")[-1]
            met += says.startswith("interact")
            if not value.startswith("depends"):
                assert (total == "0") == (not says.startswith("interact")), f"{pair}: {value}"
    assert bool(met) == any(v.interacts_with for v in report.locals.values())


def test_a_cancellation_is_shown_term_by_term() -> None:
    pairs = step(check(load("weighing"), witness=False), "Which locals interact")
    assert {row[2:] for row in pairs.rows} == {("(-4) + 4 = 0", "do not interact")}
    assert pairs.result == "z[n] interacts with no other local."


def test_the_ties_of_a_chain_of_states_are_log_odds_ratios() -> None:
    """log(A00 A11 / (A01 A10)) = log(0.7·0.7/(0.3·0.3))."""
    report = check(load("hmm"), witness=False)
    pairs = step(report, "Which locals interact")
    assert {row[2:] for row in pairs.rows} == {("log(49/9)", "interact")}
    assert "fixpoint equation" in step(report, "What is the optimal factor").heads


def test_a_difference_that_vanishes_between_two_values_only_is_not_shown_as_zero() -> None:
    """States 0 and 1 move alike; state 2 does not."""
    text = """index t = 1:T
given A = [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
given B = [[0.8, 0.2], [0.5, 0.5], [0.2, 0.8]]
local z[1] ~ Categorical([0.3, 0.3, 0.4])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
observed x[t] ~ Categorical(B[z[t]])"""
    pairs = step(check(Model(text), witness=False), "Which locals interact")
    assert {row[2:] for row in pairs.rows} == {("depends on their values", "interact")}


def test_a_mixed_pair_is_a_difference_of_a_derivative() -> None:
    """c selects the mean of z: the slope in z changes by (mu[1] - mu[0])/0.49."""
    report = check(load("switching"), witness=False)
    pairs = step(report, "Which locals interact with c[n]")
    assert pairs.rows[0][2] == "(-100*mu[0]/49+100*mu[1]/49)"


def test_the_page_holds_the_derivation() -> None:
    report = check(load("linear"), witness=False)
    whole = page("linear", report, (), report.steps)
    assert "Step by step" in whole
    for number, found in enumerate(report.steps, 1):
        assert f"{number}. {found.question}" in whole
    assert "Step by step" not in page("linear", report)
