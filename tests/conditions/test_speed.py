"""`check` answers at once, whatever the size: it never unrolls an index."""

from __future__ import annotations

import time

import pytest

from avi_theory import check, gallery_names, load
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import analyse

GENEROUS = 8
"""Continuous integration is slow and shared; the aims are 50 ms and 0.3 s."""
VERDICT, REPORT = 0.05, 0.3


@pytest.fixture(scope="module", autouse=True)
def imported():
    """The first analysis pays for imports and for sympy's caches."""
    check(load("saw"), witness=False)


def seconds(work):
    """Processor time, so that other load does not count."""
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def sized(model: Model, size: int) -> Model:
    return model.with_values(**dict.fromkeys(model.sizes, size))


@pytest.mark.parametrize("name", gallery_names())
def test_the_verdict_comes_at_once(name):
    model = load(name)
    assert seconds(lambda: analyse(model))[0] < GENEROUS * VERDICT
    assert seconds(lambda: check(model, witness=False))[0] < GENEROUS * REPORT


@pytest.mark.parametrize("name", gallery_names())
def test_ten_and_a_billion_are_alike(name):
    model = load(name)
    check(sized(model, 100), witness=False)
    small, few = seconds(lambda: check(sized(model, 10), witness=False))
    large, many = seconds(lambda: check(sized(model, 10**9), witness=False))
    assert few.to_dict() == many.to_dict()
    assert large < 3 * small + GENEROUS * VERDICT
