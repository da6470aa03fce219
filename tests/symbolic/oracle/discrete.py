"""Random texts of two- and three-state locals: tables, some of which factorise exactly."""

from __future__ import annotations

import random
from fractions import Fraction

from .draft import Draft

COUPLINGS = (Fraction(1, 2), Fraction(1), Fraction(-3, 4))


def discrete_text(rng: random.Random) -> tuple[str, str]:
    """A structure's name and a text."""
    name = rng.choice(("chain", "plate", "pairs", "groups"))
    return name, {"chain": _chain, "plate": _plate, "pairs": _pairs, "groups": _groups}[name](rng)


def _row(rng: random.Random, count: int) -> list[Fraction]:
    parts = [rng.randint(1, 9) for _ in range(count)]
    return [Fraction(p, sum(parts)) for p in parts]


def _table(d: Draft, name: str, shape: tuple[int, ...], equal: float = 0.3) -> None:
    """A conditional table; some do not depend on one of their parents."""
    rng = d.rng
    deaf = [rng.random() < equal for _ in shape[:-1]]
    rows: dict[tuple[int, ...], list[Fraction]] = {}

    def build(place: tuple[int, ...]) -> object:
        if len(place) == len(shape) - 1:
            heard = tuple(0 if x else p for p, x in zip(place, deaf, strict=True))
            if heard not in rows:
                rows[heard] = _row(rng, shape[-1])
            return [f"{p}" for p in rows[heard]]
        return [build((*place, k)) for k in range(shape[len(place)])]

    d.need(f"given {name} = {str(build(())).replace(chr(39), '')}")


def _states(d: Draft) -> int:
    return d.rng.choice((2, 2, 3))


def _start(d: Draft, count: int) -> str:
    return f"Categorical([{', '.join(map(str, _row(d.rng, count)))}])"


def _couple(d: Draft, u: str, v: str, where: str) -> None:
    """A potential between two locals; sometimes a second one takes it back."""
    c = d.rng.choice(COUPLINGS)
    d.lines.append(f"potential ({c})*{u}*{v} for {where}")
    if d.chance(0.5):
        back = d.rng.choice((f"({-c})*{u}*{v}", f"({c / 2})*({u} - {v})**2", f"({c})*{u}*{v}"))
        d.lines.append(f"potential {back} for {where}")


def _chain(rng: random.Random) -> str:
    d = Draft(rng, {"t": "T"})
    d.need("index t = 1:T")
    k, m = _states(d), _states(d)
    _table(d, "A", (k, k), 0.35)
    _table(d, "B", (k, m), 0.15)
    d.lines.append(f"local z[1] ~ {_start(d, k)}")
    d.lines.append("local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T")
    if d.chance(0.25):
        _table(d, "C", (k, k, m))
        d.lines.append(f"observed x[1] ~ {_start(d, m)}")
        d.lines.append("observed x[t] ~ Categorical(C[z[t], z[t-1]]) for t in 2:T")
        d.head = [line for line in d.head if not line.startswith("given B")]
    else:
        d.lines.append("observed x[t] ~ Categorical(B[z[t]])")
    if d.chance(0.2):
        _couple(d, "z[t]", "z[t-1]", "t in 2:T")
    return d.text()


def _plate(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N"})
    d.need("index n = 1:N")
    k, m = _states(d), _states(d)
    d.lines.append(f"local z[n] ~ {_start(d, k)}")
    _table(d, "B", (k, m), 0.1)
    if d.chance(0.4):
        _table(d, "C", (k, k, m), 0.4)
        d.lines.append("observed y[n] ~ Categorical(C[z[n], z[n+1]]) for n in 1:N-1")
    if d.chance(0.7) or len(d.lines) == 1:
        d.lines.append("observed x[n] ~ Categorical(B[z[n]])")
    else:
        d.head = [line for line in d.head if not line.startswith("given B")]
    if d.chance(0.35):
        _couple(d, "z[n]", "z[n+1]", "n in 1:N-1")
    if d.chance(0.2):
        d.need("given c[n]")
        d.lines.append("potential c[n]*z[n] for n in 1:N")
    if d.chance(0.1):
        d.lines.append("potential n/9*z[n] for n in 1:N")
    if d.chance(0.2) and "observed x" in d.text():
        shift = d.rng.choice((0, 1))
        d.lines.append(f"potential (1/3)*z[n]*x[n+{shift}] for n in 1:N-{shift}".replace("+0", "")
                       .replace("N-0", "N"))  # fmt: skip
    return d.text()


def _pairs(rng: random.Random) -> str:
    d = Draft(rng, {"n": "N"})
    d.need("index n = 1:N")
    k, j, m = _states(d), _states(d), _states(d)
    d.lines.append(f"local z[n] ~ {_start(d, k)}")
    if d.chance(0.5):
        _table(d, "A", (k, j), 0.4)
        d.lines.append("local w[n] ~ Categorical(A[z[n]])")
    else:
        d.lines.append(f"local w[n] ~ {_start(d, j)}")
    shift = rng.choice((0, 0, 1))
    where = "" if not shift else " for n in 1:N-1"
    at = "n+1" if shift else "n"
    _table(d, "C", (k, j, m), 0.3)
    d.lines.append(f"observed x[n] ~ Categorical(C[z[n], w[{at}]]){where}")
    if d.chance(0.3):
        _couple(d, "z[n]", f"w[{at}]", f"n in 1:N-{shift}" if shift else "n in 1:N")
    return d.text()


def _groups(rng: random.Random) -> str:
    d = Draft(rng, {"s": "S", "i": "I"})
    for line in ("index s = 1:S", "index i = 1:I"):
        d.need(line)
    k, j, m = _states(d), _states(d), _states(d)
    d.lines.append(f"local a[s] ~ {_start(d, k)}")
    kind = rng.choice(("flat", "inner", "crossed"))
    if kind == "flat":
        _table(d, "B", (k, m), 0.1)
        d.lines.append("observed x[s,i] ~ Categorical(B[a[s]])")
    elif kind == "inner":
        _table(d, "A", (k, j), 0.35)
        _table(d, "B", (j, m), 0.1)
        d.lines.append("local b[s,i] ~ Categorical(A[a[s]])")
        d.lines.append("observed x[s,i] ~ Categorical(B[b[s,i]])")
    else:
        _table(d, "C", (k, j, m), 0.35)
        d.lines.append(f"local b[i] ~ {_start(d, j)}")
        d.lines.append("observed x[s,i] ~ Categorical(C[a[s], b[i]])")
    return d.text()
