# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Discrete chains: many optima, and what "exact" means
#
# Two states, two symbols, eight steps: 256 possible data sets. Everything can be enumerated, so the best function
# of any window is known without training anything.

# %%
import matplotlib.pyplot as plt
import numpy as np

from avi_theory import Model, check, load, predict
from avi_theory.figures import AVI, FVI, GREY, STYLE

plt.rcParams.update(STYLE)
TEXT = """
index t = 1:T
given A = [[{stay}, {leave}], [{leave}, {stay}]]
given B = [[0.8, 0.2], [0.2, 0.8]]
local z[1] ~ Categorical([0.5, 0.5])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
observed x[t] ~ Categorical(B[z[t]])
"""


def chain(stay, steps):
    return Model(TEXT.format(stay=stay, leave=round(1 - stay, 3)), T=steps)


# %%
windows = [predict(load("hmm"), window=k, sharing="per-position") for k in range(4)]
figure, axes = plt.subplots(figsize=(5.0, 3.2), layout="constrained")
axes.semilogy(
    range(4), [p.gap_per_latent for p in windows], "o-", color=AVI, label="best table of the window"
)
axes.axhline(
    windows[0].approximation_gap / 8, color=FVI, linestyle="--", label="cost of factorizing"
)
axes.set_xticks(range(4))
axes.set_xlabel("half-width $k$ of the window (positions)")
axes.set_ylabel("gap (nats per latent)")
_ = axes.legend()

# %% [markdown]
# Each point is exact: the expectation over all 256 sequences with their probabilities, of the best table with one entry
# for each window and position. What amortization costs falls below what factorizing costs as soon as the window holds the two neighbours.
#
# ## Two positions that settle it

# %%
report = check(load("hmm"))
print(report.witness.how)
report.plot()

# %% [markdown]
# ## How the optimum is found, by hand
#
# Given its neighbours, the best factor has log odds
#
# $$\eta_t = a\,(2x_t - 1) + \ell\,(q_{t-1} - \tfrac12) \cdot 2 + \ell\,(q_{t+1} - \tfrac12) \cdot 2, \qquad
# a = \log\tfrac{e}{1-e}, \quad \ell = \log\tfrac{p}{1-p},$$
#
# with $q_t$ the probability of state 1, $p$ the probability to stay and $e$ that of the right symbol. Visit the
# positions in turn until nothing moves.


# %%
def coordinate_ascent(x, stay, right, start):
    link, sight = np.log(stay / (1 - stay)), np.log(right / (1 - right))
    q = np.array(start, float)
    for _ in range(500):
        for t in range(len(x)):
            near = sum(2 * q[s] - 1 for s in (t - 1, t + 1) if 0 <= s < len(x))
            q[t] = 1 / (1 + np.exp(-sight * (2 * x[t] - 1) - link * near))
    return q


x = np.array([0, 0, 1, 0, 1, 1, 0, 1])
ends = {
    stay: [coordinate_ascent(x, stay, 0.6, np.full(8, s)) for s in (0.02, 0.98)]
    for stay in (0.7, 0.9)
}

# %%
figure, panels = plt.subplots(1, 2, figsize=(6.4, 2.8), layout="constrained", sharey=True)
for axes, (stay, found) in zip(panels, ends.items(), strict=True):
    axes.plot(range(1, 9), found[0], "o-", color=FVI, label="from all in state 0")
    axes.plot(range(1, 9), found[1], "s--", color=AVI, label="from all in state 1")
    axes.plot(range(1, 9), x, "x", color=GREY, label="symbol seen")
    axes.set_xlabel("position $t$")
    axes.set_title(f"stay with probability {stay}")
panels[0].set_ylabel("$q(z_t = 1)$")
_ = panels[0].legend()

# %% [markdown]
# In the left chain both starts end at the same place. In the right one there are two optima: the chain is so sticky that
# the factors keep each other where they began. F-VI is the best of *all* optima; who stops at the first may compare A-VI
# with a bad one, and find that amortizing "gains".
#
# ## A certificate
#
# A probability moves by at most a quarter of what its log odds move by, and these by $2\ell$ per unit of a neighbour's
# probability. With two neighbours that is $\frac14 \cdot 2\ell \cdot 2 = \ell$: the map is a contraction, and the optimum the
# only one, if $\log\frac{p}{1-p} < 1$, which is $p < 0.731$.

# %%
print(f"stay = {1 / (1 + np.exp(-1)):.4f} is the limit")
print("0.7:", predict(chain(0.7, 6), window=0).kind)
print("0.8:", predict(chain(0.8, 6), window=0).kind)

# %% [markdown]
# `exact` is a claim about optima, not about digits. Beyond the limit the package starts many times, keeps the best, and
# says `upper`: the table that it found costs this much, and a better one may exist.

# %%
stays = (0.55, 0.6, 0.65, 0.7, 0.73, 0.76, 0.8, 0.85)
found = [predict(chain(stay, 6), window=0) for stay in stays]
figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
axes.plot(stays, [p.gap_per_latent for p in found], color=GREY, zorder=0)
for kind, face, label in (("exact", FVI, "exact"), ("upper", "white", "upper bound")):
    mine = [(s, p.gap_per_latent) for s, p in zip(stays, found, strict=True) if p.kind == kind]
    axes.plot(
        *zip(*mine, strict=True), "o", color=FVI, markerfacecolor=face, markersize=7, label=label
    )
axes.axvline(1 / (1 + np.exp(-1)), color=AVI, linestyle="--", label="end of the certificate")
axes.set_xlabel("probability to stay")
axes.set_ylabel("amortization gap of $f(x_t)$ (nats per latent)")
_ = axes.legend()

# %% [markdown]
# ## Exercises
#
# 1. Start `coordinate_ascent` at `stay=0.9` from twenty random points. How many optima do you find for this $x$?
#
# <details><summary>Solution</summary>
#
# Three: the two of the figure, and one that begins in state 0 and ends in state 1. Other sequences and longer chains
# have more.
# </details>
#
# 2. Is the certificate sharp? Try `stay=0.76` by hand.
#
# <details><summary>Solution</summary>
#
# No: it is sufficient. At 0.76 the two starts still meet for this $x$; the bound only no longer promises it.
# </details>
#
# ## The lesson
#
# A gap is a difference of two optima. It is exact only if both are known to be the best, and a number that is not says so.

# %%
agree = {stay: np.abs(a - b).max() for stay, (a, b) in ends.items()}
assert agree[0.7] < 1e-9
assert agree[0.9] > 0.5
assert (
    np.abs(
        np.subtract(*[coordinate_ascent(x, 0.76, 0.6, np.full(8, s)) for s in (0.02, 0.98)])
    ).max()
    < 1e-6
)
assert [p.kind for p in found] == ["exact" if s < 0.731 else "upper" for s in stays]
assert all(p.kind == "exact" for p in windows)
assert abs(windows[1].gap_per_latent - 2.4e-3) < 1e-4
