r"""Coordinate ascent on Gamma, inverse Gamma, Beta and Dirichlet factors by natural gradients.

.. math:: \eta_n \leftarrow (1 - \rho)\, \eta_n + \rho\, \nabla_{\mu_n} \mathbb E_q[\log p], \qquad
    \nabla_\mu = F(\eta)^{-1} \nabla_\eta

with η the natural parameters and µ the expected sufficient statistics.  Where the model is
conjugate E_q[log p] is linear in µ, so that one step with ρ = 1 is the exact update (Hoffman, Blei,
Wang & Paisley, JMLR 14, 2013; Khan & Lin, AISTATS 2017); elsewhere it is a preconditioned step,
shortened until the ELBO does not fall.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avi_theory.numeric import laws
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.families import Family, natural, table_of
from avi_theory.numeric.laws import Law

Tables = dict[str, Tensor]
HALVINGS = 6


def conjugate(family: Family) -> bool:
    """Whether a family's factors are updated here."""
    return family.law != "normal" or family.kind == "Dirichlet"


def natural_updates(elbo: Elbo, tables: Tables) -> Tables:
    """Each variable's factors in turn, all its points at once; never a lower ELBO."""
    current = dict(tables)
    names = [name for name, family in elbo.families.items() if conjugate(family)]
    with torch.no_grad():
        level = float(elbo(current)) if names else 0.0
    for name in names:
        current[name], level = _updated(elbo, current, name, level)
    return current


def _updated(elbo: Elbo, tables: Tables, name: str, before: float) -> tuple[Tensor, float]:
    """The best of shortened steps that does not lower the ELBO, and the ELBO there."""
    family, table = elbo.families[name], tables[name]
    old = _parameters(family, table)
    wanted = _target(elbo, tables, name, old)
    usable = torch.stack([torch.isfinite(x) & (x > 0) for x in wanted]).all(0)
    if family.kind == "Dirichlet":
        usable = usable.all(-1, keepdim=True)
    with torch.no_grad():
        step = 1.0
        for _ in range(HALVINGS):
            new = [torch.where(usable, a + step * (b - a), a)
                   for a, b in zip(old, wanted, strict=True)]  # fmt: skip
            proposed = _table(family, new)
            reached = float(elbo({**tables, name: proposed}))
            if reached >= before:
                return proposed, reached
            step /= 2
    return table, before


def _parameters(family: Family, table: Tensor) -> list[Tensor]:
    """(alpha, beta), or the concentration, ``[P, d]``."""
    if family.kind == "Dirichlet":
        return [table.detach()[..., 0].exp()]
    return list(natural(family.law, table.detach()))


def _table(family: Family, parameters: list[Tensor]) -> Tensor:
    if family.kind == "Dirichlet":
        return parameters[0].log().unsqueeze(-1)
    return table_of(family.law, *parameters)


def _target(elbo: Elbo, tables: Tables, name: str, old: list[Tensor]) -> list[Tensor]:
    """The parameters whose natural parameters are ∇_µ E_q[log p]."""
    family = elbo.families[name]
    leaves = [x.clone().requires_grad_(True) for x in old]
    q = elbo.marginals(tables)
    q[name] = family.factors(_table(family, leaves))
    slopes = torch.autograd.grad(elbo.expected(q), leaves, materialize_grads=True)
    if family.kind == "Dirichlet":
        alpha, slope = old[0], slopes[0]
        own, whole = torch.polygamma(1, alpha), torch.polygamma(1, alpha.sum(-1, keepdim=True))
        plain = slope / own
        joint = plain.sum(-1, keepdim=True) / (1 / whole - (1 / own).sum(-1, keepdim=True))
        return [1 + plain + joint / own]
    return list(_solved(family.law, *old, *slopes))


def _solved(law: Law, a: Tensor, b: Tensor, da: Tensor, db: Tensor) -> tuple[Tensor, Tensor]:
    """F(η)⁻¹ ∇_η in the law's own parameters, α and β themselves (log-Gamma: η = (α, −β))."""
    if law == "beta":
        joint = torch.polygamma(1, a + b)
        first, second = torch.polygamma(1, a) - joint, torch.polygamma(1, b) - joint
        det = first * second - joint**2
        return (second * da + joint * db) / det, (first * db + joint * da) / det
    # F = [[ψ'(α), 1/β], [1/β, α/β²]] and ∇_η = (∂α, −∂β); α ψ'(α) − 1 from `laws.fisher`.
    excess = laws.fisher(law, a, b)[..., 1] / a
    alpha = (a * da + b * db) / excess
    beta = b * (da + b * torch.polygamma(1, a) * db) / excess
    return alpha, beta
