"""Random linear-Gaussian texts: plates, series, nested and mapped indices; exact cancellations."""

from __future__ import annotations

import random
from fractions import Fraction

from .draft import Draft, Site, Term, written


def gaussian_text(rng: random.Random) -> tuple[str, str]:
    """A structure's name and a text."""
    name = rng.choice(("plate", "plate", "series", "nested", "nested", "mapped"))
    return name, {"plate": _plate, "series": _series, "nested": _nested, "mapped": _mapped}[name](
        rng
    )


# -- one index ------------------------------------------------------------------------------


def _plate(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N"})
    d.need("index n = 1:N")
    locals_ = ["z", "w"][: rng.choice((1, 1, 2))]
    for k, name in enumerate(locals_):
        _prior(d, name, locals_[:k])
    if rng.random() < 0.06:
        d.lines.append("local a ~ Normal(0, 1)")
        locals_.append("a")
    observed = ["x", "y", "v"][: rng.choice((1, 2, 2, 3))]
    for x in observed:
        _observation(d, x, locals_)
    if rng.random() < 0.45:
        _orthogonal(d, locals_)
    if d.last is not None and rng.random() < 0.3:
        _cancelled(d)
    return d.text()


def _site(d: Draft, name: str, offsets: tuple[int, ...] = (0, 0, 0, 1, -1)) -> Site:
    return Site("a") if name == "a" else Site(name + "[{}]", "n", d.rng.choice(offsets))


def _prior(d: Draft, name: str, others: list[str]) -> None:
    kind = d.rng.choice(
        ("plain", "plain", "plain", "global", "covariate", "scale", "chain", "parent", "position",
         "member")
    )  # fmt: skip
    q, sd = d.coefficient(), d.scale()
    here = Site(name + "[{}]", "n")
    if kind == "chain":
        phi = d.rng.choice((Fraction(1, 2), Fraction(0), Fraction(1), Fraction(-1)))
        d.lines.append(f"local {name}[1] ~ Normal(0, {d.scale()})")
        d.lines.append(f"local {name}[n] ~ Normal(({phi})*{name}[n-1], {sd}) for n in 2:N")
        if d.chance(0.35):
            d.potential(-phi / sd**2 * d.rng.choice((1, 1, 1, 2)), here, Site(here.shape, "n", -1))
        return
    if kind == "parent" and others:
        site = _site(d, others[0], (0, 0, -1, 1))
        low, high = d.span([site], "n")
        d.lines += [f"local {name}[1] ~ Normal(0, 1)"] * low
        d.lines += [f"local {name}[N] ~ Normal(0, 1)"] * high
        d.lines.append(
            f"local {name}[n] ~ Normal({written([(q, site)])}, {sd}){d.ranged([site], 'n')}"
        )
        if d.chance(0.3):
            d.potential(-q / sd**2, here, site)
        return
    mean = "0"
    if kind == "global":
        mean = _global(d)
    elif kind == "covariate":
        d.need("given c[n]")
        mean = f"({q})*c[n]"
    elif kind == "scale":
        d.need("given s[n] > 0")
        sd = "s[n]"  # type: ignore[assignment]
    elif kind == "position":
        mean = "n/10"
    elif kind == "member":
        mean = _selected(d)
    d.lines.append(f"local {name}[n] ~ Normal({mean}, {sd})")


def _global(d: Draft) -> str:
    if not any(line.startswith("global mu") for line in d.head):
        d.need(f"global mu ~ {d.rng.choice(('Normal(0, 5)', 'Flat()'))}")
    return "mu"


def _selected(d: Draft) -> str:
    """A global of the unit itself, or one that a map selects."""
    if d.chance(0.4):
        d.need("global b[n] ~ Normal(0, 1)")
        return "b[n]"
    d.need("index m = 1:M")
    d.need("given k[n] in m")
    d.need("global h[m] ~ Normal(0, 1)")
    return "h[k[n]]"


def _extras(d: Draft, x: str, low: int) -> tuple[list[str], str]:
    """Further parts of an observation's mean, and its scale; `low` points lie before its first."""
    parts: list[str] = []
    if d.chance(0.25):
        parts.append(_global(d))
    if d.chance(0.15):
        d.need("given c[n]")
        parts.append(f"({d.coefficient()})*c[n]")
    if d.chance(0.15):
        d.need(f"given {x}[{low}] = {d.rng.choice(('0', '1/2'))}")
        parts.append(f"({d.coefficient()})*{x}[n-1]")
    if d.chance(0.06):
        parts.append("n/7")
    if d.chance(0.08):
        parts.append(_selected(d))
    scale = str(d.scale())
    if d.chance(0.15):
        d.need("given s[n] > 0")
        scale = "s[n]"
    return parts, scale


def _observation(d: Draft, x: str, locals_: list[str]) -> None:
    terms: dict[Site, Fraction] = {}
    for _ in range(d.rng.choice((0, 1, 1, 2, 2))):
        terms[_site(d, d.rng.choice(locals_))] = d.rng.choice((d.coefficient(), Fraction(0)))
    if d.chance(0.04) and "z" in locals_:
        terms[Site("z[1]")] = Fraction(1)
    parts, scale = _extras(d, x, d.span([*terms], "n")[0])
    mean = " + ".join([written([(c, s) for s, c in terms.items()]), *parts])
    if d.chance(0.1) and terms:
        d.need("given c[n]")
        mean = f"c[n]*({mean})" if d.chance(0.5) else f"{mean} + c[n]*{next(iter(terms))}"
    elif d.chance(0.04) and terms:
        mean = f"{mean} + n*{next(iter(terms))}"
    elif scale != "s[n]":
        d.last = ([(c, s) for s, c in terms.items()], Fraction(scale), x)
    where = d.ranged([*terms], "n")
    d.lines.append(f"observed {x}[n] ~ Normal({mean}, {scale}){where}")


def _orthogonal(d: Draft, locals_: list[str]) -> None:
    """Two observations of a sum and a difference; mostly scaled so that they cancel."""
    u = _site(d, d.rng.choice(locals_))
    v = _site(d, d.rng.choice(locals_))
    if d.chance(0.15):
        d.need("given c[n]")
        v = Site("c[{}]", "n", d.rng.choice((0, 0, 1)))
    if u == v:
        return
    a, b, sd = d.coefficient(), d.coefficient(), d.scale()
    k = d.rng.choice((Fraction(1), Fraction(1), Fraction(2), Fraction(-1, 2)))
    off = d.rng.choice((1, 1, 1, 1, 2))
    where = d.ranged([u, v], "n")
    d.lines.append(f"observed p[n] ~ Normal({written([(a, u), (b, v)])}, {sd}){where}")
    second = written([(k * a, u), (-k * b, v)])
    d.lines.append(f"observed r[n] ~ Normal({second}, {abs(k) * sd * off}){where}")


def _cancelled(d: Draft) -> None:
    """A potential that takes an interaction of the last observation away."""
    assert d.last is not None
    terms, sd, x = d.last
    if len(terms) > 1 and d.chance(0.6):
        (a, u), (b, v) = terms[:2]
        d.potential(a * b / sd**2 * d.rng.choice((1, 1, 1, 2)), u, v)
    elif terms:
        (a, u), *_ = terms
        every = [s for _, s in terms]
        low, high = d.span(every, "n")
        here = Site(x + "[{}]", "n")
        if (low, high) == d.span([u, here], "n") and u.letter:
            d.potential(-a / sd**2, u, here)


# -- a series with a special start -----------------------------------------------------------


def _series(rng: random.Random) -> str:
    d = Draft(rng, {"t": "T"})
    d.need("index t = 1:T")
    phi = rng.choice((Fraction(1, 2), Fraction(1), Fraction(-1, 2), Fraction(0)))
    q = d.scale()
    mean = [f"({phi})*z[t-1]"]
    if rng.random() < 0.3:
        d.need(f"global mu ~ {rng.choice(('Normal(0, 5)', 'Flat()'))}")
        mean.append("mu")
    if rng.random() < 0.2:
        mean.append("(1/2)*x[t-1]")
    d.lines.append(f"local z[1] ~ Normal(0, {d.scale()})")
    d.lines.append(f"local z[t] ~ Normal({' + '.join(mean)}, {q}) for t in 2:T")
    kind = rng.choice(("all", "all", "all", "first", "last", "second order", "drift"))
    if kind == "first":
        d.lines.append("observed y ~ Normal(z[1], 1)")
        d.lines.append("observed x[t] ~ Normal(0, 1)")
    elif kind == "last":
        d.lines.append("observed y ~ Normal(z[T], 1)")
        d.lines.append("observed x[t] ~ Normal(0, 1)")
    elif kind == "drift":
        d.need("given x[0] = 0")
        d.lines.append(f"observed x[t] ~ Normal(x[t-1] + z[t], {d.scale()})")
    else:
        d.lines.append(f"observed x[t] ~ Normal(({d.coefficient()})*z[t], {d.scale()})")
    if kind == "second order":
        d.lines.append(f"potential ({d.coefficient()})*z[t]*z[t-2] for t in 3:T")
    if rng.random() < 0.45 and phi:
        d.lines.append(f"potential ({-phi / q**2})*z[t]*z[t-1] for t in 2:T")
    return d.text()


# -- two indices -----------------------------------------------------------------------------


def _nested(rng: random.Random) -> str:
    end = rng.choice(("I", "I", "J[s]", "3"))
    d = Draft(rng, {"s": "S", "i": end})
    d.need("index s = 1:S")
    if end == "J[s]":
        d.need("given J[s]")
    d.need(f"index i = 1:{end}")
    pool: list[str] = []
    if rng.random() < 0.75:
        d.lines.append(f"local a[s] ~ Normal({_outer(d)}, {d.scale()})")
        pool.append("a")
    if rng.random() < 0.45 or not pool:
        pool.append("b")
        _inner(d, pool)
    if rng.random() < 0.2 and end == "I":
        d.lines.append(f"local d[i] ~ Normal(0, {d.scale()})")
        pool.append("d")
    for y in ("y", "v")[: rng.choice((1, 1, 2))]:
        _inner_observation(d, y, pool)
    if rng.random() < 0.3:
        _outer_observation(d, pool)
    if rng.random() < 0.2 and "b" in pool and end == "I":
        tied = " + a[s]" if "a" in pool and d.chance(0.3) else ""
        d.lines.append(f"observed q[s] ~ Normal(b[s,{rng.choice(('1', 'I', '2'))}]{tied}, 1)")
    if rng.random() < 0.3 and len(pool) > 1:
        u, v = (_at(d, name) for name in rng.sample(pool, 2))
        _pair(d, u, v, "s,i")
    return d.text()


def _at(d: Draft, name: str) -> Site:
    shapes = {"a": "a[s]", "b": "b[s,i]", "d": "d[i]"}
    return Site(shapes[name])


def _outer(d: Draft) -> str:
    kind = d.rng.choice(("0", "0", "mu", "c[s]", "g[s]"))
    if kind == "mu":
        return _global(d)
    if kind == "c[s]":
        d.need("given c[s]")
    if kind == "g[s]":
        d.need("global g[s] ~ Normal(0, 1)")
    return kind


def _inner(d: Draft, pool: list[str]) -> None:
    mean = [_outer(d)]
    if "a" in pool and d.chance(0.5):
        mean.append(f"({d.coefficient()})*a[s]")
    if d.chance(0.3) and d.sizes["i"] == "I":
        phi = d.rng.choice((Fraction(1, 2), Fraction(1), Fraction(0)))
        q = d.scale()
        d.lines.append("local b[s,1] ~ Normal(0, 1)")
        d.lines.append(
            f"local b[s,i] ~ Normal({' + '.join([*mean, f'({phi})*b[s,i-1]'])}, {q}) for i in 2:I"
        )
        if d.chance(0.3):
            d.lines.append(f"potential ({-phi / q**2})*b[s,i]*b[s,i-1] for s in 1:S, i in 2:I")
        return
    sd = str(d.scale())
    if d.chance(0.15) and d.sizes["i"] != "J[s]":
        d.need("given e[i] > 0")
        sd = "e[i]"
    d.lines.append(f"local b[s,i] ~ Normal({' + '.join(mean)}, {sd})")


def _inner_observation(d: Draft, y: str, pool: list[str]) -> None:
    names = d.rng.sample(pool, d.rng.choice((1, min(2, len(pool)))))
    parts = [f"({d.coefficient()})*{_at(d, name)}" for name in names]
    if d.chance(0.2):
        parts.append(_outer(d))
    ragged = d.sizes["i"] == "J[s]"
    if d.chance(0.12) and not ragged:
        d.need("given e[i] > 0")
        parts[0] = f"e[i]*{parts[0]}"
    if d.chance(0.12):
        d.need("given f[s,i]")
        parts.append(d.rng.choice(("f[s,i]", f"f[s,i]*{_at(d, names[0])}")))
    if d.chance(0.08) and not ragged:
        d.need("global u[i] ~ Normal(0, 1)")
        parts.append("u[i]")
    where = ""
    if d.chance(0.2):
        d.need(f"given {y}[s,0] = 0")
        parts.append(f"({d.rng.choice((1, 1, Fraction(1, 2)))})*{y}[s,i-1]")
    sd = str(d.scale())
    if d.chance(0.1):
        d.need("given o[s] > 0")
        sd = "o[s]"
    d.lines.append(f"observed {y}[s,i] ~ Normal({' + '.join(parts)}, {sd}){where}")


def _outer_observation(d: Draft, pool: list[str]) -> None:
    parts = []
    if "a" in pool:
        parts.append(f"({d.coefficient()})*a[s]")
    if "b" in pool and d.chance(0.6) and d.sizes["i"] != "J[s]":
        parts.append(f"({d.coefficient()})*sum(b[s,:])")
    if parts:
        d.lines.append(f"observed x[s] ~ Normal({' + '.join(parts)}, {d.scale()})")


def _pair(d: Draft, u: Site, v: Site, axes: str) -> None:
    a, b, sd = d.coefficient(), d.coefficient(), d.scale()
    k = d.rng.choice((Fraction(1), Fraction(1), Fraction(2)))
    off = d.rng.choice((1, 1, 1, 2))
    first: list[Term] = [(a, u), (b, v)]
    second: list[Term] = [(k * a, u), (-k * b, v)]
    d.lines.append(f"observed p[{axes}] ~ Normal({written(first)}, {sd})")
    d.lines.append(f"observed r[{axes}] ~ Normal({written(second)}, {k * sd * off})")


# -- memberships -----------------------------------------------------------------------------


def _mapped(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N", "i": "I"})
    for line in ("index n = 1:N", "index i = 1:I"):
        d.need(line)
    pool = ["z[g[i]]"]
    d.lines.append(f"local z[n] ~ Normal({_group_mean(d)}, {d.scale()})")
    if rng.random() < 0.35:
        parents = ["0", "0", f"({d.coefficient()})*z[g[i]]"]
        d.lines.append(f"local w[i] ~ Normal({rng.choice(parents)}, {d.scale()})")
        pool.append("w[i]")
    if rng.random() < 0.25:
        d.need("index m = 1:M")
        d.lines.append(f"local u[m] ~ Normal(0, {d.scale()})")
        pool.append("u[l[i]]")
    for y in ("y", "v")[: rng.choice((1, 1, 2))]:
        parts = [f"({d.coefficient()})*{p}" for p in rng.sample(pool, rng.randint(1, len(pool)))]
        if rng.random() < 0.2:
            d.need("given e[i]")
            parts.append(rng.choice(("e[i]", f"e[i]*{pool[0]}")))
        if rng.random() < 0.2:
            d.need("index k = 1:K")
            d.need("given q[i] in k")
            d.need("global h[k] ~ Normal(0, 1)")
            parts.append("h[q[i]]")
        if rng.random() < 0.15:
            parts.append(_global(d))
        d.lines.append(f"observed {y}[i] ~ Normal({' + '.join(parts)}, {d.scale()})")
    if rng.random() < 0.3:
        d.lines.append(f"observed x[n] ~ Normal(({d.coefficient()})*z[n], {d.scale()})")
    if rng.random() < 0.35 and len(pool) > 1:
        u, v = (Site(p) for p in rng.sample(pool, 2))
        _pair(d, u, v, "i")
    for given, use in (("given g[i] in n", "z[g[i]]"), ("given l[i] in m", "u[l[i]]")):
        if any(use in line for line in d.lines):
            d.need(given)
    return d.text()


def _group_mean(d: Draft) -> str:
    kind = d.rng.choice(("0", "0", "mu", "c[n]", "b[n]"))
    if kind == "mu":
        return _global(d)
    if kind == "c[n]":
        d.need("given c[n]")
    if kind == "b[n]":
        d.need("global b[n] ~ Normal(0, 1)")
    return kind
