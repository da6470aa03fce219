"""Removing any one input breaks it: two data sets that differ there alone have other optima.

Linear-Gaussian models by an exact linear system, discrete ones by coordinate ascent from many
starts on every data set of the component.
"""

from __future__ import annotations

import random
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from avi_theory.conditions import check
from avi_theory.results.report import Report
from avi_theory.spec.model import Model

sys.path.insert(0, str(Path(__file__).parent))
from oracle.compare import oracle
from oracle.discrete import discrete_text
from oracle.gaussian import gaussian_text
from oracle.jitter import jittered
from oracle.minimal import Found, Inputs, examined, solver
from oracle.odd import odd_text
from oracle.wide import wide_text

sys.path.pop(0)

GALLERY = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))
MAKERS = (gaussian_text, odd_text, wide_text, discrete_text)


def decide(text: str) -> Report:
    return check(Model(text), witness=False)


def found(text: str, report: Report | None = None) -> Found | None:
    """Which inputs are needed, or None if the model is neither linear-Gaussian nor discrete.

    A random potential can leave a density without a normaliser; None then, too.
    """
    brute = oracle(text)
    fitting = solver(brute)
    return None if fitting is None else examined(brute, fitting, report or decide(text))


def needed_at_other_numbers(text: str, name: str, spare: str) -> bool:
    """Whether an input that the optimum ignores is needed when the text's numbers change a little.

    Minimality is generic where the numbers alone make a coefficient vanish.
    """
    brute = oracle(jittered(text))
    fitting = solver(brute)
    if fitting is None:
        return False
    return Inputs(brute, fitting, name, decide(text).locals[name].inputs).shown(spare) is not None


def campaign(make, seeds) -> tuple[Counter[str], list[str]]:
    """Put the inputs of many random models to the test: how many, and which are not needed."""
    tally: Counter[str] = Counter()
    told: list[str] = []
    for seed in seeds:
        _, text = make(random.Random(seed))
        answer = found(text)
        if answer is None:
            tally["improper"] += 1
            continue
        for name, spare in answer.idle:
            if needed_at_other_numbers(text, name, spare):
                tally["coincidences"] += 1
            else:
                told.append(f"{make.__name__} {seed}: {name} does not need {spare} in\n{text}")
        tally["models"] += 1
        tally["inputs"] += len(answer.pairs)
    return tally, told


@pytest.mark.parametrize("make", MAKERS)
def test_every_input_of_a_random_model_is_needed(make):
    tally, told = campaign(make, range(12))
    assert not told, "\n\n".join(told)
    assert tally["inputs"] >= 12, tally
    assert tally["improper"] <= 1, tally


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("block", range(4))
def test_every_input_of_many_random_models_is_needed(make, block):
    start = 1000 + 100 * block
    tally, told = campaign(make, range(start, start + 100))
    assert not told, "\n\n".join(told)
    assert 50 * tally["coincidences"] <= tally["inputs"], tally
    assert tally["inputs"] >= 60, tally
    assert tally["improper"] <= 10, tally


def test_every_input_of_the_gallery_is_needed():
    """All linear-Gaussian and discrete models of scalar locals that close."""
    seen: Counter[str] = Counter()
    for file in GALLERY:
        spec = tomllib.loads(file.read_text())
        text = spec["model"]
        if spec["expect"]["closes"] == "no" or "R[" in text:
            continue
        answer = found(text)
        if answer is not None:
            assert not answer.idle, f"{file.stem}: {answer.idle} not needed"
            seen[file.stem] = len(answer.pairs)
    assert len(seen) >= 12, seen
    assert all(seen.values()), seen


def test_every_input_of_factor_analysis_is_needed():
    """The gallery's vectors, written coordinate by coordinate: x[n] is x[n,:] then."""
    text = tomllib.loads((GALLERY[0].parent / "factor_analysis.toml").read_text())["model"]
    assert decide(text).locals["z"].inputs == ("x[n]",)
    lines = [x for x in text.splitlines() if x.startswith(("index", "given"))]
    scalar = "\n".join(
        [*lines, "index k = 0:1", "index d = 0:4", "local z[n,k] ~ Normal(0, 1)",
         "observed x[n,d] ~ Normal(W[d,0]*z[n,0] + W[d,1]*z[n,1], sigma)"]
    )  # fmt: skip
    brute = oracle(scalar)
    exact = solver(brute)
    assert exact is not None
    inputs = Inputs(brute, exact, "z", ("x[n,:]",))
    assert len(inputs.members) == 2
    assert all(inputs.needed(z, "x[n,:]") for z in inputs.members)


