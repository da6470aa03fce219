"""What an inference function sees, resolved to cells of the data's tables."""

from __future__ import annotations

import pytest

from avi_theory.errors import InputError
from avi_theory.spec.bound import bind
from avi_theory.spec.inputs import for_locals, resolve
from avi_theory.spec.model import Model
from avi_theory.spec.windows import window

WALK = """
index n = 1:N
local z[0] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1)
observed x[n] ~ Normal(z[n], 1)
"""
MAPPED = """
index n = 1:N
index i = 1:I
given g[i] in n
given s[n] > 0
local a[n] ~ Normal(0, s[n])
observed y[i] ~ Normal(a[g[i]], 1)
"""
GRID = """
index g = 1:G
index t = 1:T
local z[g,1] ~ Normal(0, 1)
local z[g,t] ~ Normal(z[g,t-1], 1) for t in 2:T
observed y[g,t] ~ Normal(z[g,t], 1)
"""


def only(bound, text, local=0):
    return resolve(bound, bound.model.locals[local], [text])[0]


def test_neighbours_and_points_that_do_not_exist():
    bound = bind(Model(WALK, N=4))
    assert only(bound, "x[n-1]").cells.ravel().tolist() == [-1, -1, 0, 1, 2]
    assert only(bound, " x[ n + 1 ] ").cells.ravel().tolist() == [0, 1, 2, 3, -1]
    assert only(bound, "n").values.tolist() == [0, 1, 2, 3, 4]


def test_windows_shift_the_letter_along_which_the_model_steps():
    assert window(bind(Model(WALK, N=4)), 1) == {"z": ("x[n+1]", "x[n-1]", "x[n]")}
    assert window(bind(Model(GRID, G=2, T=5)), 1) == {"z": ("y[g,t+1]", "y[g,t-1]", "y[g,t]")}
    data = {"g": [2, 1, 2], "s": [1.0, 1.0], "y": [0.0, 0.0, 0.0]}
    assert window(bind(Model(MAPPED), data), 0) == {"a": ("y[i: g[i]=n]",)}


def test_members_by_a_map_form_a_set():
    bound = bind(Model(MAPPED), {"g": [2, 1, 2], "s": [1.0, 1.0], "y": [0.0, 0.0, 0.0]})
    found = only(bound, "y[i:g[i]=n]")
    assert found.is_set
    assert found.members.tolist() == [1, 0, 2]
    assert found.starts.tolist() == [0, 1, 3]


def test_whole_rows_and_whole_arrays():
    bound = bind(Model(GRID, G=2, T=3))
    row = only(bound, "y[g,:]")
    assert row.cells[:3].tolist() == [[0, 1, 2]] * 3
    assert not row.fixed
    assert only(bound, "y[:,:]").fixed
    assert only(bound, "y[g,T]").cells.ravel().tolist() == [2, 2, 2, 5, 5, 5]
    mean = only(bound, "mean(y[g,:])")
    assert mean.averaged
    assert not mean.fixed


def test_the_mean_leaves_edge_values_out():
    text = """
    index n = 1:N
    given x[0] = 5
    local z[n] ~ Normal(x[n-1], 1)
    observed x[n] ~ Normal(z[n], 1)
    """
    bound = bind(Model(text, N=3))
    assert only(bound, "mean(x)").cells[0].tolist() == [1, 2, 3]


def test_a_list_goes_to_the_locals_that_have_the_letters():
    text = GRID + "local a[g] ~ Normal(0, 1)\nobserved w[g] ~ Normal(a[g], 1)\n"
    bound = bind(Model(text, G=2, T=3))
    assert for_locals(bound, ["w[g]", "y[g,t]"]) == {"z": ("w[g]", "y[g,t]"), "a": ("w[g]",)}
    assert for_locals(bound, {"a": ["w[g]"]}) == {"z": (), "a": ("w[g]",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("q[n]", ["'q'", "x[n]"]),
        ("xx[n]", ["Did you mean 'x'"]),
        ("z[n]", ["local", "unknown"]),
        ("x[m]", ["letter 'm'"]),
        ("x[n,n]", ["2 indices", "has 1"]),
        ("x[n/2]", ["no index expression"]),
        ("x[__import__('os')]", ["no index expression"]),
        ("x[n", ["bracket"]),
        ("mean(n)", ["position"]),
        ("x[i: h[i]=n]", ["i: g[i]=n"]),
    ],
)
def test_bad_inputs_name_the_culprit_and_what_is_legal(text, words):
    bound = bind(Model(WALK, N=4))
    with pytest.raises(InputError) as caught:
        for_locals(bound, [text])
    for word in words:
        assert word in str(caught.value)


def test_a_window_wider_than_the_series_is_refused():
    with pytest.raises(InputError, match="at most 2"):
        window(bind(Model(WALK, N=4)), 3)
