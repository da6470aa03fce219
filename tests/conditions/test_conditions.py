"""Every condition is needed: for each there is a model that fails only it."""

from __future__ import annotations

import pytest

from avi_theory.conditions import CONDITIONS, check
from avi_theory.spec.model import Model

FAILS_ONLY = {
    "separable locals": """
        index t = 1:T
        local z[t] ~ Normal(0, 1)
        observed x[t] ~ Normal(z[t], 1)
        observed y ~ Normal(sum(z), 1)
        """,
    "identical forms": """
        index t = 1:T
        local z[t] ~ Normal(0, 1) for t in 0:T
        observed x[t] ~ Normal(z[t], 1)
        """,
    "single plate": """
        index i = 1:I
        index j = 1:J
        local a[i] ~ Normal(0, 1)
        local b[j] ~ Normal(0, 1)
        observed x[i] ~ Normal(a[i], 1)
        observed y[j] ~ Normal(b[j], 1)
        """,
    "no cross-unit observations": """
        index n = 1:N
        given a = 0.75, x[0] = 0
        local z[n] ~ Normal(x[n-1], 1)
        observed x[n] ~ Normal(a*z[n], 1)
        """,
    "no covariates": """
        index n = 1:N
        given s[n] > 0
        local z[n] ~ Normal(0, 1)
        observed x[n] ~ Normal(z[n], s[n])
        """,
    "same globals for every unit": """
        index n = 1:N
        index k = 1:K
        given c[n] in k
        global b[k] ~ Normal(0, 1)
        local z[n] ~ Normal(b[c[n]], 1)
        observed x[n] ~ Normal(z[n], 1)
        """,
    "no position dependence": """
        index n = 1:N
        local z[n] ~ Normal(0, 1)
        observed x[n] ~ Normal(z[n]*exp(-n/10), 1)
        """,
}


@pytest.mark.parametrize("name", FAILS_ONLY)
def test_fails_only_this_condition(name: str) -> None:
    report = check(Model(FAILS_ONLY[name]), witness=False)
    assert [c.name for c in report.conditions if c.verdict != "holds"] == [name], str(report)
    assert not report.simple_hierarchical


def test_no_condition_is_forgotten() -> None:
    report = check(Model("index n = 1:N\nlocal z[n] ~ Normal(0, 1)"), witness=False)
    assert {c.name for c in report.conditions} == set(FAILS_ONLY)
    assert len(CONDITIONS) == len(FAILS_ONLY)
