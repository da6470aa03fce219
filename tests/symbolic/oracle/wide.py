"""Random texts of wider reach: partial ranges, missing cells, told starts, fields, maps of maps."""

from __future__ import annotations

import random
from fractions import Fraction

from .draft import Draft, Site, written

PARTS = ("2:5", "3:N-2", "2:N", "1:N-1", "1:4", "N-2:N", "3:4", "4:N")
"""Ranges that leave points out at one end, at both, or nearly everywhere."""


def wide_text(rng: random.Random) -> tuple[str, str]:
    """A structure's name and a text."""
    make = rng.choice(
        (_part, _part, _segments, _known_start, _field, _two_steps, _panel, _states, _ends, _short)
    )
    return f"wide{make.__name__.replace('_', ' ')}", make(rng)


def _draft(rng: random.Random, **sizes: str) -> Draft:
    d = Draft(rng, sizes)
    for letter, end in sizes.items():
        d.need(f"index {letter} = 1:{end}")
    return d


def _gaps(d: Draft, where: str = "") -> str:
    """An observation's ending: some cells may be missing."""
    return where + (" missing" if d.chance(0.35) else "")


def _mean(d: Draft, parts: list[str]) -> str:
    """A linear form, at times with a covariate or a global."""
    if d.chance(0.2):
        d.need("given c[n]")
        parts = [*parts, f"({d.coefficient()})*c[n]"]
    if d.chance(0.2):
        d.need("global mu ~ Normal(0, 5)")
        parts = [*parts, "mu"]
    return " + ".join(parts)


def _part(rng: random.Random) -> str:
    """Observations of part of a plate, beside those of all of it."""
    d = _draft(rng, n="N")
    names = ["z", "w"][: rng.choice((1, 2))]
    for name in names:
        d.lines.append(f"local {name}[n] ~ Normal({_mean(d, ['0'])}, {d.scale()})")
    for x in ("x", "y", "v")[: rng.choice((1, 2, 3))]:
        terms = [(d.coefficient(), Site(name + "[{}]", "n"))
                 for name in rng.sample(names, rng.randint(1, len(names)))]  # fmt: skip
        where = f" for n in {rng.choice(PARTS)}" if d.chance(0.6) else ""
        mean = _mean(d, [written(terms)])
        d.lines.append(f"observed {x}[n] ~ Normal({mean}, {d.scale()}){_gaps(d, where)}")
    if d.chance(0.3):
        low, high = rng.choice((("2", "5"), ("2", "N"), ("4", "N-1")))
        u, v = Site("z[{}]", "n"), Site(names[-1] + "[{}]", "n", -1)
        d.lines.append(f"potential ({d.coefficient() / 9})*{u}*{v} for n in {low}:{high}")
    return d.text()


def _segments(rng: random.Random) -> str:
    """A chain over part of a series, independent locals over the rest."""
    d = _draft(rng, n="N")
    cut = rng.choice(("4", "5", "N-3"))
    after = {"4": "5", "5": "6", "N-3": "N-2"}[cut]
    phi = rng.choice((Fraction(1, 2), Fraction(1), Fraction(0)))
    chain_first = rng.random() < 0.5
    if chain_first:
        d.lines.append("local z[1] ~ Normal(0, 1)")
        d.lines.append(f"local z[n] ~ Normal(({phi})*z[n-1], 1) for n in 2:{cut}")
        d.lines.append(f"local z[n] ~ Normal(0, {d.scale()}) for n in {after}:N")
    else:
        d.lines.append(f"local z[n] ~ Normal(0, {d.scale()}) for n in 1:{cut}")
        d.lines.append(f"local z[n] ~ Normal(({phi})*z[n-1], 1) for n in {after}:N")
    d.lines.append(f"observed x[n] ~ Normal({_mean(d, ['z[n]'])}, {d.scale()}){_gaps(d)}")
    return d.text()


