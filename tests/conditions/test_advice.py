"""Advice is checked advice: apply it and `check` agrees."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory import predict
from avi_theory.conditions import check
from avi_theory.conditions.advice import suggestions
from avi_theory.conditions.advice.lines import Unfit, lines_of, text_of
from avi_theory.conditions.advice.partial import declared_global
from avi_theory.conditions.advice.residues import split
from avi_theory.conditions.advice.suggest import candidates
from avi_theory.conditions.advice.suggestion import BOUNDED
from avi_theory.gallery import gallery_names, load
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis, analyse

CHAIN = """index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)"""

CROSSED = """index i = 1:I
index j = 1:J
local a[i] ~ Normal(0, 1)
local b[j] ~ Normal(0, 1)
observed y[i,j] ~ Normal(a[i] + b[j], 1)"""

TOTAL = """index n = 1:N
local z[n] ~ Normal(1, 2)
observed x[n] ~ Normal(z[n], 1)
observed total ~ Normal(sum(z), 0.5)"""


def advice(text: str) -> str:
    return "\n".join(check(Model(text), witness=False).advice)


def applied(text: str, words: str) -> Analysis:
    """The verdict on the model after the one piece of advice that has some words."""
    (found,) = [s for s in suggestions(analyse(Model(text))) if words in s.sentence]
    return analyse(found.model())


def confirm(analysis: Analysis) -> int:
    """Check every piece of advice by a full analysis, also the proved ones; how many there are."""
    found = [s for s in suggestions(analysis) if s.applied]
    for piece in found:
        after = analyse(piece.model())
        assert piece.agrees(after), f"{piece.sentence}\n{piece.applied}\n{after.closes}"
    return len(found)


@pytest.mark.parametrize("name", gallery_names())
def test_check_confirms_all_advice_of_the_gallery(name: str) -> None:
    """What is left out is what check does not confirm: sequences of whole joint priors."""
    analysis = analyse(load(name))
    count = confirm(analysis)
    wanted = [s.sentence for s in candidates(analysis) if s.applied]
    joint = any(d.over for d in analysis.model.densities)
    assert len(wanted) - joint <= count <= len(wanted)
    assert bool(count) == (analysis.closes == "no")
    assert bool(suggestions(analysis)) == (analysis.closes != "own")


@pytest.mark.parametrize("name", gallery_names())
def test_statements_written_down_again_are_the_same_model(name: str) -> None:
    model = load(name)
    again = Model(text_of(lines_of(model.text)))
    found, wanted = ([(f.expression, f.ranges) for f in m.factors()] for m in (again, model))
    assert found == wanted


def random_text(rng: np.random.Generator) -> str:
    """A model on one index whose locals are tied at random offsets, with or without ends."""
    families = ["z", "u"][: int(rng.integers(1, 3))]
    lines = ["index t = 1:T", "global mu ~ Normal(0, 1)"]
    discrete = bool(rng.integers(3) == 0)
    for name in families:
        prior = "Bernoulli(0.3)" if discrete else "Normal(mu, 1)"
        lines.append(f"local {name}[t] ~ {prior}")
        seen = ["Normal({}[t], 1)", "Normal(mu + 2*{}[t], 0.5)", "Poisson(exp({}[t]))"]
        lines.append(f"observed x{name}[t] ~ " + seen[int(rng.integers(3))].format(name))
        for offset in rng.choice(4, size=int(rng.integers(1, 3)), replace=False) + 1:
            lines.append(f"potential -0.1*{name}[t]*{name}[t+{offset}] for t in 1:T-{offset}")
    if discrete:
        lines[1:2] = []
        lines = [x.replace("mu + ", "") for x in lines]
    if len(families) == 2:
        offset = int(rng.integers(0, 3))
        lines.append(f"potential -0.2*z[t]*u[t+{offset}] for t in 1:T-{offset}")
    return "\n".join(lines)


def confirm_random(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        text = random_text(rng)
        analysis = analyse(Model(text))
        assert analysis.closes == "no", f"model {number} of seed {seed}:\n{text}"
        wanted = [s for s in candidates(analysis) if s.applied]
        sentences = [s.sentence for s in wanted]
        assert any("un-amortized" in s for s in sentences), text
        assert any("whole sequences" in s for s in sentences), text
        assert confirm(analysis) == len(wanted), f"model {number} of seed {seed}:\n{text}"


def test_check_confirms_all_advice_on_random_models() -> None:
    confirm_random(5, seed=1)


@pytest.mark.long
def test_check_confirms_all_advice_on_many_random_models() -> None:
    confirm_random(200, seed=2)


@pytest.mark.parametrize(
    "name", ["co2", "factorial_hmm", "inflation", "random_walk", "coal_mining"]
)
@pytest.mark.parametrize("period", [2, 3])
def test_an_index_in_residue_classes_is_the_same_model(name: str, period: int) -> None:
    """No latent is left out, so the ties still reach every index point."""
    model = load(name)
    text, names = split(model, model.locals[0].letters[0], period)
    analysis = analyse(Model(text))
    assert set(analysis.locals) == {n for v in model.locals for n in names[v.name]}
    assert {v.closes for v in analysis.locals.values()} == {"no"}


def test_an_index_that_is_summed_over_is_not_split() -> None:
    with pytest.raises(Unfit):
        split(Model(TOTAL), "n", 2)


def test_declare_a_scalar_global() -> None:
    text = """index n = 1:N
