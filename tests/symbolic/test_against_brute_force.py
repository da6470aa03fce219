"""Every verdict, input set, neighbour, edge and unit against brute force on random models.

`python benchmarks/check_oracle.py --count 5000` runs the long version and prints the counts.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from avi_theory.conditions import check
from avi_theory.conditions.context import Context
from avi_theory.results.report import Report
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.interaction import Decider, Interaction
from avi_theory.symbolic.structure import Structure

sys.path.insert(0, str(Path(__file__).parent))
from oracle.campaign import campaign
from oracle.compare import compared, oracle

sys.path.pop(0)

BATCH = 20


def decide(text: str) -> Report:
    """What `check` says."""
    return check(Model(text), witness=False)


def told(tally) -> str:
    return "\n\n".join(f"seed {seed}\n{outcome}" for seed, outcome in tally.troubles)


@pytest.mark.parametrize("batch", range(10))
def test_analysis_agrees_with_brute_force(batch):
    tally = campaign(range(batch * BATCH, (batch + 1) * BATCH), decide)
    assert not tally.troubles, told(tally)
    assert tally.models == BATCH
    assert tally.unknown == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("block", range(10))
def test_analysis_agrees_with_brute_force_on_5000_models(block):
    start = 10_000 + 500 * block
    tally = campaign(range(start, start + 500), decide)
    assert not tally.troubles, told(tally)
    assert tally.models == 500
    assert {verdict for _, verdict in tally.counts} == {"own", "inputs", "component", "no"}


# -- the oracle itself ---------------------------------------------------------------------------

KNOWN = {
    "own": "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)",
    "inputs": "index n = 1:N\ngiven s[n] > 0\nlocal z[n] ~ Normal(0, 1)\n"
    "observed x[n] ~ Normal(z[n], s[n])",
    "component": "index s = 1:S\nindex t = 1:T\nlocal z[s,1] ~ Normal(0, 1)\n"
    "local z[s,t] ~ Normal(z[s,t-1], 1) for t in 2:T\nobserved x[s,t] ~ Normal(z[s,t], 1)",
    "no": "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\n"
    "local z[t] ~ Normal(z[t-1], 1) for t in 2:T\nobserved x[t] ~ Normal(z[t], 1)",
}


@pytest.mark.parametrize("closes", KNOWN)
def test_brute_force_knows_the_textbook_answers(closes):
    assert oracle(KNOWN[closes]).answer("z").closes == closes


# -- planted faults ------------------------------------------------------------------------------


def drop_last_factor(monkeypatch):
    prepare = Structure.__post_init__

    def without_last(self):
        prepare(self)
        self.terms = self.terms[:-1] if len(self.terms) > 1 else self.terms

    monkeypatch.setattr(Structure, "__post_init__", without_last)


def drop_first_factor(monkeypatch):
    prepare = Structure.__post_init__

    def without_first(self):
        prepare(self)
        self.terms = self.terms[1:] if len(self.terms) > 1 else self.terms

    monkeypatch.setattr(Structure, "__post_init__", without_first)


def forget_cancellation(monkeypatch):
    together = Decider._decide

    def one_by_one(self, instances, u, v):
        answers = [together(self, [i], u, v) for i in instances]
        present = any(a.present for a in answers)
        return Interaction(present, "symbolic", tuple(i for a in answers for i in a.instances))

    monkeypatch.setattr(Decider, "_decide", one_by_one)


def forget_positions(monkeypatch):
    monkeypatch.setattr(
        Decider, "position", lambda self, place, u, letter: Interaction(False, "symbolic", ())
    )


def take_every_factor_for_an_interaction(monkeypatch):
    monkeypatch.setattr(
        Decider,
        "_decide",
        lambda self, instances, u, v: Interaction(bool(instances), "symbolic", tuple(instances)),
    )


def forget_edges(monkeypatch):
    monkeypatch.setattr(Analysis, "_joined", _without("edges", Analysis._joined))


def forget_neighbours(monkeypatch):
    monkeypatch.setattr(Analysis, "_joined", _without("interacts_with", Analysis._joined))


def _without(field, joined):
    def emptied(self, name, verdicts):
        return replace(joined(self, name, verdicts), **{field: ()})

    return emptied


def split_at_every_letter(monkeypatch):
    def letters(self):
        return tuple(sorted({x for v in self.model.locals for x in v.letters}))

    monkeypatch.setattr(Analysis, "unit", property(letters))


def take_covariates_for_constants(monkeypatch):
    monkeypatch.setattr(Context, "varies", lambda self, given: False)


FAULTS = (
    forget_edges,
    forget_neighbours,
    split_at_every_letter,
    take_covariates_for_constants,
    drop_last_factor,
    drop_first_factor,
    forget_cancellation,
    forget_positions,
    take_every_factor_for_an_interaction,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, monkeypatch):
    fault(monkeypatch)
    tally = campaign(range(100), decide, stop=1)
    assert tally.troubles


def with_local(report: Report, name: str, **changed) -> Report:
    """The report with something else said of one local."""
    return replace(report, locals={**report.locals, name: replace(report.locals[name], **changed)})


def test_a_wrong_input_set_is_found():
    text = KNOWN["inputs"]
    right = decide(text)
    inputs = right.locals["z"].inputs
    assert not compared(text, lambda _: right).trouble
    for wrong in (inputs[1:], inputs[:-1], (*inputs, "n"), (*inputs, "x[n-1]")):
        report = with_local(right, "z", inputs=wrong)
        assert compared(text, lambda _, r=report: r).trouble


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (KNOWN["no"], {"interacts_with": ("z[t-1]",)}),
        (KNOWN["no"], {"interacts_with": ("z[t-2]", "z[t-1]", "z[t+1]")}),
        (KNOWN["own"], {"interacts_with": ("z[n-1]",)}),
        (KNOWN["no"], {"edges": ("t=1",)}),
        (KNOWN["no"], {"edges": ("t=1", "t=2", "t=T")}),
        (KNOWN["own"], {"edges": ("n=1",)}),
    ],
)
def test_a_wrong_neighbour_or_edge_is_found(text, changed):
    right = decide(text)
    assert not compared(text, lambda _: right).trouble
    assert compared(text, lambda _: with_local(right, "z", **changed)).trouble


@pytest.mark.parametrize("text", KNOWN.values())
def test_a_wrong_unit_or_hierarchy_is_found(text):
    right = decide(text)
    assert not compared(text, lambda _: right).trouble
    wrong_unit = replace(right, unit=("m",))
    wrong_form = replace(right, simple_hierarchical=not right.simple_hierarchical)
    for report in (wrong_unit, wrong_form):
        assert compared(text, lambda _, r=report: r).trouble
