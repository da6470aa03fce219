"""The rungs add up, and say what they do not know."""

from __future__ import annotations

import math

import pytest

from avi_theory.comparison import Evidence, Known, Run, generalization, ladder
from avi_theory.results.comparison import RUNGS

F, A = Run(-100.0, 0.0, True), Run(-103.5, 0.0, True)
NO = Known(None, "none", "no closed form")
LOG_P = Evidence(-98.0, "exact")


def gaps(conditioning, of_class, evidence=LOG_P, fvi=F, avi=A, error=0.0):
    return ladder(
        fvi,
        avi,
        evidence=evidence,
        conditioning=conditioning,
        of_class=of_class,
        class_name="affine",
        standard_error=error,
    )


EXACT0, EXACT1 = Known(0.0, "exact", "no ties"), Known(1.0, "exact", "ties")
CLASS3, LOWER1 = Known(3.0, "exact", "least squares"), Known(1.0, "lower", "bound")


@pytest.mark.parametrize("conditioning", [EXACT0, EXACT1, LOWER1, NO])
@pytest.mark.parametrize("of_class", [CLASS3, LOWER1, NO])
def test_rungs_add_up_to_log_evidence_minus_elbo(conditioning, of_class):
    found = gaps(conditioning, of_class)
    assert set(found) == set(RUNGS)
    total = math.fsum(r.value for r in found.values() if r.value is not None)
    assert total == pytest.approx(LOG_P.value - A.elbo, abs=1e-12)


def test_everything_known():
    found = gaps(EXACT1, CLASS3)
    assert [found[k].value for k in RUNGS] == pytest.approx([2.0, 1.0, 2.0, 0.5])
    assert {found[k].kind for k in RUNGS} == {"exact"}


def test_capacity_and_training_share_a_rung_where_theory_is_silent():
    found = gaps(EXACT1, Known(1.0, "lower", "network"))
    assert found["capacity"].value is None and found["capacity"].kind == "none"
    assert found["training"].value == pytest.approx(2.5)
    assert "capacity" in found["training"].how


def test_a_bound_on_one_rung_bounds_the_next():
    found = gaps(LOWER1, CLASS3)
    assert (found["conditioning"].kind, found["capacity"].kind) == ("lower", "upper")


def test_unknown_conditioning_moves_down():
    found = gaps(NO, CLASS3)
    assert found["conditioning"].value is None
    assert "no closed form" in found["conditioning"].how
    assert found["capacity"].value == pytest.approx(3.0)
    assert found["capacity"].kind == "upper"


def test_unknown_evidence_leaves_the_top_open():
    found = gaps(EXACT0, CLASS3, evidence=Evidence(None, "diverges: flat global"))
    assert found["approximation"].value is None
    assert "diverges" in found["approximation"].how


def test_an_uncertified_optimum_gives_bounds():
    found = gaps(EXACT0, CLASS3, fvi=Run(-100.0))
    assert found["approximation"].kind == "upper"
    assert found["training"].kind == "lower"


def test_sampled_evidence_is_a_lower_bound_with_its_error():
    found = gaps(EXACT0, CLASS3, evidence=Evidence(-98.0, "AIS", 0.02))
    assert found["approximation"].kind == "lower"
    assert found["approximation"].standard_error == 0.02


def test_monte_carlo_error_stays_with_the_measured_rung():
    found = gaps(EXACT0, CLASS3, error=0.03)
    assert [found[k].standard_error for k in RUNGS] == [0.0, 0.0, 0.0, 0.03]


def test_no_elbo_no_rungs():
    found = gaps(EXACT0, CLASS3, avi=Run(math.nan))
    assert found["training"].value is None and found["capacity"].value is None


def test_generalization_is_per_latent():
    rung = generalization(2.0, 3.0, (100, 50))
    assert rung.value == pytest.approx(0.04)
