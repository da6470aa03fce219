r"""A sum over batches as one function that the solvers of small problems can minimise.

.. math:: f(p) = f(p_0) + g^\top (p - p_0) + \tfrac12 (p - p_0)^\top H (p - p_0) + \dots

Value, gradient and Hessian are added up batch by batch, and handed on as the polynomial above: at
p₀ its derivatives are those of the sum, whatever autograd is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from avi_theory.numeric.solve.colouring import jacobian


class Jet:
    """Value, gradient and, if wanted, Hessian of a function at one point, added up."""

    def __init__(self, p: Tensor, curved: bool) -> None:
        self.value = p.new_zeros(())
        self.gradient = torch.zeros_like(p)
        self.hessian = p.new_zeros(len(p), len(p)) if curved else None

    def add(self, piece: Callable[[Tensor], Tensor], p: Tensor, rows: int) -> None:
        """Add a function at p; `rows` is the size of what it is computed from."""
        p = p.detach().requires_grad_(True)
        value = piece(p)
        if not value.requires_grad:
            self.value = self.value + value
            return
        (g,) = torch.autograd.grad(
            value, p, create_graph=self.hessian is not None, materialize_grads=True
        )
        self.value = self.value + value.detach()
        self.gradient = self.gradient + g.detach()
        if self.hessian is not None and g.requires_grad:
            self.hessian = self.hessian + jacobian(g, p, rows)

    def at(self, p: Tensor) -> Tensor:
        """The polynomial, as a function of p around p itself."""
        d = p - p.detach()
        found = self.value + self.gradient @ d
        return found if self.hessian is None else found + 0.5 * d @ (self.hessian @ d)


class Streamed:
    """A function given by its jets, remembered at the last point.

    Args:
        jet: parameters and whether the Hessian is wanted, to a `Jet`.
        curved: whether solvers will ask for second derivatives.
    """

    def __init__(self, jet: Callable[[Tensor, bool], Jet], curved: bool) -> None:
        self._jet, self._curved = jet, curved
        self._last: tuple[Tensor, Jet] | None = None

    def __call__(self, p: Tensor) -> Tensor:
        """The value, with derivatives if autograd is at work."""
        if self._last is None or not torch.equal(self._last[0], p.detach()):
            with torch.enable_grad():
                self._last = (p.detach().clone(), self._jet(p.detach(), self._curved))
        found = self._last[1]
        return found.at(p) if torch.is_grad_enabled() else found.value
