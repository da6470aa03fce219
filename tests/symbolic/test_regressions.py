"""Texts on which brute force once proved `check` wrong."""

from __future__ import annotations

import pytest

from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis

TELESCOPE = """
index s = 1:S
given J[s], y[s,0] = 0
index i = 1:J[s]
local a[s] ~ Normal(0, 1)
observed y[s,i] ~ Normal(a[s] + y[s,i-1], 1)
"""

FOUND = {
    "a ragged telescope informs through its end": (TELESCOPE, "a", "own", ("y[s,J[s]]",)),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_brute_force_found(case):
    text, local, closes, inputs = FOUND[case]
    verdict = Analysis(Model(text)).locals[local]
    assert (verdict.closes, verdict.inputs) == (closes, inputs)
