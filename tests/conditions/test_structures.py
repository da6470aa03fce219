"""One model per structure of the notation, with the verdict that THEORY section 2 derives."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model


class Case(NamedTuple):
    """A model text and its verdict."""

    text: str
    closes: str
    simple: bool
    inputs: dict[str, list[str]]


STRUCTURES: dict[str, Case] = {
    "crossed effects": Case(
        """
        index i = 1:I
        index j = 1:J
        local a[i] ~ Normal(0,1)
        local b[j] ~ Normal(0,1)
        observed y[i,j] ~ Normal(a[i]+b[j],1)
        """,
        "no", False,
        {"a": ["y[:,:]"], "b": ["y[:,:]"]},
    ),
    "two locals per point": Case(
        """
        index n = 1:N
        local a[n] ~ Normal(0,1)
        local b[n] ~ Normal(0,1)
        observed y[n] ~ Normal(a[n]+b[n],1)
        """,
        "own", True,
        {"a": ["y[n]"], "b": ["y[n]"]},
    ),
    "three-level groups": Case(
        """
        index g = 1:G
        index i = 1:I
        index j = 1:J
        local a[g] ~ Normal(0,1)
        local b[g,i] ~ Normal(a[g],1)
        observed y[g,i,j] ~ Normal(b[g,i],1)
        """,
        "component", True,
        {"a": ["y[g,:,:]"], "b": ["y[g,:,:]"]},
    ),
    "topics": Case(
        """
        index d = 1:D
        index i = 1:L[d]
        index k = 0:2
        global phi[k] : R[4] ~ Dirichlet([1,1,1,1])
        local theta[d] : R[3] ~ Dirichlet([1,1,1])
        local z[d,i] ~ Categorical(theta[d])
        observed w[d,i] ~ Categorical(phi[z[d,i]])
        """,
        "component", True,
        {"theta": ["w[d,:]"], "z": ["w[d,:]"]},
    ),
    "observations on two neighbours": Case(
        """
        index t = 1:T
        local z[t] ~ Normal(0,1)
        observed x[t] ~ Normal(z[t]+z[t-1],1) for t in 2:T
        """,
        "no", False,
        {"z": ["x[:]"]},
    ),
    "orthogonal design": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n]+z[n+1],1) for n in 1:N-1
        observed y[n] ~ Normal(z[n]-z[n+1],1) for n in 1:N-1
        """,
        "inputs", False,
        {"z": ["x[n-1]", "x[n]", "y[n-1]", "y[n]"]},
    ),
    "telescoping inner range": Case(
        """
        index s = 1:S
        index t = 1:T
        given y[s,0] = 0
        local v[s] ~ Normal(0,1)
        observed y[s,t] ~ Normal(y[s,t-1]+v[s],1)
        """,
        "own", True,
        {"v": ["y[s,T]"]},
    ),
    "hub in every factor": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n]+z[1],1)
        """,
        "no", False,
        {"z": ["x[:]"]},
    ),
    "edge instance apart": Case(
        """
        index t = 1:T
        local z[t] ~ Normal(0,1) for t in 0:T
        observed x[t] ~ Normal(z[t],1)
        observed w ~ Normal(z[0],1)
        """,
        "own", False,
        {"z": ["x[t]"]},
    ),
    "chain observed at its start": Case(
        """
        index t = 1:T
        local z[1] ~ Normal(0,1)
        local z[t] ~ Normal(z[t-1],1) for t in 2:T
        observed x ~ Normal(z[1],1)
        """,
        "inputs", False,
        {"z": ["t", "x"]},
    ),
    "chain observed at three points": Case(
        """
        index t = 1:T
        local z[1] ~ Normal(0,1)
        local z[t] ~ Normal(z[t-1],1) for t in 2:T
        observed x[t] ~ Normal(z[t],1) for t in 1:3
        """,
        "inputs", False,
        {"z": ["t", "x[:]"]},
    ),
    "chain observed at its end": Case(
        """
        index t = 1:T
        local z[1] ~ Normal(0,1)
        local z[t] ~ Normal(z[t-1],1) for t in 2:T
        observed x[T] ~ Normal(z[T],1)
        """,
        "inputs", False,
        {"z": ["t", "x[T]"]},
    ),
    "global indexed by the group": Case(
        """
        index g = 1:G
        index i = 1:I
        global mu[g] ~ Normal(0,1)
        local z[g,i] ~ Normal(mu[g],1)
        observed x[g,i] ~ Normal(z[g,i],1)
        """,
        "inputs", False,
        {"z": ["g", "x[g,i]"]},
    ),
    "global selected by a map": Case(
        """
        index n = 1:N
        index k = 1:K
        given c[n] in k
        global b[k] ~ Normal(0,1)
        local z[n] ~ Normal(b[c[n]],1)
        observed x[n] ~ Normal(z[n],1)
        """,
        "inputs", False,
        {"z": ["c[n]", "x[n]"]},
    ),
    "item response, both local": Case(
        """
        index m = 1:M
        index i = 1:I
        index j = 1:J
        given person[m] in i
        given item[m] in j
        local theta[i] ~ Normal(0,1)
        local b[j] ~ Normal(0,1)
        observed y[m] ~ Bernoulli(logit=theta[person[m]]-b[item[m]])
        """,
        "no", False,
        {"theta": ["y[:]"], "b": ["y[:]"]},
    ),
    "item response, items global": Case(
        """
        index m = 1:M
        index i = 1:I
        index j = 1:J
        given person[m] in i
        given item[m] in j
        local theta[i] ~ Normal(0,1)
        global b[j] ~ Normal(0,1)
        observed y[m] ~ Bernoulli(logit=theta[person[m]]-b[item[m]])
        """,
        "inputs", False,
        {"theta": ["item[m: person[m]=i]", "y[m: person[m]=i]"]},
    ),
    "gaussian process": Case(
        """
        index n = 1:N
        given s[n]
        local f[:] ~ MultivariateNormal(0, exp(-(s[n]-s[m])**2)) over n, m
        observed x[n] ~ Normal(f[n],1)
        """,
        "no", False,
        {"f": ["s[:]", "x[:]"]},
    ),
    "dense sum in every factor": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n]+sum(z),1)
        """,
        "no", False,
        {"z": ["x[:]"]},
    ),
    "one dense sum": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n],1)
        observed y ~ Normal(sum(z),1)
        """,
        "no", False,
        {"z": ["x[:]", "y"]},
    ),
    "missing cells": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed y[n] ~ Normal(z[n],1) missing
        """,
        "own", True,
        {"z": ["y[n]"]},
    ),
    "cancellation broken by missing cells": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n]+z[n+1],1) for n in 1:N-1 missing
        observed y[n] ~ Normal(z[n]-z[n+1],1) for n in 1:N-1
        """,
        "no", False,
        {"z": ["x[:]", "y[:]"]},
    ),
    "observations on observations": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        given y[0] = 0
        observed y[n] ~ Normal(y[n-1]+z[n],1)
        """,
        "inputs", False,
        {"z": ["y[n-1]", "y[n]"]},
    ),
    "local without data": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        local w[n] ~ Normal(0,1)
        observed x[n] ~ Normal(w[n],1)
        """,
        "own", True,
        {"z": [], "w": ["x[n]"]},
    ),
    "county radon": Case(
        """
        index c = 1:C
        index i = 1:I
        given county[i] in c
        given u[c], f[i]
        global gam ~ Normal(0,1)
        local a[c] ~ Normal(gam*u[c],1)
        observed y[i] ~ Normal(a[county[i]]+gam*f[i],1)
        """,
        "inputs", False,
        {"a": ["f[i: county[i]=c]", "u[c]", "y[i: county[i]=c]"]},
    ),
    "ages common to all": Case(
        """
        index g = 1:G
        index j = 1:5
        given age[j]
        local a[g] ~ Normal(0,1)
        local b[g] ~ Normal(0,1)
        observed y[g,j] ~ Normal(a[g]+b[g]*age[j],1)
        """,
        "own", True,
        {"a": ["y[g,:]"], "b": ["y[g,:]"]},
    ),
    "balanced ages": Case(
        """
        index g = 1:G
        index j = 0:4
        given age = [-2,-1,0,1,2]
        local a[g] ~ Normal(0,1)
        local b[g] ~ Normal(0,1)
        observed y[g,j] ~ Normal(a[g]+b[g]*age[j],1)
        """,
        "own", True,
        {"a": ["y[g,:]"], "b": ["y[g,0]", "y[g,1]", "y[g,3]", "y[g,4]"]},
    ),
    "chain with phi 0": Case(
        """
        index t = 1:T
        given phi = 0
        local z[1] ~ Normal(0,1)
        local z[t] ~ Normal(phi*z[t-1],1) for t in 2:T
        observed x[t] ~ Normal(z[t], 1)
        """,
        "own", True,
        {"z": ["x[t]"]},
    ),
    "transition matrix with equal rows": Case(
        """
        index t = 1:T
        given A = [[0.7, 0.3], [0.7, 0.3]], B = [[0.8, 0.2], [0.2, 0.8]]
        local z[1] ~ Categorical([0.5, 0.5])
        local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
        observed x[t] ~ Categorical(B[z[t]])
        """,
        "own", False,
        {"z": ["x[t]"]},
    ),
    "explicit position": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n]*exp(-n/10),1)
        """,
        "inputs", False,
        {"z": ["n", "x[n]"]},
    ),
    "many sequences": Case(
        """
        index s = 1:S
        index t = 1:T
        local z[s,1] ~ Normal(0,1)
        local z[s,t] ~ Normal(z[s,t-1],1) for t in 2:T
        observed x[s,t] ~ Normal(z[s,t],1)
        """,
        "component", True,
        {"z": ["x[s,:]"]},
    ),
    "positions of a fixed-size index": Case(
        """
        index n = 1:N
        index k = 1:3
        local z[n,k] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n,1]+z[n,2]*z[n,3],1)
        """,
        "component", True,
        {"z": ["x[n]"]},
    ),
    "fixed positions that differ": Case(
        """
        index n = 1:N
        index k = 1:2
        local z[n,k] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n,1],1)
        observed y[n] ~ Normal(z[n,2],2)
        """,
        "inputs", False,
        {"z": ["k", "x[n]", "y[n]"]},
    ),
    "support that depends on a local": Case(
        """
        index n = 1:N
        local z[n] ~ Gamma(2,1)
        local w[n] ~ Uniform(0, z[n])
        observed x[n] ~ Normal(w[n],1)
        """,
        "own", True,
        {"z": ["x[n]"], "w": ["x[n]"]},
    ),
    "binomial count": Case(
        """
        index n = 1:N
        local k[n] ~ Poisson(4)
        observed x[n] ~ Binomial(k[n], 0.3)
        """,
        "own", True,
        {"k": ["x[n]"]},
    ),
    "kink": Case(
        """
        index n = 1:N
        local z[n] ~ Laplace(0,1)
        observed x[n] ~ Laplace(z[n],1)
        """,
        "own", True,
        {"z": ["x[n]"]},
    ),
    "group effect and own effect": Case(
        """
        index i = 1:I
        index k = 1:K
        given g[i] in k
        local z[k] ~ Normal(0,1)
        local w[i] ~ Normal(0,1)
        observed x[i] ~ Normal(z[g[i]]+w[i],1)
        """,
        "component", True,
        {'z': ['x[i: g[i]=k]'], 'w': ["x[i': g[i']=g[i]]"]},
    ),
    "scalar local in every prior": Case(
        """
        index n = 1:N
        local a ~ Normal(0,1)
        local z[n] ~ Normal(a,1)
        observed x[n] ~ Normal(z[n],1)
        """,
        "no", False,
        {"a": ["x[:]"], "z": ["x[:]"]},
    ),
    "prior split in two statements": Case(
        """
        index n = 1:N
        local z[1] ~ Normal(0,1)
        local z[n] ~ Normal(0,1) for n in 2:N
        observed x[n] ~ Normal(z[n],1)
        """,
        "own", True,
        {"z": ["x[n]"]},
    ),
    "index of three with literal scales": Case(
        """
        index n = 1:3
        given s = [1,2,3]
        local z[n] ~ Normal(0,1)
        observed x[n] ~ Normal(z[n],s[n-1])
        """,
        "inputs", False,
        {"z": ["s[n-1]", "x[n]"]},
    ),
    "markov field": Case(
        """
        index i = 1:N
        local z[i] ~ Normal(0,1)
        observed x[i] ~ Normal(z[i],1)
        potential -2*(z[i]-z[i+1])**2 for i in 1:N-1
        """,
        "no", False,
        {"z": ["x[:]"]},
    ),
    "network of observations": Case(
        """
        index g = 1:G
        index i = 1:I
        network f : R[6] -> R[1]
        local z[g] ~ Normal(0,1)
        observed y[g,i] ~ Normal(z[g],1)
        observed w[g] ~ Normal(z[g] + f(y[g,:]),1)
        """,
        "own", True,
        {"z": ["w[g]", "y[g,:]"]},
    ),
    "network with a prior": Case(
        """
        index n = 1:N
        network f : R[2] -> R[3] ~ Normal(0,1)
        local z[n] : R[2] ~ Normal(0,1)
        observed x[n] : R[3] ~ Normal(f(z[n]),1)
        """,
        "own", True,
        {"z": ["x[n]"]},
    ),
    "component means local": Case(
        """
        index n = 1:N
        index k = 0:2
        local mu[k] ~ Normal(0,1)
        local c[n] ~ Categorical([0.2,0.3,0.5])
        observed x[n] ~ Normal(mu[c[n]],1)
        """,
        "no", False,
        {"mu": ["x[:]"], "c": ["x[:]"]},
    ),
    "fixed offset": Case(
        """
        index n = 1:N
        local a[n] ~ Normal(0,1)
        local b[n] ~ Normal(0,1)
        observed x[n] ~ Normal(a[n],1)
        observed y[n] ~ Normal(a[n]+b[n+1],1) for n in 1:N-1
        """,
        "inputs", False,
        {"a": ["x[n]", "y[n]"], "b": ["x[n-1]", "y[n-1]"]},
    ),
    "observations chained apart": Case(
        """
        index n = 1:N
        local z[n] ~ Normal(0,1)
        observed y[n] ~ Normal(z[n],1)
        observed v[n] ~ Normal(v[n-1],1) for n in 2:N
        observed v[1] ~ Normal(0,1)
        """,
        "own", False,
        {"z": ["y[n]"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure(name: str) -> None:
    case = STRUCTURES[name]
    report = check(Model(case.text), witness=False)
    assert report.closes == case.closes, str(report)
    assert {k: list(v.inputs) for k, v in report.locals.items()} == {
        k: sorted(v) for k, v in case.inputs.items()
    }
    assert report.simple_hierarchical is case.simple, str(report)
    assert report.simple_hierarchical == (
        report.closes in {"own", "component"}
        and all(c.verdict == "holds" for c in report.conditions)
    )
    json.dumps(report.to_dict())
    assert str(report)
    assert report.explain()