# -- the checker itself --------------------------------------------------------------------------

PAIR = (
    "index n = 1:N\ngiven c[n]\nlocal z[n] ~ Normal(0, 1)\nlocal w[n] ~ Normal(0, 1)\n"
    "observed x[n] ~ Normal(z[n] + w[n], 1)\nobserved y[n] ~ Normal(w[n] + c[n], 1)\n"
)
STATES = (
    "index n = 1:N\ngiven c[n]\ngiven B = [[3/4, 1/4], [1/5, 4/5]]\n"
    "local z[n] ~ Categorical([1/3, 2/3])\nlocal w[n] ~ Categorical([1/2, 1/2])\n"
    "observed x[n] ~ Categorical(B[z[n]])\nobserved y[n] ~ Categorical(B[w[n]])\n"
    "potential z[n]*w[n]/2 for n in 1:N\npotential c[n]*w[n] for n in 1:N\n"
)


@pytest.mark.parametrize("text", [PAIR, STATES])
@pytest.mark.parametrize("spare", ["x[n-1]", "y[n+1]", "c[n-1]", "n", "y[1]"])
def test_a_superfluous_input_is_found(text, spare):
    report = decide(text)
    local = report.locals["z"]
    assert set(local.inputs) == {"c[n]", "x[n]", "y[n]"}
    planted = replace(local, inputs=(*local.inputs, spare))
    answer = found(text, replace(report, locals={"z": planted}))
    assert answer is not None
    assert answer.idle == [("z", spare)]
    assert set(answer.pairs) == {("z", text) for text in local.inputs}


def test_an_input_that_cancels_in_the_optimum_is_found():
    """With Λ = [[2, 1], [1, 2]] and h = (x, 2x), z's mean ignores x."""
    text = (
        "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nlocal w[n] ~ Normal(0, 1)\n"
        "observed x[n] ~ Normal(z[n] + w[n], 1)\nobserved y[n] ~ Normal(0, 1)\n"
        "potential z[n]*y[n] for n in 1:N\npotential 2*w[n]*y[n] for n in 1:N\n"
    )
    report = decide(text)
    assert report.locals["z"].inputs == ("x[n]",)
    wrong = replace(report.locals["z"], inputs=("x[n]", "y[n]"))
    answer = found(text, replace(report, locals={"z": wrong}))
    assert answer is not None
    assert answer.idle == [("z", "y[n]")]


def test_a_coincidence_of_the_numbers_is_told_from_a_superfluous_input():
    """With b ~ N(-a, 1) and y ~ N(a + b, 2), y tells nothing about a; with -1.01 it would."""
    text = (
        "index s = 1:S\nindex i = 1:I\nlocal a[s] ~ Normal(0, 1)\n"
        "local b[s,i] ~ Normal(-1*a[s], 1)\nobserved y[s,i] ~ Normal(a[s] + 1*b[s,i], 2)"
    )
    answer = found(text)
    assert answer is not None
    assert answer.idle == [("a", "y[s,:]")]
    assert needed_at_other_numbers(text, "a", "y[s,:]")


def test_other_numbers_do_not_excuse_a_superfluous_input():
    assert needed_at_other_numbers(PAIR, "z", "y[n]")
    assert not needed_at_other_numbers(PAIR, "z", "y[n-1]")


def test_the_exact_optimum_of_the_textbook_plate():
    """z ~ N(0, 1), x ~ N(z, 1/2): mean 4x/5, precision 5."""
    text = "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1/2)\n"
    answer = found(text)
    assert answer is not None
    pair = answer.pairs["z", "x[n]"]
    assert pair.factors == tuple((Fraction(4, 5) * x, Fraction(5)) for x in pair.values)
