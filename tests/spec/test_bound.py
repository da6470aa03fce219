"""Data meet the declaration: sizes, points, values, and every complaint about data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from avi_theory.errors import DataError, InputError
from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model

PLAIN = """
index n = 1:N
given s[n] > 0
local z[n] ~ Normal(0, 1)
observed y[n] ~ Normal(z[n], s[n])
"""
CHAIN = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
GROUPS = """
index g = 1:G
index i = 1:J[g]
given J[g]
local a[g] ~ Normal(0, 1)
observed y[g,i] ~ Normal(a[g], 1)
"""
MAPPED = """
index n = 1:N
index i = 1:I
given g[i] in n
local a[n] ~ Normal(0, 1)
observed y[i] ~ Normal(a[g[i]], 1)
"""
MISSING = """
index n = 1:N
local z[n] ~ Normal(0, 1)
observed y[n] ~ Normal(z[n], 1) missing
"""
EDGE = """
index n = 1:N
given x[0] = 7
local z[n] ~ Normal(x[n-1], 1)
observed x[n] ~ Normal(z[n], 1)
"""


def test_sizes_come_from_the_data():
    bound = bind(Model(PLAIN), {"y": [1.0, 2.0, 3.0], "s": [1.0, 1.0, 2.0]})
    assert bound.sizes["N"] == 3
    assert bound.latents == 3
    np.testing.assert_array_equal(bound.known["s"], [1, 1, 2])


def test_an_explicit_smaller_size_uses_the_first_points_and_says_so():
    frame = pd.DataFrame({"y": [1.0, 2.0, 3.0], "s": [1.0, 1.0, 2.0]})
    bound = bind(Model(PLAIN, N=2), frame)
    np.testing.assert_array_equal(bound.known["y"], [1, 2])
    assert "first 2 of 3" in bound.source


def test_a_chain_has_one_table_over_all_its_statements():
    bound = bind(Model(CHAIN, T=5))
    assert bound.tables["z"].points[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert bound.tables["z"].positions([np.array([0, 1, 6])]).tolist() == [-1, 0, -1]


def test_long_format_counts_ragged_groups_and_accepts_labels():
    frame = pd.DataFrame({"g": ["b", "a", "b"], "i": [1, 1, 2], "y": [1.0, 2.0, 3.0]})
    bound = bind(Model(GROUPS), frame)
    assert bound.sizes["G"] == 2
    np.testing.assert_array_equal(bound.known["J"], [2, 1])
    np.testing.assert_array_equal(bound.known["y"], [1, 3, 2])


def test_long_format_without_the_inner_column_numbers_the_rows_in_order():
    frame = pd.DataFrame({"g": [1, 2, 1], "y": [1.0, 2.0, 3.0]})
    bound = bind(Model(GROUPS), frame)
    np.testing.assert_array_equal(bound.known["y"], [1, 3, 2])


def test_a_map_may_hold_texts():
    frame = pd.DataFrame({"g": ["x", "y", "x"], "y": [1.0, 2.0, 3.0]})
    bound = bind(Model(MAPPED), frame)
    assert bound.sizes == {"N": 2, "I": 3}
    np.testing.assert_array_equal(bound.known["g"], [1, 2, 1])


def test_an_edge_value_is_a_known_point():
    bound = bind(Model(EDGE), {"x": [1.0, 2.0]})
    assert bound.tables["x"].points[:, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(bound.known["x"], [7, 1, 2])


def test_missing_cells_are_marked():
    bound = bind(Model(MISSING), pd.DataFrame({"y": [1.0, np.nan, 3.0]}))
    assert bound.present["y"].tolist() == [True, False, True]


VECTORS = """
index n = 1:N
local z[n] : R[2] ~ Normal(0, 1)
observed y[n] : R[2] ~ Normal(z[n], 1)
"""


@pytest.mark.parametrize(
    ("text", "data", "words"),
    [
        (PLAIN, {"y": [1.0, 2.0]}, ["s"]),
        (PLAIN, {"s": [1.0, 2.0]}, ["'y'"]),
        (PLAIN, {"y": [1.0, np.nan], "s": [1.0, 1.0]}, ["'y'", "NaN", "y[2]", "missing"]),
        (PLAIN, {"y": [1.0, 2.0], "s": [1.0, 1.0, 1.0]}, ["N=2", "N=3"]),
        (PLAIN, {"y": ["a", "b"], "s": [1.0, 1.0]}, ["'y'", "'a'"]),
        (PLAIN, {"y": [1.0, 2.0], "s": [1.0, -1.0]}, ["s", "-1"]),
        (PLAIN, {"q": [1.0]}, ["'y'", "q"]),
        ("index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved y[n] ~ Poisson(log_rate=z[n])",
         {"y": [1.5]}, ["'y'", "whole"]),
        ("index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved y[n] ~ Bernoulli(logit=z[n])",
         {"y": [2.0]}, ["'y'", "0 or 1"]),
        (PLAIN, {"y": [1.0, np.inf], "s": [1.0, 1.0]}, ["'y'", "infinite", "y[2]"]),
        (PLAIN, {"y": np.ones((2, 3)), "s": [1.0, 1.0]}, ["'y'", "3 numbers", "needs 1"]),
        (VECTORS, {"y": np.ones((2, 3))}, ["'y'", "3 numbers", "needs 2"]),
        (VECTORS, {"y": np.ones(2)}, ["'y'", "1 numbers", "needs 2"]),
        (VECTORS, {"y": [[1.0, 2.0], [3.0]]}, ["'y'", "regular"]),
    ],
)  # fmt: skip
def test_bad_data_name_the_culprit(text, data, words):
    from avi_theory.spec.grounding import ground

    with pytest.raises((DataError, InputError)) as caught:
        ground(bind(Model(text), data))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["absent.csv", "bad.txt", "broken.csv", "broken.npz"])
def test_bad_files_name_themselves(tmp_path, name):
    path = tmp_path / name
    if name != "absent.csv":
        path.write_text('"y\n1,2,3\n4')
    with pytest.raises(DataError, match=name):
        bind(Model(PLAIN), path)


@pytest.mark.parametrize("columns", [{"y": [1.0, np.nan], "s": [1.0, 2.0]}, {"y": [1.0, np.nan]}])
def test_an_empty_last_cell_is_an_error_and_not_a_shorter_series(columns):
    text = PLAIN if "s" in columns else PLAIN.replace("given s[n] > 0\n", "").replace("s[n]", "1")
    with pytest.raises(DataError, match=r"'y'.*y\[2\]"):
        bind(Model(text), pd.DataFrame(columns))


def test_an_empty_end_is_a_narrower_range_where_the_text_says_so():
    text = """
    index n = 1:N
    given s[n]
    local z[n] ~ Normal(s[n], 1) for n in 1:N
    observed y[n] ~ Normal(z[n], 1) for n in 1:N-1
    """
    bound = bind(Model(text), pd.DataFrame({"s": [1.0, 2.0, 3.0], "y": [1.0, 2.0, np.nan]}))
    assert bound.sizes["N"] == 3
    np.testing.assert_array_equal(bound.known["y"], [1, 2])


def test_a_size_that_nothing_tells_is_asked_for():
    with pytest.raises(InputError, match="--size N="):
        bind(Model(PLAIN.replace("given s[n] > 0\n", "").replace("s[n]", "1")))


def test_two_values_at_one_point_are_refused():
    text = """
    index n = 1:N
    index i = 1:2
    given c[n]
    local z[n] ~ Normal(c[n], 1)
    observed y[n,i] ~ Normal(z[n], 1)
    """
    frame = pd.DataFrame({"n": [1, 1, 2, 2], "i": [1, 2, 1, 2], "c": [1.0, 2.0, 1.0, 1.0],
                          "y": [0.0, 0.0, 0.0, 0.0]})  # fmt: skip
    with pytest.raises(DataError, match=r"c\[1\]"):
        bind(Model(text), frame)