def _known_start(rng: random.Random) -> str:
    """A series whose value before the first point is told."""
    d = _draft(rng, n="N")
    d.need(f"given z[0] = {rng.choice(('0', '1', '1/2'))}")
    phi = rng.choice((Fraction(1, 2), Fraction(1), Fraction(0)))
    d.lines.append(f"local z[n] ~ Normal(({phi})*z[n-1], 1)")
    if d.chance(0.4):
        d.lines.append(f"potential ({-phi})*z[n]*z[n-1] for n in 2:N")
    d.lines.append(f"observed x[n] ~ Normal({_mean(d, ['z[n]'])}, {d.scale()}){_gaps(d)}")
    if d.chance(0.3):
        d.lines.append(f"observed y[n] ~ Normal(z[n], 1) for n in {rng.choice(PARTS)}")
    return d.text()


def _field(rng: random.Random) -> str:
    """A smoothing potential between neighbours on a line or along one side of a grid."""
    b = rng.choice((Fraction(1), Fraction(1, 2)))
    lag = rng.choice((1, 1, 2))
    if rng.random() < 0.5:
        d = _draft(rng, n="N")
        d.lines.append(f"local z[n] ~ Normal(0, {d.scale()})")
        d.lines.append(f"potential ({-b})*(z[n] - z[n+{lag}])**2 for n in 1:N-{lag}")
        if d.chance(0.5):
            d.lines.append(f"potential ({-b})*(z[n] + z[n+{lag}])**2 for n in 1:N-{lag}")
        d.lines.append(f"observed x[n] ~ Normal({_mean(d, ['z[n]'])}, {d.scale()}){_gaps(d)}")
        return d.text()
    d = _draft(rng, n="N", i="I")
    d.lines.append(f"local z[n,i] ~ Normal(0, {d.scale()})")
    for letter, u in (("n", "z[n+1,i]"), ("i", "z[n,i+1]")):
        if d.chance(0.6):
            end, other, last = ("N", "i", "I") if letter == "n" else ("I", "n", "N")
            where = f"{letter} in 1:{end}-1, {other} in 1:{last}"
            d.lines.append(f"potential ({-b})*(z[n,i] - {u})**2 for {where}")
            if d.chance(0.4):
                d.lines.append(f"potential ({-2 * b})*z[n,i]*{u} for {where}")
    d.lines.append(f"observed x[n,i] ~ Normal(({d.coefficient()})*z[n,i], 1){_gaps(d)}")
    return d.text()


def _two_steps(rng: random.Random) -> str:
    """Rows in groups, groups in larger groups; some levels pass nothing on."""
    d = _draft(rng, s="S", n="N", i="I")
    d.need("given g[i] in n")
    d.need("given h[n] in s")
    d.lines.append(f"local a[s] ~ Normal(0, {d.scale()})")
    up = rng.choice((Fraction(1), Fraction(1), Fraction(0)))
    d.lines.append(f"local z[n] ~ Normal(({up})*a[h[n]], {d.scale()})")
    d.lines.append(f"observed y[i] ~ Normal(({d.coefficient()})*z[g[i]], {d.scale()})")
    if d.chance(0.3):
        d.lines.append("observed x[n] ~ Normal(a[h[n]], 1)")
    if d.chance(0.3):
        d.need("given e[i] > 0")
        d.lines.append("observed v[i] ~ Normal(z[g[i]], e[i])")
    return d.text()


def _panel(rng: random.Random) -> str:
    """Many series, some of whose observations stand for part of the time."""
    d = _draft(rng, s="S", i="I")
    phi = rng.choice((Fraction(1, 2), Fraction(1), Fraction(0)))
    d.lines.append("local b[s,1] ~ Normal(0, 1)")
    d.lines.append(f"local b[s,i] ~ Normal(({phi})*b[s,i-1], 1) for i in 2:I")
    d.lines.append(f"observed y[s,i] ~ Normal(b[s,i], {d.scale()}){_gaps(d)}")
    if d.chance(0.4):
        d.lines.append(f"local a[s] ~ Normal(0, {d.scale()})")
        where = rng.choice(("", " for i in 1:I-1", " for i in 2:I", " for s in 2:S"))
        link = rng.choice(("a[s]", "a[s] + b[s,i]"))
        d.lines.append(f"observed v[s,i] ~ Normal({link}, 1){_gaps(d, where)}")
    if d.chance(0.3):
        d.need("given e[i] > 0")
        d.lines.append("observed x[s,i] ~ Normal(b[s,i], e[i])")
    return d.text()


