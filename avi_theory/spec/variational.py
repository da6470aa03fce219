r"""Which variational factors there are, what they can stand for, and which one a latent gets.

The names are those users write: ``factors={"z": "gamma"}``, ``--factor z=gamma``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        only_joint: whether a scalar can have it together with others only.
    """

    family: str
    supports: tuple[str, ...]
    only_global: bool = False
    only_joint: bool = False


FACTORS: Mapping[str, Factor] = {
    "normal": Factor("Normal", ("real",)),
    "full": Factor("FullNormal", ("real",), only_joint=True),
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
    """The user's choice of factors, each of them possible; ``a,b`` for latents that share one.

    Raises:
        InputError: no such latent, no such factor, or one that does not fit the latent.
    """
    found: dict[str, str] = {}
    for names, wanted in (factors or {}).items():
        together = [n.strip() for n in names.split(",")]
        kind = wanted.strip().lower()
        for name in together:
            _possible(model, name, kind, len(together) > 1)
        if len(together) > 1:
            _together(model, together, kind)
        again = set(together) & {n for other in found for n in other.split(",")}
        if again:
            raise InputError(f"{min(again)} was given two factors. Give it one.")
        found[",".join(together)] = kind
    return found


def _possible(model: Model, name: str, kind: str, joint: bool) -> None:
    """Refuse a factor that this latent cannot have."""
    latents = {v.name: v for v in (*model.globals, *model.locals)}
    if name not in latents:
        raise InputError(
            f"{model.name} has no latent {name!r} to choose a factor for. "
            f"{nearest(name, latents)} Its latents: {', '.join(latents)}."
        )
    if kind not in FACTORS:
        raise InputError(
            f"The factor {kind!r} of {name} is unknown. {nearest(kind, FACTORS)} "
            f"Known: {', '.join(FACTORS)}."
        )
    reason = _unfit(latents[name], FACTORS[kind], joint)
    if reason:
        fitting = [k for k, f in FACTORS.items() if not _unfit(latents[name], f)]
        raise InputError(
            f"{name} cannot have a {kind} factor: {reason}. "
            f"It can have: {', '.join(fitting) or 'none'}."
        )


def _together(model: Model, names: Sequence[str], kind: str) -> None:
    """Refuse several latents that cannot share one Normal factor."""
    variables = [model.variables[n] for n in names]
    reason = ""
    if kind != "full":
        reason = f"a {kind} factor is one for each; a Normal with all covariances is 'full'"
    elif len(set(names)) < len(names):
        reason = "a latent is named twice"
    elif any(v.dim is not None for v in variables):
        reason = "one of them is a vector, which has a full factor of its own"
    elif len({v.role for v in variables}) > 1 or len({len(v.axes) for v in variables}) > 1:
        reason = "they do not stand at the same index points"
    if reason:
        raise InputError(f"{', '.join(names)} cannot share a factor: {reason}.")


def fits(model: Model, name: str, kind: str) -> bool:
    """Whether a latent can have this factor."""
    return not _unfit(model.variables[name], FACTORS[kind])


def unlike_default(model: Model, factors: Mapping[str, str] | None) -> dict[str, str]:
    """The chosen factors without those that their latents would have anyway."""
    supports = {v.name: v.support for v in (*model.globals, *model.locals)}
    return {
        name: kind
        for name, kind in checked(model, factors).items()
        if "," in name or kind != default_factor(supports[name])
    }


def _unfit(variable: Variable, factor: Factor, joint: bool = False) -> str:
    """Why a latent cannot have this factor (together with others); empty if it can."""
    if variable.support not in factor.supports:
        return f"its values are '{variable.support}'"
    if factor.only_global and variable.role != "global":
        return "it is local, and a point has no entropy to weigh against the others'"
    if factor.only_joint and variable.dim is None and not joint:
        return (
            "it is a scalar at each index point, which has no covariance of its own; name two "
            "latents, as in 'a,b'"
        )
    return ""
