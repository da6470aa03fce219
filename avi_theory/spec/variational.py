r"""Which variational factors there are, what they can stand for, and which one a latent gets.

The names are those users write: ``factors={"z": "gamma"}``, ``--factor z=gamma``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from avi_theory.errors import InputError, nearest
from avi_theory.spec.model import Model, Variable


@dataclass(frozen=True)
class Factor:
    """A kind of factor.

    Attributes:
        family: its name in prose and in `check`'s optimal factor.
        supports: of the latents it can stand for.
        only_global: whether locals cannot have it.
        only_vector: whether scalars cannot have it.
    """

    family: str
    supports: tuple[str, ...]
    only_global: bool = False
    only_vector: bool = False


FACTORS: Mapping[str, Factor] = {
    "normal": Factor("Normal", ("real",)),
    "full": Factor("FullNormal", ("real",), only_vector=True),
    "lognormal": Factor("LogNormal", ("positive",)),
    "gamma": Factor("Gamma", ("positive",)),
    "inversegamma": Factor("InverseGamma", ("positive",)),
    "logitnormal": Factor("LogitNormal", ("unit", "interval")),
    "beta": Factor("Beta", ("unit", "interval")),
    "dirichlet": Factor("Dirichlet", ("simplex",)),
    "categorical": Factor("Categorical", ("binary", "categories")),
    "point": Factor("Point", ("real", "positive", "unit", "interval"), only_global=True),
}
"""Every kind of factor, by the name users write; the first that fits a support is its default."""


def default_factor(support: str) -> str | None:
    """The factor of a latent by its support alone; None where there is none."""
    return next((name for name, f in FACTORS.items() if support in f.supports), None)


def named_family(family: str) -> str | None:
    """The name that users write for a family of `check`'s optimal factors, where it is measured.

    Example:
        >>> named_family("InverseGamma")
        'inversegamma'
    """
    return next((name for name, f in FACTORS.items() if f.family == family), None)


def checked(model: Model, factors: Mapping[str, str] | None) -> dict[str, str]:
    """The user's choice of factors, each of them possible.

    Raises:
        InputError: no such latent, no such factor, or one that does not fit the latent.
    """
    latents = {v.name: v for v in (*model.globals, *model.locals)}
    found = {}
    for name, wanted in (factors or {}).items():
        if name not in latents:
            raise InputError(
                f"{model.name} has no latent {name!r} to choose a factor for. "
                f"{nearest(name, latents)} Its latents: {', '.join(latents)}."
            )
        kind = wanted.strip().lower()
        if kind not in FACTORS:
            raise InputError(
                f"The factor {wanted!r} of {name} is unknown. {nearest(kind, FACTORS)} "
                f"Known: {', '.join(FACTORS)}."
            )
        reason = _unfit(latents[name], FACTORS[kind])
        if reason:
            fitting = [k for k, f in FACTORS.items() if not _unfit(latents[name], f)]
            raise InputError(
                f"{name} cannot have a {kind} factor: {reason}. "
                f"It can have: {', '.join(fitting) or 'none'}."
            )
        found[name] = kind
    return found


def fits(model: Model, name: str, kind: str) -> bool:
    """Whether a latent can have this factor."""
    return not _unfit(model.variables[name], FACTORS[kind])


def unlike_default(model: Model, factors: Mapping[str, str] | None) -> dict[str, str]:
    """The chosen factors without those that their latents would have anyway."""
    supports = {v.name: v.support for v in (*model.globals, *model.locals)}
    return {
        name: kind
        for name, kind in checked(model, factors).items()
        if kind != default_factor(supports[name])
    }


def _unfit(variable: Variable, factor: Factor) -> str:
    """Why a latent cannot have this factor; empty if it can."""
    if variable.support not in factor.supports:
        return f"its values are '{variable.support}'"
    if factor.only_global and variable.role != "global":
        return "it is local, and a point has no entropy to weigh against the others'"
    if factor.only_vector and variable.dim is None:
        return "it is a scalar at each index point, which has no covariance of its own"
    return ""
