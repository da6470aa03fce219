"""The JSON that scripts rely on: keys, types, values; nothing else on stdout."""

from __future__ import annotations

import math

import pytest

from avi_theory.gallery import gallery_names

CLOSES = {"own", "inputs", "component", "no", "unknown"}
KINDS = {"exact", "upper", "lower", "none"}
OUTCOMES = {"agrees", "bound_respected", "contradicts", "inconclusive"}
RUNGS = ("approximation", "conditioning", "capacity", "training")

CHECK = {
    "model": str,
    "closes": str,
    "simple_hierarchical": bool,
    "unit": list,
    "locals": dict,
    "conditions": list,
    "evidence": str,
    "witness": (dict, type(None)),
    "advice": list,
}
NUMBER = (int, float, type(None))
PREDICT = {
    "model": str,
    "regime": str,
    "inputs": list,
    "function": str,
    "sharing": str,
    "kind": str,
    "latents": int,
    "gap": NUMBER,
    "gap_per_latent": NUMBER,
    "limit_per_latent": NUMBER,
    "standard_error": NUMBER,
    "approximation_gap": NUMBER,
    "assumptions": list,
    "reference": str,
}
RUN = {
    "elbo": NUMBER,
    "status": str,
    "gradient_norm": NUMBER,
    "iterations": int,
    "seconds": NUMBER,
}
COMPARE = {
    "model": str,
    "fvi": dict,
    "avi": dict,
    "gaps": dict,
    "amortization": dict,
    "log_evidence": dict,
    "provenance": dict,
}


def shaped(found, shape):
    assert set(shape) <= set(found)
    for key, kind in shape.items():
        assert isinstance(found[key], kind), (key, found[key])


def test_list(avi):
    models = avi("list", "--json").json["models"]
    assert [m["name"] for m in models] == list(gallery_names())
    for m in models:
        assert set(m) == {"name", "title", "closes"} and m["closes"] in CLOSES


@pytest.mark.parametrize("name", gallery_names())
def test_check(avi, name):
    found = avi("check", name, "--json").json
    shaped(found, CHECK)
    assert set(found) == set(CHECK)
    assert found["model"] == name and found["closes"] in CLOSES
    assert found["evidence"] in {"symbolic", "randomised"}
    for local in found["locals"].values():
        assert local["closes"] in CLOSES
        assert local["inputs"] == sorted(local["inputs"])
        assert {"interacts_with", "edges", "optimal_factor"} <= set(local)
        if local["optimal_factor"] is not None:
            assert set(local["optimal_factor"]) == {"family", "class", "text", "latex"}
    for condition in found["conditions"]:
        assert set(condition) == {"name", "verdict", "because", "reference"}
        assert condition["verdict"] in {"holds", "fails", "unknown"}
    if found["closes"] == "no":
        assert set(found["witness"]) >= {
            "data",
            "other_data",
            "positions",
            "window",
            "inputs",
            "optima",
            "how",
        }


def test_check_without_witness(avi):
    assert avi("check", "random_walk", "--no-witness", "--json").json["witness"] is None


def test_check_explained(avi):
    found = avi("check", "saw", "--explain", "--json").json
    assert len(found["steps"]) > 3
    assert "Step by step" in avi("check", "saw", "--explain").out


@pytest.mark.parametrize("name", gallery_names())
def test_show(avi, name):
    found = avi("show", name, "--json").json
    assert {"model", "title", "about", "references", "text", "equation", "graph"} == set(found)
    assert {"nodes", "edges", "ties"} == set(found["graph"])
    assert "\\sim" in found["equation"]


def test_predict(avi):
    options = ["--regime", "population", "--window", "1", "--function", "affine", "--size", "N=20"]
    found = avi("predict", "random_walk", *options, "--json").json
    shaped(found, PREDICT)
    assert set(found) == set(PREDICT)
    assert found["kind"] in KINDS and found["latents"] == 21
    assert found["gap"] == pytest.approx(found["latents"] * found["gap_per_latent"])


def compared(found):
    """The laws that every comparison obeys."""
    shaped(found, COMPARE)
    assert set(found) == set(COMPARE)
    shaped(found["fvi"], RUN)
    shaped(found["avi"], {**RUN, "function": str, "inputs": list})
    assert set(found["gaps"]) == {*RUNGS, "generalization"}
    for rung in found["gaps"].values():
        assert set(rung) == {"value", "standard_error", "kind", "how"}
        assert rung["kind"] in KINDS and rung["how"]
        assert (rung["value"] is None) == (rung["kind"] == "none")
    shaped(found["log_evidence"], {"value": NUMBER, "method": str, "standard_error": NUMBER})
    assert {"seed", "device", "dtype", "data", "versions"} <= set(found["provenance"])
    gap = found["amortization"]
    assert set(gap) == {"measured", "standard_error", "predicted", "kind", "outcome"}
    assert gap["kind"] in KINDS and gap["outcome"] in OUTCOMES
    assert gap["measured"] == pytest.approx(found["fvi"]["elbo"] - found["avi"]["elbo"])
    values = [found["gaps"][r]["value"] for r in RUNGS]
    evidence = found["log_evidence"]["value"]
    if evidence is not None and values[0] is not None:
        total = math.fsum(v for v in values if v is not None)
        assert total == pytest.approx(evidence - found["avi"]["elbo"], abs=1e-6)
    return found


@pytest.mark.parametrize("name", ["eight_schools", "linear", "saw", "local_level"])
def test_compare_agrees(avi, name):
    run = avi("compare", name, "--json")
    found = compared(run.json)
    assert (run.code, found["amortization"]["outcome"]) == (0, "agrees")


def test_measure_is_the_two_fits_of_compare(avi):
    measured = avi("measure", "linear", "--size", "N=200", "--json").json
    whole = avi("compare", "linear", "--size", "N=200", "--json").json
    for side in ("fvi", "avi"):
        shaped(measured[side], RUN)
        assert measured[side]["elbo"] == pytest.approx(whole[side]["elbo"])


def test_inputs(avi):
    found = avi("inputs", "random_walk", "--tolerance", "0.01", "--json").json
    assert set(found) >= {"choices", "smallest"}
    for choice in found["choices"]:
        assert {"inputs", "gap_per_latent", "kind"} <= set(choice)
    assert found["smallest"]["gap_per_latent"] <= 0.01


@pytest.mark.parametrize("verb", ["check", "compare"])
def test_screen_and_json_tell_the_same_verdict(avi, verb):
    found = avi(verb, "eight_schools", "--json").json
    word = found["closes"] if verb == "check" else found["amortization"]["outcome"]
    assert word in avi(verb, "eight_schools").out
