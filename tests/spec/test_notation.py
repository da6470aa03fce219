"""The notation: what texts mean, in sympy's terms, and the laws of reading."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
import sympy
from sympy import Rational, Symbol

from avi_theory.gallery import gallery_names, load
from avi_theory.spec import terms
from avi_theory.spec.model import Model
from avi_theory.spec.notation import parse
from avi_theory.spec.terms import index_symbol, ref, scalar_symbol

_SPEC = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
fuzz = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz)

N, n, t, T = (index_symbol(name) for name in "NntT")
BASE = "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n"


def mean(expression: str, before: str = BASE) -> sympy.Expr:
    """The mean of x[n] under a text that ends in ``observed x[n] ~ Normal(expression, 1)``."""
    return Model(f"{before}observed x[n] ~ Normal({expression}, 1)").densities[-1].arguments["mean"]


# -- meaning -----------------------------------------------------------------------------------


def test_indices_sizes_and_ranges() -> None:
    m = Model("index n = 1:N\nlocal z[n] ~ Normal(0, 1)")
    assert m.sizes == ("N",)
    (r,) = m.densities[0].ranges
    assert (r.letter, r.low, r.high) == (n, 1, N)
    assert m.densities[0].target == ref("z", n)


def test_ragged_index_brings_its_sizes_or_takes_the_declared_ones() -> None:
    body = "observed y[n,j] ~ Normal(0, 1)"
    for given in ("", "given J[n]\n"):
        m = Model(f"index n = 1:N\nindex j = 1:J[n]\n{given}{body}")
        assert m.indices["j"].parents == ("n",)
        assert m.variables["y"].axes[1].high == ref("J", n)
        assert m.givens["J"].axes[0].high == N
        assert [str(r.letter) for r in m.densities[0].ranges] == ["n", "j"]


def test_decimals_are_exact() -> None:
    m = Model(
        "given tau = 1.155, s = 1e-3\nglobal mu ~ Normal(0.1, tau)\nobserved x ~ Normal(mu, s)"
    )
    assert m.givens["tau"].value == Rational(1155, 1000)
    assert m.givens["s"].value == Rational(1, 1000)
    assert m.densities[0].arguments["mean"] == Rational(1, 10)


def test_array_literals_are_nested_tuples() -> None:
    m = Model(
        "index t = 1:T\ngiven A = [[0.7, 0.3],\n  [0.3, 0.7]]  # continued\n"
        "local z[1] ~ Categorical([0.5, 0.5])\nlocal z[t] ~ Categorical(A[z[t-1]]) for t in 2:T"
    )
    assert m.givens["A"].shape == (2, 2)
    assert m.givens["A"].value[0] == (Rational(7, 10), Rational(3, 10))
    assert m.densities[1].arguments["p"] == ref("A", ref("z", t - 1))
    assert m.densities[0].arguments["p"] == terms.vector(Rational(1, 2), Rational(1, 2))
    assert m.variables["z"].categories == 2
    assert (m.variables["z"].axes[0].low, m.variables["z"].axes[0].high) == (1, T)


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ("z[n]/2 - 0.5", ref("z", n) / 2 - Rational(1, 2)),
        ("sqrt(2)*z[n]", sympy.sqrt(2) * ref("z", n)),
        ("n*z[n]/N", n * ref("z", n) / N),
        ("sigmoid(z[n])", terms.sigmoid(ref("z", n))),
        ("min(z[n], 1)", terms.minimum(ref("z", n), 1)),
        ("max(z[n], 1, n)", terms.maximum(terms.maximum(ref("z", n), 1), n)),
        ("abs(z[n])", sympy.Abs(ref("z", n), evaluate=False)),
        ("softplus(-z[n])**2", terms.softplus(-ref("z", n)) ** 2),
        ("--z[n]", ref("z", n)),
    ],
)  # fmt: skip
def test_expressions(expression: str, meaning: sympy.Expr) -> None:
    assert mean(expression) == meaning


@pytest.mark.parametrize(
    "letter", ["I", "N", "S", "E", "beta", "Q", "O", "pi", "gamma", "zeta", "μ"]
)
def test_every_letter_is_a_plain_symbol(letter: str) -> None:
    m = Model(f"global {letter} ~ Normal(0, 1)\nobserved x ~ Normal({letter}, 1)")
    assert m.densities[1].arguments["mean"] == scalar_symbol(letter)
    assert isinstance(m.densities[1].arguments["mean"], Symbol)


def test_sums_have_a_bound_letter_and_the_axis_limits() -> None:
    total = mean("sum(z)")
    assert isinstance(total, sympy.Sum)
    letter, low, high = total.limits[0]
    assert (low, high) == (1, N)
    assert letter != n
    assert total.function == ref("z", letter)
    ragged = (
        Model(
            "index n = 1:N\nindex j = 1:J[n]\nlocal a[n,j] ~ Normal(0, 1)\n"
            "observed x[n] ~ Normal(sum(a[n,:]), 1)"
        )
        .densities[-1]
        .arguments["mean"]
    )
    assert ragged.limits[0][1:] == (1, ref("J", n))
    assert ragged.function == ref("a", n, ragged.limits[0][0])


def test_sum_of_products_shares_its_letter() -> None:
    before = "index n = 1:N\nindex j = 1:J\nglobal b[j] ~ Normal(0, 1)\ngiven w[n,j]\n"
    total = mean("sum(w[n,:]*b)", before)
    k = total.limits[0][0]
    assert total.function == ref("w", n, k) * ref("b", k)


def test_vectors_coordinates_and_products() -> None:
    before = "index n = 1:N\ngiven A = [[1, 2], [3, 4]]\nlocal z[n] : R[2] ~ Normal(0, 1)\n"
    weighted = before + "potential A[0,0]*z[n][0] for n in 1:N\n"
    assert mean("z[n][1]", weighted) == terms.pick(ref("z", n), 1)
    product = mean("(A @ z[n])[0]", before)
    assert product == terms.pick(terms.matvec(scalar_symbol("A"), ref("z", n)), 0)
    before = "index n = 1:N\nlocal z[n] : R[2] ~ Normal(0, 1)\n"
    assert mean("sum(z[n])", before) == terms.total(ref("z", n))
    assert Model(before).variables["z"].dim == 2


def test_networks() -> None:
    m = Model(
        "index n = 1:N\nnetwork f : R[3] -> R[7] ~ Normal(0, 1)\nnetwork g : R[2] -> R[1]\n"
        "local z[n] : R[2] ~ Normal(0, 1)\nlocal a[n] ~ Normal(g(z[n]), 1)\n"
        "observed x[n] : R[7] ~ Bernoulli(logit=f(z[n], a[n]))"
    )
    call = terms.network_call("f", ref("z", n), ref("a", n))
    assert m.densities[-1].arguments == {"logit": call}
    assert m.networks["f"].prior == ("Normal", {"mean": 0, "sd": 1})
    assert m.networks["g"].prior is None
    assert m.variables["x"].dim == 7


def test_a_network_sees_whole_ranges() -> None:
    m = Model(
        "index g = 1:G\nindex i = 1:5\nnetwork f : R[5] -> R[1]\nobserved y[g,i]\n"
        "local z[g] ~ Normal(f(y[g,:]), 1)"
    )
    expected = terms.network_call("f", ref("y", index_symbol("g"), terms.ALL))
    assert m.densities[0].arguments["mean"] == expected


def test_maps_and_labels() -> None:
    m = Model(
        "index n = 1:N\nindex i = 1:I\nindex k = 0:1\ngiven g[i] in n\ngiven b[n]\n"
        "global mu[k] ~ Normal(0, 1)\nlocal c[n] ~ Bernoulli(0.3)\n"
        "observed x[i] ~ Normal(mu[c[g[i]]] + mu[b[g[i]]], 1)"
    )
    assert m.givens["g"].member_of == "n"
    assert m.givens["b"].member_of == "k"  # it was seen as a subscript of mu
    gi = ref("g", index_symbol("i"))
    expected = ref("mu", ref("c", gi)) + ref("mu", ref("b", gi))
    assert m.densities[-1].arguments["mean"] == expected


def test_edge_values() -> None:
    m = Model(
        "index s = 1:S\nindex t = 1:T\ngiven x[s,0] = 0, x[s,-1] = 1/2\n"
        "observed x[s,t] ~ Normal(x[s,t-1] + x[s,t-2], 1)"
    )
    first, second = m.edge_values
    s = index_symbol("s")
    assert (first.subscripts, first.value) == ((s, 0), 0)
    assert (second.subscripts, second.value) == ((s, -1), Rational(1, 2))
    assert first.ranges[0].high == index_symbol("S")
    assert m.variables["x"].axes[1].low == 1


def test_observed_points_without_density_are_conditioned_on() -> None:
    m = Model("index t = 1:T\nobserved x[t] ~ Normal(x[t-1], 1) for t in 2:T")
    assert m.variables["x"].axes[0].low == 1
    alone = Model(
        "index t = 1:T\nlocal z[t] ~ Normal(0, 1)\nobserved x[t] ~ Normal(z[t], 1) for t in 2:T"
    )
    assert alone.variables["x"].axes[0].low == 2  # nothing reads x[1]


def test_joint_prior_over_an_index() -> None:
    m = Model(
        "index n = 1:N\ngiven s[n]\n"
        "local f[:] ~ MultivariateNormal(0, exp(-(s[n] - s[m])**2)) over n, m\n"
        "observed x[n] ~ Normal(f[n], 1)"
    )
    d = m.densities[0]
    assert (d.subscripts, d.over) == ((), (n, index_symbol("m")))
    assert [str(r) for r in d.ranges] == ["n in 1:N"]
    assert m.variables["f"].letters == ("n",)


def test_potentials_bind_letters_declared_or_not() -> None:
    m = Model(
        "index n = 1:N\nlocal z[n] ~ Flat()\n"
        "potential -(z[i] - z[i+1])**2 for i in 1:N-1\n"
        "potential z[i]*z[j] for i in 1:N-1, j in i+1:N"
    )
    assert [str(r) for r in m.potentials[0].ranges] == ["i in 1:N - 1"]
    assert [str(r.letter) for r in m.potentials[1].ranges] == ["i", "j"]


def test_axis_letters_come_from_the_index_sets() -> None:
    m = Model(
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nlocal z[v] ~ Normal(z[v-1], 1) for v in 2:T"
    )
    assert m.variables["z"].letters == ("t",)
    assert m.densities[1].target == ref("z", index_symbol("v"))


def test_supports_and_categories() -> None:
    m = Model(
        "global a ~ HalfNormal(1)\nglobal p : R[3] ~ Dirichlet([1, 1, 1])\n"
        "observed b ~ Bernoulli(0.5)\nobserved c ~ Categorical(p)\n"
        "observed d ~ Poisson(log_rate=a)\nobserved e ~ Flat()"
    )
    assert {n: v.support for n, v in m.variables.items()} == {
        "a": "positive", "p": "simplex", "b": "binary", "c": "categories", "d": "count",
        "e": "real",
    }  # fmt: skip
    assert m.variables["b"].categories == 2
    assert m.variables["c"].categories == 3
    assert m.variables["d"].categories is None


def test_missing_and_comments() -> None:
    m = Model("# nothing\nindex n = 1:N # a\nobserved x[n] ~ Normal(0, # b\n  1) missing")
    assert m.variables["x"].missing


@pytest.mark.parametrize(
    "text",
    [
        "index t = 1:T\nlocal z[T] ~ Normal(0, 1)\nlocal z[t] ~ Normal(z[t+1], 1) for t in 1:T-1",
        "index i = 1:I\nindex j = 1:J\ngiven z[i,0] = 0, z[0,j] = 0\n"
        "local z[i,j] ~ Normal(z[i-1,j] + z[i,j-1], 1)",
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nobserved x[t] ~ Normal(z[t], 1)\n"
        "local z[t] ~ Normal(x[t-1], 1) for t in 2:T",
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nlocal z[T] ~ Normal(z[1], 1)\n"
        "local z[t] ~ Normal(z[t+1], 1) for t in 2:T-1",
        "index n = 1:9\ngiven up[n] in n\nlocal z[1] ~ Normal(0, 1)\n"
        "local z[n] ~ Normal(z[up[n]], 1) for n in 2:9",
    ],
)
def test_acyclic_directions_are_accepted(text: str) -> None:
    parse(text)


# -- laws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", gallery_names())
def test_the_order_of_statements_means_nothing(name: str) -> None:
    text = load(name).text
    statements = [s for s in text.splitlines() if s.strip()]
    forward, backward = parse(text), parse("\n".join(reversed(statements)))

    def bare(fields: dict[str, Any]) -> set[str]:
        return {
            f"{d.target} {d.ranges} {d.distribution} {d.arguments}" for d in fields["densities"]
        }

    assert bare(forward) == bare(backward)
    assert {n: (v.axes, v.support) for n, v in forward["variables"].items()} == {
        n: (v.axes, v.support) for n, v in backward["variables"].items()
    }


def test_a_text_parses_fast() -> None:
    parse(fuzz.EVERYTHING)
    start = time.perf_counter()
    for _ in range(5):
        parse(fuzz.EVERYTHING)
    assert (time.perf_counter() - start) / 5 < 0.05 * 4  # four times the usual, for a busy machine


def test_nothing_but_model_errors_escapes() -> None:
    read, seconds, text = fuzz.slowest(2000, seed=1)
    assert read > 100
    assert seconds < 5, text


def test_check_survives_every_model_that_parses() -> None:
    read, seconds, text = fuzz.slowest(200, seed=2, decide=True)
    assert read > 20
    assert seconds < 5, text