local a ~ Normal(0, 1)
local z[n] ~ Normal(a, 1)
observed x[n] ~ Normal(z[n], 1)"""
    assert applied(text, "Declare a global").closes == "own"


def test_declare_a_few_hubs_global() -> None:
    """Three hubs do not grow with the data, their many members do."""
    text = """index n = 1:N
index k = 1:3
given kind[n] in k
local b[k] ~ Normal(0, 1)
local z[n] ~ Normal(b[kind[n]], 1)
observed x[n] ~ Normal(z[n], 1)
observed y[n,k] ~ Normal(z[n] + b[k], 1)"""
    after = applied(text, "Declare b global")
    assert after.closes == "inputs"
    assert after.locals["z"].inputs == ("kind[n]", "x[n]", "y[n,:]")


def test_a_hub_and_a_chain_take_both_steps() -> None:
    text = CHAIN.replace("local z[1]", "local m ~ Normal(0, 1)\nlocal z[1]")
    text = text.replace("Normal(z[t], 1)", "Normal(z[t] + m, 1)")
    after = applied(text, "Declare m global")
    assert "leave 1 of every 2 members of z un-amortized" in advice(text)
    assert after.closes in {"own", "inputs"}


def test_leave_one_side_of_crossed_effects_unamortized() -> None:
    assert set(applied(CROSSED, "Leave a un-amortized").locals) == {"b"}
    assert set(applied(CROSSED, "Leave b un-amortized").locals) == {"a"}


def test_the_smaller_plate_is_left_unamortized() -> None:
    """c[i,j] has more members than a and b together."""
    text = CROSSED.replace("observed y[i,j]", "local c[i,j]")
    text += "\nobserved y[i,j] ~ Normal(c[i,j], 1)"
    after = applied(text, "Leave a and b un-amortized")
    assert set(after.locals) == {"c"}


def test_families_tied_only_to_each_other_leave_one_of_them() -> None:
    """x[n] informs z[n] + u[n+1]: a family by itself has no tie."""
    text = """index n = 1:N
