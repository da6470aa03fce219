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
# # Declare a model, and ask whether amortization can be lossless
#
# Amortized variational inference replaces one free factor per latent by one function of some inputs.
# Whether that costs anything is a property of the model, and can be read from it before any training.

# %%
from avi_theory import Model, check, load

# %% [markdown]
# ## Eight schools
#
# Eight estimates of a coaching effect, each with its own standard error.

# %%
schools = load("eight_schools")
schools.plot()

# %%
print(schools)

# %%
report = check(schools)
report

# %% [markdown]
# The schools do not touch once μ and τ are known, so a lossless function exists. Its inputs are the
# school's estimate *and* its standard error.

# %%
report.to_dict()["locals"]["z"]["inputs"]

# %% [markdown]
# ## What if all standard errors were equal?
#
# Then the standard error is a constant, and the estimate alone is enough.

# %%
equal = Model(
    """
    index n = 1:N
    given s = 12
    global mu ~ Normal(0, 5)
    global tau ~ HalfNormal(10)
    local z[n] ~ Normal(mu, tau)
    observed y[n] ~ Normal(z[n], s)
    """
)
check(equal).to_dict()["locals"]["z"]["inputs"]

# %% [markdown]
# ## A series that is not a chain
#
# In the saw model each latent hangs between two observations. No two latents touch, although the data
# are a time series.

# %%
saw = load("saw")
saw.plot()

# %%
check(saw)

# %% [markdown]
# ## A series that is one
#
# In a random walk each latent leans on its neighbours. The verdict comes with a witness: two positions
# with the same inputs and different optimal factors.

# %%
walk = check(load("random_walk"))
walk.plot()

# %% [markdown]
# ## Exercise
#
# A hundred candidates answer five questions, `x[m] ~ Bernoulli(logit=ability[person[m]] - hardness[item[m]])`. Write the
# model twice: with the hardnesses as globals, and as locals. What does the function of an ability see in each?
#
# <details><summary>Solution</summary>
#
# As globals: the person's own answers and *which questions* they were to, since that selects a hardness;
# `check(load("item_response"))` answers `inputs`. As locals, every ability touches hardnesses that touch other abilities: one
# component that grows with the data, and `no`.
# </details>
#
# ## The lesson
#
# What the function must see is decided by the likelihood and by what ties the latents together, not by
# whether the data look like a series.


# %%
def verdict(model):
    answer = check(model).to_dict()
    return answer["closes"], answer["locals"]["z"]["inputs"]


assert verdict(equal) == ("own", ["y[n]"])
assert verdict(schools) == ("inputs", ["s[n]", "y[n]"])
assert verdict(saw) == ("inputs", ["x[n-1]", "x[n]"])
assert verdict(load("random_walk"))[0] == "no"
