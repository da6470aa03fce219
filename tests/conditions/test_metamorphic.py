"""What must not change a verdict: names, order, split densities, units of measurement."""

from __future__ import annotations

import re

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

MODELS = {
    "eight schools": """index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 5)
local z[n] ~ Normal(mu, 2)
observed x[n] ~ Normal(z[n], s[n])""",
    "saw": """index n = 1:N
given x[0] = 0
local z[n] ~ Normal(x[n-1], 1)
observed x[n] ~ Normal(0.75*z[n], 1)""",
    "chain": """index n = 1:N
local z[1] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1) for n in 2:N
observed x[n] ~ Normal(z[n], 1)""",
    "separable pair": """index n = 1:N
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(z[n] + z[n+1], 1) for n in 1:N-1
observed y[n] ~ Normal(z[n] - z[n+1], 1) for n in 1:N-1""",
}


def verdict(text: str) -> tuple[str, dict[str, list[str]]]:
    report = check(Model(text), witness=False)
    return report.closes, {k: list(v.inputs) for k, v in report.locals.items()}


@pytest.mark.parametrize("name", MODELS)
def test_renaming(name: str) -> None:
    new = {"z": "latent", "x": "weight", "s": "error", "n": "row", "N": "Rows", "y": "other",
           "mu": "alpha"}  # fmt: skip

    def rename(text: str) -> str:
        return re.sub(r"[A-Za-z]+", lambda m: new.get(m.group(), m.group()), text)

    closes, inputs = verdict(MODELS[name])
    expected = {rename(k): sorted(rename(i) for i in v) for k, v in inputs.items()}
    assert verdict(rename(MODELS[name])) == (closes, expected)


@pytest.mark.parametrize("name", MODELS)
def test_reordering(name: str) -> None:
    head, *lines = MODELS[name].splitlines()
    givens = [line for line in lines if line.startswith(("given", "global"))]
    rest = [line for line in lines if line not in givens]
    assert verdict("\n".join([head, *givens, *reversed(rest)])) == verdict(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_splitting_a_density_into_potentials(name: str) -> None:
    def split(match: re.Match[str]) -> str:
        variable, mean, scale, ranges = match.groups()
        over = ranges or " for n in 1:N"
        return (
            f"local {variable} ~ Flat(){ranges or ''}\n"
            f"potential -({variable} - ({mean}))**2/(4*({scale})**2){over}\n"
            f"potential -({variable} - ({mean}))**2/(4*({scale})**2){over}"
        )

    text = re.sub(
        r"local (z\[n\]) ~ Normal\((.+), (\w+)\)( for .*)?$", split, MODELS[name], flags=re.M
    )
    assert text != MODELS[name]
    assert verdict(text) == verdict(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_rescaling_constants(name: str) -> None:
    text = re.sub(r", 1\)", ", 17/10)", MODELS[name])
    if name != "separable pair":
        assert verdict(text) == verdict(MODELS[name])
    else:
        same = verdict(text)
        assert same == verdict(MODELS[name])
        one = re.sub(r"- z\[n\+1\], 1", "- z[n+1], 2", MODELS[name])
        assert verdict(one)[0] == "no"


@pytest.mark.parametrize("name", MODELS)
def test_affine_change_of_a_local(name: str) -> None:
    lines = []
    for line in MODELS[name].splitlines():
        if line.startswith("local"):
            left, right = line.split("~")
            moved = re.sub(r"Normal\((.+), (\w+)\)", r"Normal(3 + 2*(\1), 2*\2)",
                           re.sub(r"z\[(n-1)\]", r"((z[\1] - 3)/2)", right))  # fmt: skip
            lines.append(f"{left}~{moved}")
        else:
            lines.append(re.sub(r"z\[([^\]]+)\]", r"((z[\1] - 3)/2)", line))
    assert verdict("\n".join(lines)) == verdict(MODELS[name])


@pytest.mark.parametrize("size", [10, 10**9])
def test_sizes_do_not_matter(size: int) -> None:
    for text in MODELS.values():
        sized = check(Model(text, N=size), witness=False).to_dict()
        assert sized == check(Model(text), witness=False).to_dict()