local z[n] ~ Normal(0, 1)
local u[n] ~ Normal(0, 1)
observed x[n] ~ Normal(z[n] + u[n], 1)
observed y[n] ~ Normal(z[n] + u[n+1], 2) for n in 1:N-1"""
    assert "(all of u" in advice(text) or "(all of z" in advice(text)
    assert len(applied(text, "Leave 1 of every 2").locals) == 1


def test_amortize_whole_sequences() -> None:
    after = applied(CHAIN, "whole sequences")
    assert (after.closes, after.unit) == ("component", ("s",))
    assert after.locals["z"].inputs == ("x[s,:]",)


def test_leave_every_second_member_unamortized() -> None:
    """With the odd members fixed the even ones no longer interact."""
    assert "Leave 1 of every 2 members of z un-amortized" in advice(CHAIN)
    after = applied(CHAIN, "Leave 1 of every 2")
    assert after.closes == "inputs"
    assert after.locals["z_1"].inputs == ("k", "x_1[k]")


def test_longer_blocks_between_fewer_members() -> None:
    after = applied(CHAIN, "Or leave only one member")
    assert after.closes != "no"
    assert after.locals["z_2"].interacts_with == ("z_1[k]",)


@pytest.mark.parametrize("length", [2, 4, 5])
def test_blocks_of_any_length_close(length: int) -> None:
    """The advice says so of all lengths; it is checked at runtime for blocks of two."""
    text, names = split(Model(CHAIN), "t", length)
    after = analyse(Model(declared_global(text, names["z"][-1:])))
    assert len(after.locals) == length - 1
    assert after.closes in BOUNDED


@pytest.mark.parametrize(
    "text", ["increments", CROSSED, TOTAL], ids=["increments", "crossed", "total"]
)
def test_a_change_of_coordinates_closes(text: str) -> None:
    if text == "increments":
        text = CHAIN.replace("Normal(z[t], 1)", "Poisson(exp(z[t] - z[t-1])) for t in 2:T")
    assert applied(text, "Change coordinates").closes == "own"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHAIN.replace("Normal(z[t], 1)", "Poisson(exp(z[t]))"), "the noise is not Gaussian"),
        (CHAIN.replace("Normal(z[t], 1)", "Normal(z[t], 1) missing"), "cells may be empty"),
        (CHAIN.replace("Normal(z[t], 1)", "Normal(z[t], t)"), "the noise has several scales"),
        (CROSSED.replace("Normal(a[i] + b[j], 1)", "Normal(a[i] + b[j], i)"), "the same, crossed"),
        (CROSSED.replace("a[i] + b[j]", "a[i]*b[j]"), "the mean is not linear"),
        (CROSSED.replace("a[i] + b[j], 1)", "a[i] + b[j], 1) missing"), "the table has holes"),
        (TOTAL.replace("Normal(z[n], 1)", "Poisson(exp(z[n]))"), "the noise is not Gaussian"),
    ],
)  # fmt: skip
def test_no_change_of_coordinates_where_none_is_exact(text: str, reason: str) -> None:
    assert check(Model(text), witness=False).closes == "no"
    assert "Change coordinates" not in advice(text), reason
    assert "add a covariate" not in advice(text), reason


@pytest.mark.parametrize(
    ("text", "sizes", "own", "added"),
    [
        (TOTAL, {"N": 6}, "x[n]", ("mean(x)", "total")),
        (CROSSED, {"I": 4, "J": 5}, "y[i,:],y[:,j]", ("mean(y)",)),
    ],
)
def test_the_added_covariate_closes_the_gap(
    text: str, sizes: dict[str, int], own: str, added: tuple[str, ...]
) -> None:
    """The theory of Gaussian models says 0 with all added covariates, and not with fewer."""
    model = Model(text, **sizes)
    line = next(x for x in advice(text).splitlines() if "add a covariate" in x)
    assert all(entry in line for entry in (*added, *own.split(",")))

    def gap(inputs: tuple[str, ...]) -> float:
        answer = predict(model, regime="population", inputs=",".join(inputs), function="affine")
        assert answer.kind == "exact" and answer.gap is not None
        return answer.gap

    assert gap((own, *added)) == pytest.approx(0, abs=1e-9)
    for left_out in added:
        assert gap((own, *(a for a in added if a != left_out))) > 0.1


def test_inputs_are_named() -> None:
    text = """index n = 1:N
given s[n] > 0
local z[n] ~ Normal(0, 1)
observed y[n] ~ Normal(z[n], s[n])"""
    assert "s[n], y[n]" in advice(text)
    reasons = " ".join(check(Model(text)).locals["z"].because)
    assert "y[n] alone does not suffice, because s[n] enters" in reasons