def _short(rng: random.Random) -> str:
    """A short fixed index whose places are written down one by one."""
    d = Draft(rng, {"s": "S", "i": "3"})
    for line in ("index s = 1:S", "index i = 1:3"):
        d.need(line)
    if d.chance(0.4):
        phi = rng.choice((Fraction(1, 2), Fraction(0)))
        d.lines.append("local b[s,1] ~ Normal(0, 1)")
        d.lines.append(f"local b[s,i] ~ Normal(({phi})*b[s,i-1], {d.scale()}) for i in 2:3")
    elif d.chance(0.5):
        d.lines.append(f"local b[1,i] ~ Normal(0, {d.scale()})")
        d.lines.append(f"local b[s,i] ~ Normal(0, {d.scale()}) for s in 2:S")
    else:
        d.lines.append(f"local b[s,i] ~ Normal(0, {d.scale()})")
    d.lines.append(f"observed y[s,i] ~ Normal(b[s,i], {d.scale()}){_gaps(d)}")
    for k in rng.sample((1, 2, 3), rng.choice((0, 1, 2))):
        d.lines.append(f"observed q{k}[s] ~ Normal(b[s,{k}], {d.scale()})")
    if d.chance(0.3):
        d.lines.append(f"observed x[s] ~ Normal(b[s,1] + b[s,{rng.choice((2, 3))}], 1)")
    return d.text()


def _states(rng: random.Random) -> str:
    """Two states a point, tied over part of the line, seen over part of it."""
    d = _draft(rng, n="N")
    p = rng.choice((Fraction(1, 2), Fraction(2, 7)))
    d.lines.append(f"local z[n] ~ Categorical([{p}, {1 - p}])")
    d.need("given B = [[3/4, 1/4], [1/5, 4/5]]")
    where = f" for n in {rng.choice(PARTS)}" if d.chance(0.4) else ""
    d.lines.append(f"observed x[n] ~ Categorical(B[z[n]]){_gaps(d, where)}")
    if d.chance(0.5):
        d.need("given C = [[2/3, 1/3], [1/9, 8/9]]")
        d.lines.append(f"observed y[n] ~ Categorical(C[z[n]]){_gaps(d)}")
    if d.chance(0.6):
        low, high = rng.choice((("1", "4"), ("1", "N-1"), ("3", "N-2")))
        c = d.coefficient() / 2
        d.lines.append(f"potential ({c})*z[n]*z[n+1] for n in {low}:{high}")
        if d.chance(0.4):
            d.lines.append(f"potential ({-c})*z[n]*z[n+1] for n in {low}:{high}")
    if d.chance(0.2):
        d.need("given c[n]")
        d.lines.append("potential c[n]*z[n] for n in 1:N")
    return d.text()


def _ends(rng: random.Random) -> str:
    """Locals one point beyond their data, or tied to the next one's data."""
    d = _draft(rng, n="N")
    wide = rng.choice(("1:N+1", "0:N", "1:N+1"))
    d.lines.append(f"local z[n] ~ Normal(0, {d.scale()}) for n in {wide}")
    shift = -1 if wide.startswith("0") else 1
    terms = [(d.coefficient(), Site("z[{}]", "n"))]
    if d.chance(0.5):
        terms.append((d.coefficient(), Site("z[{}]", "n", shift)))
    d.lines.append(f"observed x[n] ~ Normal({_mean(d, [written(terms)])}, 1){_gaps(d)}")
    if len(terms) == 2 and d.chance(0.5):
        (a, u), (b, v) = terms
        d.lines.append(f"observed y[n] ~ Normal({written([(a, u), (-b, v)])}, 1)")
    return d.text()
