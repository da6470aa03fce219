"""Statements that cover a part of an index set: each part is looked at, none is guessed."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

T = "index t = 1:T\n"
M = "given M\n"
HEAD = T + M
FREE = HEAD + "local z[t] ~ Normal(0, 1)\n"

CASES: dict[str, tuple[str, str, set[str]]] = {
    "half labelled": (
        FREE + "observed x[t] ~ Normal(z[t], 1)\nobserved y[t] ~ Normal(z[t], 2) for t in 1:M",
        "inputs",
        {"t", "x[t]", "y[t]"},
    ),
    "noise changes": (
        FREE + "observed x[t] ~ Normal(z[t], 1) for t in 1:M\n"
        "observed x[t] ~ Normal(z[t], 2) for t in M+1:T",
        "inputs",
        {"t", "x[t]"},
    ),
    "nothing changes": (
        FREE + "observed x[t] ~ Normal(z[t], 1) for t in 1:M\n"
        "observed x[t] ~ Normal(z[t], 1) for t in M+1:T",
        "own",
        {"x[t]"},
    ),
    "a chain in one half": (
        HEAD + "local z[1] ~ Normal(0, 1)\nlocal z[t] ~ Normal(z[t-1], 1) for t in 2:M\n"
        "local z[t] ~ Normal(0, 1) for t in M+1:T\nobserved x[t] ~ Normal(z[t], 1)",
        "no",
        {"x[:]"},
    ),
    "data in one half of a chain": (
        HEAD + "local z[1] ~ Normal(0, 1)\nlocal z[t] ~ Normal(z[t-1], 1) for t in 2:T\n"
        "observed x[t] ~ Normal(z[t], 1) for t in 1:M",
        "no",
        {"x[:]"},
    ),
    "all but the last twenty": (
        T + "local z[t] ~ Normal(0, 1)\nobserved x[t] ~ Normal(z[t], 1) for t in 1:T-20",
        "inputs",
        {"t", "x[t]"},
    ),
    "ten of many": (
        T + "local z[t] ~ Normal(0, 1)\nobserved x[t] ~ Normal(z[t], 1) for t in 2:10",
        "own",
        set(),
    ),
    "a short index in two parts": (
        "index t = 1:10\nlocal z[t] ~ Normal(0, 1)\n"
        "observed x[t] ~ Normal(z[t], 1) for t in 1:6\n"
        "observed x[t] ~ Normal(z[t], 2) for t in 7:10",
        "inputs",
        {"t", "x[t]"},
    ),
    "ten data of a long chain": (
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nlocal z[t] ~ Normal(z[t-1], 1) for t in 2:T\n"
        "observed x[t] ~ Normal(z[t], 1) for t in 1:10",
        "inputs",
        {"t", "x[:]"},
    ),
    "all pairs once": (
        "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n"
        "observed x[n,m] ~ Normal(z[n] + z[m], 1) for n in 1:N, m in 1:n",
        "no",
        {"x[:,:]"},
    ),
    "the next group's data": (
        "index n = 1:N\nindex i = 1:I\ngiven g[i] in n\nlocal z[n] ~ Normal(0, 1)\n"
        "observed x[i] ~ Normal(z[g[i]+1], 1)",
        "inputs",
        {"x[i: g[i]=n-1]"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_partial_ranges_are_decided(name: str) -> None:
    text, closes, inputs = CASES[name]
    report = check(Model(text), witness=False)
    assert report.closes == closes
    assert set(report.locals["z"].inputs) == inputs
    assert report.simple_hierarchical == (name == "nothing changes")


@pytest.mark.parametrize(
    "text",
    [
        # whether the parts overlap is open
        "given K\nobserved x[t] ~ Normal(z[t], 1) for t in 1:M\n"
        "observed y[t] ~ Normal(z[t], 2) for t in K:T",
        # a component that crosses the cut
        "observed x[t] ~ Normal(z[t] + z[t+M], 1) for t in 1:T-M",
        # every second member
        "index m = 1:M\nobserved x[m] ~ Normal(z[2*m], 1)",
    ],
)
def test_what_is_not_decided_is_said(text: str) -> None:
    head = FREE.replace("given M\n", "") if "index m" in text else FREE
    report = check(Model(head + text), witness=False)
    assert report.closes == "unknown"
    assert report.advice


def test_the_parts_are_seen_from_the_formula() -> None:
    """One formula would be wrong at the other part: none is printed."""
    report = check(Model(CASES["noise changes"][0]), witness=False)
    assert report.locals["z"].optimal_factor is None


def test_the_parts_are_told() -> None:
    report = check(Model(CASES["noise changes"][0]), witness=False)
    forms = next(c for c in report.conditions if c.name == "identical forms")
    assert forms.verdict == "fails" and "1:M" in forms.because and "M+1:T" in forms.because
    assert any("M+1:T" in line for line in report.locals["z"].because)
