"""Advice is checked advice: apply it and `check` agrees."""

from __future__ import annotations

from avi_theory.conditions import check
from avi_theory.spec.model import Model


def advice(text: str) -> str:
    return " ".join(check(Model(text), witness=False).advice)


def closes(text: str) -> str:
    return check(Model(text), witness=False).closes


def test_declare_a_scalar_global() -> None:
    text = """index n = 1:N
local a ~ Normal(0, 1)
local z[n] ~ Normal(a, 1)
observed x[n] ~ Normal(z[n], 1)"""
    assert "Declare a global" in advice(text)
    assert closes(text.replace("local a", "global a")) == "own"


def test_leave_one_side_of_crossed_effects_unamortized() -> None:
    text = """index i = 1:I
index j = 1:J
local a[i] ~ Normal(0, 1)
local b[j] ~ Normal(0, 1)
observed y[i,j] ~ Normal(a[i] + b[j], 1)"""
    assert "Leave a un-amortized" in advice(text)
    assert closes(text.replace("local a", "global a")) == "own"


def test_amortize_whole_sequences() -> None:
    text = """index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)"""
    assert "whole sequences" in advice(text)
    many = "index s = 1:S\n" + text.replace("z[", "z[s,").replace("x[", "x[s,")
    report = check(Model(many), witness=False)
    assert report.closes == "component"
    assert report.unit == ("s",)
    assert report.locals["z"].inputs == ("x[s,:]",)


def test_leave_every_second_member_unamortized() -> None:
    """With the odd members fixed the even ones no longer interact."""
    text = """index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)"""
    assert "Leave 1 of every 2" in advice(text)
    paired = """index t = 1:T
global odd[t] ~ Normal(0, 1) for t in 1:T+1
local z[t] ~ Normal(odd[t], 1)
potential -(odd[t+1] - z[t])**2/2 for t in 1:T
observed x[t] ~ Normal(z[t], 1)"""
    report = check(Model(paired), witness=False)
    assert report.closes == "inputs"
    assert report.locals["z"].inputs == ("t", "x[t]")


def test_inputs_are_named() -> None:
    text = """index n = 1:N
given s[n] > 0
local z[n] ~ Normal(0, 1)
observed y[n] ~ Normal(z[n], s[n])"""
    assert "s[n], y[n]" in advice(text)
    reasons = " ".join(check(Model(text)).locals["z"].because)
    assert "y[n] alone does not suffice, because s[n] enters" in reasons
