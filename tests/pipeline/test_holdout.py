"""What is held out: whole units at random, or the end of a series, with the same globals."""

import numpy as np
import pytest

from avi_theory import DataError, InputError, Model, check, load
from avi_theory.pipeline.data import fitted_and_held
from avi_theory.spec.units import steps

KINDS = """
index n = 1:N
index k = 0:K-1
given kind[n] in k
global mu[k] ~ Normal(0, 5)
local z[n] ~ Normal(mu[kind[n]], 1)
observed x[n] ~ Normal(z[n], 1)
"""


def parts(model, data=None, fraction=0.25, seed=0):
    return fitted_and_held(model, data, check(model, witness=False), fraction, seed)


def test_units_are_held_out_whole_and_none_twice():
    model = load("rats")
    fitted, held = parts(model)
    assert (fitted.units("n"), held.units("n")) == (22, 8)
    assert len(fitted.known["y"]) == 22 * 5 and len(held.known["y"]) == 8 * 5
    everything = np.sort(np.concatenate([fitted.known["y"], held.known["y"]]))
    whole, _ = fitted_and_held(model, None, check(model, witness=False), None, 0)
    np.testing.assert_array_equal(everything, np.sort(whole.known["y"]))
    assert parts(model, seed=1)[1].known["y"].tolist() != held.known["y"].tolist()


def test_a_part_without_a_label_keeps_the_meaning_of_the_others():
    """Labels 0 and 2 stay 0 and 2 where no unit of label 1 is left, and µ stays three numbers."""
    kind = np.array([0.0] * 9 + [2.0] * 9 + [1.0])
    model = Model(KINDS)
    for seed in range(3):
        fitted, held = parts(model, {"kind": kind, "x": 10 * kind}, seed=seed)
        for part in (fitted, held):
            assert part.tables["mu"].size == 3
            np.testing.assert_array_equal(part.known["x"], 10 * part.known["kind"])


def test_an_explicit_size_is_the_number_of_units_that_are_split():
    fitted, held = parts(load("linear").with_values(N=400))
    assert (fitted.sizes["N"], held.sizes["N"]) == (300, 100)
    assert "first 400 of 10000 N" in fitted.source


@pytest.mark.parametrize("name", ["saw", "local_level"])
def test_the_end_of_a_series_is_held_out(name):
    """Of models that read neighbouring observations, too: their neighbours stay neighbours."""
    model = load(name)
    whole, _ = fitted_and_held(model, None, check(model, witness=False), None, 0)
    fitted, held = parts(model, fraction=0.2)
    x = next(v.name for v in model.observed)
    start, end = fitted.known[x], held.known[x]
    np.testing.assert_array_equal(start, whole.known[x][: len(start)])
    np.testing.assert_array_equal(end[-10:], whole.known[x][-10:])


def test_what_counts_as_a_series():
    assert steps(load("saw"), "n") and steps(load("local_level"), "t")
    assert not any(steps(load(n), "n") for n in ("rats", "eight_schools", "varieties"))


@pytest.mark.parametrize(("fraction", "error"), [(0.0, InputError), (1.5, InputError)])
def test_fractions_that_leave_nothing(fraction, error):
    for name in ("rats", "local_level"):
        with pytest.raises((error, DataError)):
            parts(load(name), fraction=fraction)
