"""What must not change a verdict or an input, on random models.

Renaming, reordering statements, splitting densities into potentials, rescaling constants, and
replacing a local by an affine function of itself.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis

sys.path.insert(0, str(Path(__file__).parent))
from oracle.campaign import drawn
from oracle.gaussian import gaussian_text
from oracle.reader import Program, Statement, read

sys.path.pop(0)

ANY = range(40, 70)
GAUSSIAN = range(500, 525)

Verdict = dict[str, tuple[str, list[str], bool]]


def verdict(text: str) -> Verdict:
    return {
        name: (v.closes, sorted(v.inputs), bool(v.interacts_with))
        for name, v in Analysis(Model(text)).locals.items()
    }


def gaussian(seed: int) -> str:
    return gaussian_text(random.Random(seed))[1]


def rewritten(text: str, change: Callable[[Program, Statement], list[str]]) -> str:
    """The text with every density and potential written anew; declarations as they are."""
    program = read(text)
    lines = [x for x in text.splitlines() if x.startswith(("index", "given"))]
    for statement in program.statements:
        lines += change(program, statement)
    return "\n".join(lines)


def written(
    program: Program, s: Statement, body: str, *, everywhere: bool = False, role: str = ""
) -> str:
    """One statement with another right side."""
    ranges = ", ".join(f"{r.letter} in {r.low.text}:{r.high.text}" for r in s.ranges)
    where = f" for {ranges}" if ranges and (s.name not in program.of_role("global")) else ""
    if everywhere or not s.name:
        return f"potential {body}{where}"
    return f"{role or program.roles[s.name]} {left(s)} ~ {body}{where}"


def left(s: Statement) -> str:
    subs = ",".join(c.text for c in s.subscripts)
    return f"{s.name}[{subs}]" if subs else s.name


def renamed(text: str) -> tuple[str, Callable[[str], str]]:
    """Every name but those of distributions and functions replaced."""
    program = read(text)
    sizes = sorted(program.sizes)
    names = sorted({*program.roles, *program.axes, *program.letters, *program.values} - {*sizes})
    new = {name: f"q{k}w" for k, name in enumerate(reversed(names))}
    new |= {name: f"Q{k}" for k, name in enumerate(sizes)}

    def rename(part: str) -> str:
        return re.sub(r"[A-Za-z]\w*", lambda m: new.get(m.group(), m.group()), part)

    return rename(text), rename


@pytest.mark.parametrize("seed", ANY)
def test_renaming(seed):
    text = drawn(seed)[1]
    other, rename = renamed(text)
    expected = {
        rename(z): (closes, sorted(map(rename, inputs)), tied)
        for z, (closes, inputs, tied) in verdict(text).items()
    }
    assert verdict(other) == expected, text


@pytest.mark.parametrize("seed", ANY)
def test_reordering_statements(seed):
    text = drawn(seed)[1]
    head = [x for x in text.splitlines() if x.startswith(("index", "given J"))]
    rest = [x for x in text.splitlines() if x not in head]
    random.Random(seed).shuffle(rest)
    assert verdict("\n".join([*head, *rest])) == verdict(text), text


@pytest.mark.parametrize("seed", GAUSSIAN)
def test_splitting_densities_into_potentials(seed):
    text = gaussian(seed)

    def split(program: Program, s: Statement) -> list[str]:
        if s.family != "Normal" or s.name in program.of_role("global"):
            body = f"{s.family}({', '.join(c.text for c in s.arguments)})"
            return [written(program, s, body if s.name else s.arguments[0].text)]
        mean, sd = (c.text for c in s.arguments)
        half = f"-({left(s)} - ({mean}))**2/(4*({sd})**2)"
        other = f"({left(s)}*({mean}) - {left(s)}**2/2 - ({mean})**2/2)/(2*({sd})**2)"
        return [
            written(program, s, "Flat()"),
            written(program, s, half, everywhere=True),
            written(program, s, other, everywhere=True),
        ]

    other = rewritten(text, split)
    assert other != text
    assert verdict(other) == verdict(text), f"{text}\n\n{other}"


@pytest.mark.parametrize("seed", GAUSSIAN)
def test_rescaling_constants(seed):
    text = gaussian(seed)

    def scaled(program: Program, s: Statement) -> list[str]:
        if not s.name:
            return [written(program, s, f"({s.arguments[0].text})/9")]
        if s.family != "Normal":
            return [written(program, s, f"{s.family}()")]
        mean, sd = (c.text for c in s.arguments)
        return [written(program, s, f"Normal({mean}, 3*({sd}))")]

    other = rewritten(text, scaled)
    assert other != text
    assert verdict(other) == verdict(text), f"{text}\n\n{other}"


@pytest.mark.parametrize("seed", GAUSSIAN)
def test_affine_change_of_the_locals(seed):
    text = gaussian(seed)
    names = read(text).of_role("local")
    pattern = re.compile(rf"\b({'|'.join(names)})(\[(?:[^\[\]]|\[[^\]]*\])*\])")

    def moved(part: str) -> str:
        return pattern.sub(r"((\1\2 - 3)/2)", part)

    def affine(program: Program, s: Statement) -> list[str]:
        if not s.name:
            return [written(program, s, moved(s.arguments[0].text))]
        if s.family != "Normal":
            return [written(program, s, f"{s.family}()")]
        mean, sd = (c.text for c in s.arguments)
        if s.name in names and s.subscripts:
            return [written(program, s, f"Normal(3 + 2*({moved(mean)}), 2*({sd}))")]
        return [written(program, s, f"Normal({moved(mean)}, {sd})")]

    other = rewritten(text, affine)
    assert other != text
    assert verdict(other) == verdict(text), f"{text}\n\n{other}"
