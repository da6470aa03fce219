"""Every model of the gallery gets the verdict that it declares."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from avi_theory import check, load

MODELS = Path(__file__).resolve().parents[1] / "models"
NAMES = sorted(p.stem for p in MODELS.glob("*.toml"))
BY_LOCAL = {"inputs", "edges", "interacts_with"}
CLOSES = {"own", "inputs", "component", "no", "unknown"}


def _file(name: str) -> dict:
    return tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reports():
    cache: dict = {}

    def report(name: str) -> dict:
        if name not in cache:
            cache[name] = check(load(name)).to_dict()
        return cache[name]

    return report


@pytest.mark.parametrize("name", NAMES)
def test_declared_verdict_is_computed_verdict(name, reports):
    expected, found = _file(name)["expect"], reports(name)
    declared = {k: v for k, v in expected.items() if k not in BY_LOCAL}
    assert {k: found[k] for k in declared} == declared
    for key in BY_LOCAL & set(expected):
        of_locals = {z: local[key] for z, local in found["locals"].items()}
        assert {z: of_locals[z] for z in expected[key]} == expected[key], key
    assert set(expected["inputs"]) == set(found["locals"])


@pytest.mark.parametrize("name", NAMES)
def test_no_comes_with_a_witness(name, reports):
    found = reports(name)
    assert found["closes"] in CLOSES
    assert bool(found["witness"]) == (found["closes"] == "no")


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_a_reader_needs(name):
    file = _file(name)
    for key in ("title", "about", "references", "model", "expect"):
        assert file.get(key), f"{name}: {key} is missing"
    assert {"closes", "simple_hierarchical", "inputs"} <= set(file["expect"])
    model = load(name)
    assert model.name == name
    known = {*model.sizes, *model.givens, *model.variables}
    assert set(file.get("typical", {})) <= known
    assert set(file.get("sizes", {})) == set(model.sizes)


@pytest.mark.parametrize("name", NAMES)
def test_data_file_exists(name):
    file = _file(name).get("data", {}).get("file")
    assert file is None or (MODELS / file).is_file()
