"""Values from outside: what is taken, as what, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avi_theory.errors import InputError
from avi_theory.spec.model import Model
from avi_theory.spec.values import check_values

MODEL = Model(
    "index n = 1:N\nindex k = 0:2\ngiven tau > 0, s[n] > 0, A = [[1, 0], [0, 1]], g[n] in k\n"
    "global mu[k] ~ Normal(0, 1)\nglobal q ~ HalfNormal(1)\nglobal p : R[2] ~ Dirichlet([1, 1])\n"
    "local z[n] ~ Normal(mu[g[n]], tau)\nlocal c[n] ~ Categorical(p)\n"
    "observed x[n] ~ Normal(z[n] + A[0,1] + A[c[n],0], s[n]*q)"
)


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("N", 7, 7),
        ("N", "1000", 1000),
        ("N", 5.0, 5),
        ("N", np.int64(3), 3),
        ("tau", "2", 2.0),
        ("tau", 1, 1.0),
        ("q", "1e-3", 1e-3),
        ("mu", "[1, 2, 3]", [1.0, 2.0, 3.0]),
        ("s", [1, 2], [1.0, 2.0]),
        ("A", [[2, 0], [0, 2]], [[2.0, 0.0], [0.0, 2.0]]),
        ("p", (0.25, 0.75), [0.25, 0.75]),
        ("g", [0, 2, 1], [0.0, 2.0, 1.0]),
    ],
)
def test_taken(name: str, value: Any, result: Any) -> None:
    found = check_values(MODEL, {name: value})[name]
    assert type(found) is (np.ndarray if isinstance(result, list) else type(result))
    assert np.array_equal(found, result)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("taw", 1, "'taw'.*'tau'"),
        ("z", 1, "'z' is local"),
        ("n", 1, "'n' is an index"),
        ("N", 0, "size N"),
        ("N", 2.5, "size N"),
        ("N", True, "size N"),
        ("N", "many", "'N' is no number"),
        ("N", 10**13, "size N"),
        ("tau", -1, "'tau' must be > 0, but holds -1"),
        ("tau", "nan", "NaN"),
        ("tau", [1, 2], "shape.*should be a number"),
        ("tau", object(), "must be a number"),
        ("s", 2, "array of 1 dimension"),
        ("s", [1, 0], "'s' must be > 0"),
        ("A", [[1, 2]], r"lengths \(2, 2\)"),
        ("mu", [1, 2], r"lengths \(3\)"),
        ("q", -1, "'q' is positive"),
        ("p", [0.5, 0.6], "'p' is simplex"),
        ("g", [0.5], "whole numbers"),
    ],
)
def test_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_values(MODEL, {name: value})


def test_a_model_takes_values_by_keyword() -> None:
    assert MODEL.with_values(tau="3", N=4).values == {"tau": 3.0, "N": 4}
    with pytest.raises(InputError, match="taw"):
        Model("global mu ~ Normal(0, 1)\nobserved x ~ Normal(mu, 1)", taw=1)
