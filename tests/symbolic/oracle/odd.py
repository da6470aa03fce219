"""Random Gaussian texts of rarer shapes: offset cycles, hubs, literal positions, whole sums."""

from __future__ import annotations

import random
from fractions import Fraction

from .draft import Draft, Site, written


def odd_text(rng: random.Random) -> tuple[str, str]:
    """A structure's name and a text."""
    make = rng.choice((_cycle, _literal, _whole, _tree, _outer_chain, _mapped_chain, _two_series))
    return f"odd{make.__name__.replace('_', ' ')}", make(rng)


def _draft(rng: random.Random, **sizes: str) -> Draft:
    d = Draft(rng, sizes)
    for letter, end in sizes.items():
        d.need(f"index {letter} = 1:{end}")
    return d


def _observed(d: Draft, name: str, sites: list[Site], extra: str = "") -> None:
    terms = [(d.coefficient(), s) for s in sites]
    d.lines.append(
        f"observed {name}[n] ~ Normal({written(terms)}{extra}, {d.scale()}){d.ranged(sites, 'n')}"
    )


def _cycle(rng: random.Random) -> str:
    """Locals tied in a ring with offsets; a net offset makes the component grow."""
    d = _draft(rng, n="N")
    names = rng.choice((["z", "w"], ["z", "w", "u"]))
    for name in names:
        d.lines.append(f"local {name}[n] ~ Normal(0, {d.scale()})")
    net = 0
    for k, (a, b) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
        step = rng.choice((0, 0, 1, -1))
        if k == len(names) - 1 and rng.random() < 0.6 and abs(net) <= 2:
            step = -net
        net += step
        if rng.random() < 0.85:
            _observed(d, f"x{k}", [Site(a + "[{}]", "n"), Site(b + "[{}]", "n", step)])
    if not any(line.startswith("observed") for line in d.lines):
        _observed(d, "x", [Site("z[{}]", "n")])
    if rng.random() < 0.3:
        d.need("given c[n]")
        d.lines.append(f"observed v[n] ~ Normal(c[n]*{rng.choice(names)}[n], 1)")
    return d.text()


def _literal(rng: random.Random) -> str:
    """Positions written down: the first, the last, hubs."""
    d = _draft(rng, n="N")
    d.lines.append(f"local z[n] ~ Normal(0, {d.scale()})")
    if rng.random() < 0.4:
        d.lines.append(f"local w[n] ~ Normal(0, {d.scale()})")
    locals_ = ["z", "w"][: len(d.lines)]
    hub = rng.choice(("z[1]", "z[N]", "z[2]"))
    kind = rng.choice(("hub", "edge", "both ends", "single"))
    base = Site(rng.choice(locals_) + "[{}]", "n", rng.choice((0, 0, 1)))
    if kind == "hub":
        _observed(d, "x", [base], f" + {hub}")
    else:
        _observed(d, "x", [base])
    if kind == "edge":
        d.lines.append(f"observed y ~ Normal({d.coefficient()}*{hub}, 1)".replace("*", " * ", 1))
    elif kind == "both ends":
        d.lines.append("observed y ~ Normal(z[1] + z[N], 1)")
    elif kind == "single":
        d.lines.append("local a ~ Normal(0, 1)")
        d.lines.append(f"observed y ~ Normal(a + {hub}, 1)")
    return d.text()


def _whole(rng: random.Random) -> str:
    """Sums over a whole index, or over the inner one."""
    if rng.random() < 0.5:
        d = _draft(rng, n="N")
        d.lines.append(f"local z[n] ~ Normal(0, {d.scale()})")
        _observed(d, "x", [Site("z[{}]", "n", rng.choice((0, 0, 1)))])
        if rng.random() < 0.7:
            d.lines.append(f"observed y ~ Normal(({rng.choice((1, 1, 0))})*sum(z), {d.scale()})")
        return d.text()
    d = _draft(rng, n="N", i="I")
    d.lines.append(f"local z[n,i] ~ Normal(0, {d.scale()})")
    d.lines.append(f"observed x[n,i] ~ Normal(({d.coefficient()})*z[n,i], {d.scale()})")
    which = rng.choice(("z[n,:]", "z[n,:]", "x[n,:]"))
    d.lines.append(f"observed y[n] ~ Normal(sum({which}), {d.scale()})")
    if rng.random() < 0.3:
        d.lines.append("local a[n] ~ Normal(0, 1)")
        d.lines.append("observed v[n] ~ Normal(a[n] + sum(z[n,:]), 1)")
    return d.text()


