"""Sparse factors and selected inverses equal dense ones, in every representation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from avi_theory.theory import linalg


def banded(n, width, seed):
    rng = np.random.default_rng(seed)
    matrix = np.zeros((n, n))
    for k in range(1, width + 1):
        matrix += np.diag(rng.normal(size=n - k), k)
    matrix += matrix.T
    return matrix + np.diag(np.abs(matrix).sum(1) + rng.uniform(0.1, 1, n))


@settings(max_examples=20, deadline=None)
@given(n=st.integers(8, 150), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_selected_inverse(n, width, seed):
    matrix = banded(n, width, seed)
    wanted = sparse.csr_matrix(([1.0], ([0], [min(n - 1, width + 2)])), (n, n))
    inverse = np.linalg.inv(matrix)
    for small in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(linalg, "SMALL", small)
            found = linalg.selected_inverse(sparse.csr_matrix(matrix), wanted)
        a, b = np.nonzero(matrix)
        np.testing.assert_allclose(found(a, b), inverse[a, b], rtol=1e-9, atol=1e-12)
        assert found(np.array(0), np.array(min(n - 1, width + 2))) == pytest.approx(
            inverse[0, min(n - 1, width + 2)], abs=1e-12
        )


@pytest.mark.parametrize("band", [0, 256])
def test_solutions_and_determinants(band):
    matrix = banded(40, 3, 1)
    shuffled = np.random.default_rng(2).permutation(40)
    matrix = matrix[shuffled][:, shuffled]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linalg, "WIDEST_BAND", band)
        patch.setattr(linalg, "SMALL", 0)
        factor = linalg.Factor(sparse.csr_matrix(matrix))
    right = np.random.default_rng(3).normal(size=(40, 2))
    np.testing.assert_allclose(factor.solve(right), np.linalg.solve(matrix, right), atol=1e-10)
    np.testing.assert_allclose(factor.solve(right[:, 0]), factor.solve(right)[:, 0], atol=1e-14)
    assert factor.log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize("band", [0, 256])
@pytest.mark.parametrize("slip", [-2.0, -1.6])
def test_an_indefinite_matrix_names_a_coordinate(band, slip):
    matrix = np.diag(np.full(50, 3.0)) + slip * (np.eye(50, k=1) + np.eye(50, k=-1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linalg, "WIDEST_BAND", band)
        patch.setattr(linalg, "SMALL", 0)
        with pytest.raises(linalg.NotPositiveDefinite) as caught:
            linalg.Factor(sparse.csr_matrix(matrix))
    assert 0 <= caught.value.coordinate < 50


def test_a_flat_walk_counts_as_singular():
    n = 5000
    matrix = sparse.diags([np.full(n - 1, -1.0), np.full(n, 2.0), np.full(n - 1, -1.0)], [-1, 0, 1])
    matrix = matrix.tolil()
    matrix[0, 0] = matrix[n - 1, n - 1] = 1.0
    with pytest.raises(linalg.NotPositiveDefinite):
        linalg.Factor(sparse.csr_matrix(matrix))
