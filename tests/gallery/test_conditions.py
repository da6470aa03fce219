"""Every condition has a model that fails only it: of the gallery, or a contrived one."""

from __future__ import annotations

import pytest

from avi_theory import gallery_names, load
from avi_theory.conditions import CONDITIONS
from avi_theory.conditions.context import Context
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import analyse

CONTRIVED = {
    "single plate": """
        index i = 1:I
        index j = 1:J
        global mu ~ Normal(0, 1)
        local a[i] ~ Normal(mu, 1)
        local b[j] ~ Normal(mu, 1)
        observed x[i] ~ Normal(a[i], 1)
        observed y[j] ~ Normal(b[j], 1)
        """,
}


@pytest.fixture(scope="module")
def failures():
    """The conditions that each model fails, in one pass over the gallery."""
    models = [load(name) for name in gallery_names()] + [Model(t) for t in CONTRIVED.values()]
    found = []
    for model in models:
        context = Context(analyse(model))
        judged = [condition(context) for condition in CONDITIONS]
        found.append({c.name for c in judged if c.verdict != "holds"})
    return found


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.__name__)
def test_a_model_fails_only_this_condition(condition, failures):
    name = condition(Context(analyse(load("linear")))).name
    assert {name} in failures


def test_some_models_fail_nothing_and_some_fail_several(failures):
    assert set() in failures
    assert any(len(f) > 2 for f in failures)