def _tree(rng: random.Random) -> str:
    """Three levels; each may pass its effect on or not."""
    d = _draft(rng, n="N", s="S", i="I")
    d.lines.append(f"local a[n] ~ Normal(0, {d.scale()})")
    up = rng.choice((Fraction(1), Fraction(1), Fraction(0)))
    d.lines.append(f"local b[n,s] ~ Normal(({up})*a[n], {d.scale()})")
    parts = [f"({d.coefficient()})*b[n,s]"]
    if rng.random() < 0.3:
        parts.append("a[n]")
    if rng.random() < 0.25:
        d.need("given c[n,s]")
        parts.append("c[n,s]")
    if rng.random() < 0.25:
        d.need("given e[i] > 0")
        parts[0] = f"e[i]*{parts[0]}"
    d.lines.append(f"observed y[n,s,i] ~ Normal({' + '.join(parts)}, {d.scale()})")
    if rng.random() < 0.3:
        d.lines.append("observed x[n] ~ Normal(a[n], 1)")
    return d.text()


def _outer_chain(rng: random.Random) -> str:
    """A chain over the outer index with an inner plate."""
    d = _draft(rng, n="N", i="I")
    phi = rng.choice((Fraction(1), Fraction(1, 2), Fraction(0)))
    q = d.scale()
    d.lines.append("local a[1] ~ Normal(0, 1)")
    d.lines.append(f"local a[n] ~ Normal(({phi})*a[n-1], {q}) for n in 2:N")
    if rng.random() < 0.4:
        d.lines.append(f"potential ({-phi / q**2})*a[n]*a[n-1] for n in 2:N")
    up = rng.choice((Fraction(1), Fraction(0)))
    d.lines.append(f"local b[n,i] ~ Normal(({up})*a[n], {d.scale()})")
    d.lines.append(f"observed y[n,i] ~ Normal(({d.coefficient()})*b[n,i], {d.scale()})")
    if rng.random() < 0.3:
        where = rng.choice(("a[n]", "a[n-1]"))
        span = " for n in 2:N" if "-" in where else ""
        d.lines.append(f"observed x[n,i] ~ Normal(b[n,i] + {where}, 1){span}")
    return d.text()


def _mapped_chain(rng: random.Random) -> str:
    """Groups that are a chain themselves, seen through a map."""
    d = _draft(rng, n="N", i="I")
    d.need("given g[i] in n")
    phi = rng.choice((Fraction(1), Fraction(0)))
    d.lines.append("local z[1] ~ Normal(0, 1)")
    d.lines.append(f"local z[n] ~ Normal(({phi})*z[n-1], 1) for n in 2:N")
    if rng.random() < 0.4:
        d.lines.append(f"potential ({-phi})*z[n]*z[n-1] for n in 2:N")
    d.lines.append(f"observed y[i] ~ Normal(({d.coefficient()})*z[g[i]], {d.scale()})")
    if rng.random() < 0.3:
        d.lines.append(f"local w[i] ~ Normal(({rng.choice((0, 1))})*z[g[i]], 1)")
        d.lines.append("observed v[i] ~ Normal(w[i], 1)")
    return d.text()


def _two_series(rng: random.Random) -> str:
    """Two series, crossed in time; one link may cancel the other."""
    d = _draft(rng, n="N")
    for name, other in (("z", "w"), ("w", "z")):
        phi = rng.choice((Fraction(0), Fraction(0), Fraction(1, 2)))
        psi = rng.choice((Fraction(0), Fraction(0), Fraction(1)))
        d.lines.append(f"local {name}[1] ~ Normal(0, 1)")
        d.lines.append(
            f"local {name}[n] ~ Normal(({phi})*{name}[n-1] + ({psi})*{other}[n-1], 1) for n in 2:N"
        )
    for x, name in (("x", "z"), ("y", "w")):
        lag = rng.choice((0, 0, 1, 2))
        d.lines.append(f"observed {x}[n] ~ Normal({Site(name + '[{}]', 'n', -lag)}, 1)"
                       + (f" for n in {1 + lag}:N" if lag else ""))  # fmt: skip
    return d.text()
