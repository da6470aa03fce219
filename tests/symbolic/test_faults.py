"""Plant a fault in the analysis and see that the comparison with brute force would notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model
from avi_theory.symbolic.instances import Finder, Instance
from avi_theory.symbolic.interaction import Decider, Interaction

PAIR = """index n = 1:N
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(z[n] + z[n+1], 1) for n in 1:N-1
observed y[n] ~ Normal(z[n] - z[n+1], 1) for n in 1:N-1"""


def test_dropping_a_factor_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Finder._holding

    def dropped(self: Finder, *arguments: Any) -> Iterator[Instance]:
        found = list(original(self, *arguments))
        yield from found[:-1] if len(found) > 1 else found

    assert check(Model(PAIR), witness=False).closes == "inputs"
    monkeypatch.setattr(Finder, "_holding", dropped)
    assert check(Model(PAIR), witness=False).closes == "no"


def test_forgetting_cancellation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Decider, found: Any, u: Any, v: Any) -> Interaction:
        return Interaction(bool(found), "symbolic", tuple(found))

    monkeypatch.setattr(Decider, "_decide", forgetful)
    assert check(Model(PAIR), witness=False).closes == "no"
