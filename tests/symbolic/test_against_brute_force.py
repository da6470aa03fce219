"""Every verdict and every input set against brute force on random models.

`python benchmarks/check_oracle.py --count 5000` runs the long version and prints the counts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.interaction import Decider, Interaction
from avi_theory.symbolic.structure import Structure

sys.path.insert(0, str(Path(__file__).parent))
from oracle.campaign import campaign
from oracle.compare import compared, oracle

sys.path.pop(0)

BATCH = 30


def decide(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What the analysis says of every local."""
    return {name: (v.closes, v.inputs) for name, v in Analysis(Model(text)).locals.items()}


def told(tally) -> str:
    return "\n\n".join(f"seed {seed}\n{outcome}" for seed, outcome in tally.troubles)


@pytest.mark.parametrize("batch", range(10))
def test_analysis_agrees_with_brute_force(batch):
    tally = campaign(range(batch * BATCH, (batch + 1) * BATCH), decide)
    assert not tally.troubles, told(tally)
    assert tally.models == BATCH
    assert tally.unknown == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_analysis_agrees_with_brute_force_on_5000_models():
    tally = campaign(range(10_000, 15_000), decide)
    assert not tally.troubles, told(tally)
    assert tally.models == 5000
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


FAULTS = (
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


def test_a_wrong_input_set_is_found():
    text = KNOWN["inputs"]
    right = decide(text)["z"][1]
    assert not compared(text, lambda _: {"z": ("inputs", right)}).trouble
    for wrong in (right[1:], right[:-1], (*right, "n"), (*right, "x[n-1]")):
        assert compared(text, lambda _, w=wrong: {"z": ("inputs", w)}).trouble
