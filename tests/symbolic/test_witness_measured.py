"""Witnesses of the gallery, verified by the independent solver: `numeric` gives the same optima.

The globals become givens at the values that `how` states, and each data set is bound as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from avi_theory.conditions import check
from avi_theory.errors import ModelError
from avi_theory.gallery import gallery_names, load
from avi_theory.numeric import measure
from avi_theory.results.report import Witness
from avi_theory.spec.model import Model

TIED = [name for name in gallery_names() if check(load(name), witness=False).closes == "no"]


def held(how: str) -> dict[str, float]:
    """The values of the globals that a witness states."""
    _, _, text = how.partition("q0 concentrated at ")
    pairs = (pair.split(" = ") for pair in text.split(", ") if pair)
    return {name: float(Fraction(value)) for name, value in pairs}


def sizes(how: str) -> dict[str, int]:
    return {k: int(v) for k, v in re.findall(r"; (\w+) = (\d+)(?=;|$)", how)}


def closed(model: Model, values: Mapping[str, float]) -> str:
    """The model's text with its globals as constants."""
    lines = []
    for line in model.text.splitlines():
        found = re.match(r"\s*global (\w+)(\[\w+\])?", line)
        if not found:
            lines.append(line)
            continue
        name = found[1]
        own = [v for k, v in values.items() if k == name or k.startswith(f"{name}[")]
        assert own, f"{name} is not held"
        lines.append(f"given {name} = {own if found[2] else own[0]}")
    return "\n".join(lines)


def used(text: str) -> Model:
    """The model without the declarations that constants in place of globals leave unused."""
    try:
        return Model(text)
    except ModelError as error:
        names = re.findall(r"The \w+ '(\w+)' is declared, but no density uses it", str(error))
        assert names, error
        kept = [
            line for line in text.splitlines()
            if not re.match(rf"(index|given) ({'|'.join(names)})\b", line)
        ]  # fmt: skip
        return used("\n".join(kept))


def optimum(model: Model, data: Mapping[str, Any], place: Any, name: str, what: str) -> float:
    """The mean (on the factor's own scale) or the probability that F-VI finds at one place."""
    measured = measure(model, data, evidence=False, starts=4)
    posterior = measured.posterior()
    label = f"{name}[{','.join(map(str, np.atleast_1d(place)))}]"
    if what.startswith("q(z = 1)"):
        return posterior.probabilities[label][1]
    k = posterior.names.index(label)
    return float({"q(log z)": np.log}.get(what, lambda x: x)(posterior.median[k]))


@pytest.mark.parametrize("name", TIED)
def test_the_independent_solver_agrees(name: str) -> None:
    model = load(name)
    witness = check(model).witness
    assert isinstance(witness, Witness)
    local = re.search(r" at (\w+)\[", witness.how)
    assert local is not None
    what = "q(z = 1)" if witness.how.startswith("q(z = 1)") else "mean"
    fixed = used(closed(model, held(witness.how))).with_values(**sizes(witness.how))
    sets = [dict(witness.data), dict(witness.other_data or witness.data)]
    for given in re.findall(r"; (\w+) is half the position", witness.how):
        for data in sets:
            data[given] = [k / 2 for k in range(1, len(next(iter(data.values()))) + 1)]
    for data, place, expected in zip(sets, witness.positions, witness.optima, strict=True):
        found = optimum(fixed, data, place, local[1], what)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), witness.how
