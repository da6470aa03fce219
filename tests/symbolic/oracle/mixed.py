"""Random texts with non-Gaussian densities: links, scales, supports, classes and counts."""

from __future__ import annotations

import random

from .draft import Draft, Site, written

PRIORS = (
    "Normal(0, 1)", "Normal(mu, 1)", "StudentT(4, 0, 1)", "Laplace(0, 1)", "Gamma(2, 3)",
    "LogNormal(0, 1)", "Beta(2, 3)", "Bernoulli(1/3)", "Categorical([1/2, 1/3, 1/6])",
    "Normal(c[n], 1)", "Gamma(2, s[n])", "Normal(0, tau)",
)  # fmt: skip
LIKELIHOODS = (
    "Poisson(log_rate={})", "Bernoulli(logit={})", "Normal({}, 1)", "StudentT(5, {}, 2)",
    "Gamma(2, exp({}))", "Normal(0, exp({}))", "LogNormal({}, 1)", "Laplace({}, 1)",
    "Normal(sin({}), 1)", "Poisson(s[n]*exp({}))", "Exponential(exp({}))", "Normal({}, s[n])",
)  # fmt: skip


def mixed_text(rng: random.Random) -> tuple[str, str]:
    """A structure's name and a text."""
    name = rng.choice(("plate", "plate", "nested", "classes"))
    return f"mixed {name}", {"plate": _plate, "nested": _nested, "classes": _classes}[name](rng)


def _declare(d: Draft, line: str) -> str:
    """The line, with the givens and globals that it names declared."""
    for name, need in (
        ("mu", "global mu ~ Normal(0, 5)"), ("tau", "global tau ~ HalfNormal(1)"),
        ("c[n]", "given c[n]"), ("s[n]", "given s[n] > 0"), ("h[k[n]]", "given k[n] in m"),
    ):  # fmt: skip
        if name in line:
            if name == "h[k[n]]":
                d.need("index m = 1:M")
                d.need("global h[m] ~ Normal(0, 1)")
            d.need(need)
    return line


def _plate(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N"})
    d.need("index n = 1:N")
    names = ["z", "w"][: rng.choice((1, 2))]
    for name in names:
        if d.chance(0.2):
            d.lines.append(f"local {name}[1] ~ Normal(0, 1)")
            step = rng.choice(("Normal({0}/2, 1)", "Normal(0, exp({0}/4))", "StudentT(4, {0}, 1)",
                               "Normal(0*{0}, 1)"))  # fmt: skip
            d.lines.append(f"local {name}[n] ~ {step.format(name + '[n-1]')} for n in 2:N")
        else:
            d.lines.append(_declare(d, f"local {name}[n] ~ {rng.choice(PRIORS)}"))
    for x in ("x", "y")[: rng.choice((1, 2))]:
        sites = {Site(rng.choice(names) + "[{}]", "n", rng.choice((0, 0, 0, 1, -1)))
                 for _ in range(rng.choice((1, 1, 2)))}  # fmt: skip
        terms = [(d.coefficient(), s) for s in sorted(sites, key=str)]
        extra = rng.choice(("", "", "", " + mu", " + c[n]", " + h[k[n]]", " + n/9"))
        body = rng.choice(LIKELIHOODS).format(f"({written(terms)}{extra})")
        where = d.ranged([s for _, s in terms], "n")
        d.lines.append(_declare(d, f"observed {x}[n] ~ {body}{where}"))
    if d.chance(0.4):
        u, v = (Site(rng.choice(names) + "[{}]", "n", k) for k in (0, rng.choice((0, 1, -1))))
        if u != v:
            sd = d.scale()
            off = rng.choice((1, 1, 1, 2))
            where = d.ranged([u, v], "n")
            d.lines.append(f"observed p[n] ~ Normal({u} + {v}, {sd}){where}")
            d.lines.append(f"observed r[n] ~ Normal({u} - {v}, {sd * off}){where}")
    return d.text()


def _nested(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N", "i": "I"})
    for line in ("index n = 1:N", "index i = 1:I"):
        d.need(line)
    d.lines.append(_declare(d, f"local a[n] ~ {rng.choice(PRIORS[:4])}"))
    parts = ["a[n]"]
    if d.chance(0.5):
        prior = rng.choice(("Normal(a[n], 1)", "Normal(0, 1)", "Normal(0, exp(a[n]/3))"))
        d.lines.append(f"local b[n,i] ~ {prior}")
        parts.append("b[n,i]")
    if d.chance(0.15):
        d.lines.append("local d[i] ~ Normal(0, 1)")
        parts.append("d[i]")
    chosen = rng.sample(parts, rng.randint(1, len(parts)))
    body = rng.choice(LIKELIHOODS).format(f"({' + '.join(chosen)})")
    d.lines.append(_declare(d, f"observed y[n,i] ~ {body}"))
    return d.text()


def _classes(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N"})
    d.need("index n = 1:N")
    d.need("index k = 0:1")
    d.need("global e[k] ~ Normal(0, 3)")
    d.lines.append(f"local l[n] ~ {rng.choice(('Bernoulli(1/3)', 'Categorical([1/4, 3/4])'))}")
    noise = rng.choice(("1", "s[n]"))
    if d.chance(0.4):
        d.lines.append("local z[n] ~ Normal(0, 1)")
        mean = rng.choice(("e[l[n]] + z[n]", "e[l[n]]*z[n]", "z[n] + l[n]"))
        if "e[" not in mean:
            d.head = [line for line in d.head if "e[k]" not in line and "index k" not in line]
        d.lines.append(_declare(d, f"observed x[n] ~ Normal({mean}, {noise})"))
    else:
        d.lines.append(_declare(d, f"observed x[n] ~ Normal(e[l[n]], {noise})"))
        if d.chance(0.3):
            d.lines.append("potential (1/2)*l[n]*l[n+1] for n in 1:N-1")
    return d.text()
