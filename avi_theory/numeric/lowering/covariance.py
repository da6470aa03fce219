"""Heads for quadratic forms in the covariance matrix of a vector latent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch import Tensor


class cov_form(sympy.Function):
    """Σᵢⱼ aᵢ Cᵢⱼ aⱼ: cov_form(a, C), the variance of a linear form; a number stands for all aᵢ."""

    nargs = 2
    is_extended_real = True


class cov_rows(sympy.Function):
    """(W C Wᵀ)ᵢᵢ: cov_rows(W, C), the variances of a linear map."""

    nargs = 2
    is_extended_real = True


class cov_entry(sympy.Function):
    """Cᵢⱼ: cov_entry(C, i, j)."""

    nargs = 3
    is_extended_real = True


class cov_trace(sympy.Function):
    """tr(D⁻¹ C): cov_trace(C, D), what a correlated q adds to a Gaussian quadratic form."""

    nargs = 2
    is_extended_real = True


def _form(a: Tensor, c: Tensor) -> Tensor:
    return (a.unsqueeze(-1) * a.unsqueeze(-2) * c).sum((-1, -2))


def _rows(w: Tensor, c: Tensor) -> Tensor:
    return ((w @ c) * w).sum(-1)


def _entry(c: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return c[..., int(i), int(j)]


def _trace(c: Tensor, d: Tensor) -> Tensor:
    return (torch.linalg.inv(d) * c).sum((-1, -2))


COVARIANCES: dict[Any, tuple[Callable[..., Tensor], tuple[int, ...], int]] = {
    cov_form: (_form, (1, 2), 0),
    cov_rows: (_rows, (2, 2), 1),
    cov_entry: (_entry, (2, 0, 0), 0),
    cov_trace: (_trace, (2, 2), 0),
}
"""The function, the rank each argument needs, the result's rank."""
