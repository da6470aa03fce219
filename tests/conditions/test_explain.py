"""`explain` derives every verdict of the gallery in words, with the numbers that decide it."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.gallery import gallery_names, load
from avi_theory.report import page


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


def test_a_cancellation_is_shown_term_by_term() -> None:
    text = check(load("weighing"), witness=False).explain()
    assert "the mixed differences add up to (-4) + 4 = 0. They do not interact" in text


def test_a_tie_of_discrete_latents_is_not_called_a_derivative() -> None:
    text = check(load("hmm"), witness=False).explain()
    assert "the mixed difference depends on their values. They interact" in text
    assert "fixpoint equation" in text


def test_the_page_holds_the_derivation() -> None:
    report = check(load("linear"), witness=False)
    assert "Step by step" in page("linear", report, (), report.steps)
    assert "Step by step" not in page("linear", report)
