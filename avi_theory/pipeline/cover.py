"""Which locals are left un-amortized, from what the user wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from avi_theory.errors import InputError
from avi_theory.results.report import Report
from avi_theory.spec.members import Members
from avi_theory.spec.model import Model

Free = str | Sequence[str] | Mapping[str, Members] | None
_WRITTEN = re.compile(r"^(\w+)(?:\[[^\]]*\])?(?:\s+at\s+(.+))?$")


def free_members(model: Model, wanted: Free) -> Mapping[str, Members]:
    """The members of each local that keep factors of their own.

    Args:
        model: the declaration.
        wanted: ``cover``, the smallest set of latents without which no two others are tied;
            ``z[t] at t mod 2 = 0``, as the advice of `check` writes it; ``z``, all of it; several
            of these; or members by local.

    Raises:
        InputError: it cannot be read, or no cover is known.
    """
    if wanted is None or isinstance(wanted, Mapping):
        return wanted or {}
    found: dict[str, Members] = {}
    for text in [wanted] if isinstance(wanted, str) else wanted:
        if text.strip() == "cover":
            found |= _cover(model)
            continue
        for part in text.split(";"):
            match = _WRITTEN.match(part.strip())
            if match is None:
                raise InputError(
                    f"The free locals {part.strip()!r} cannot be read. Write them as in 'z[t] at t "
                    "mod 2 = 0', 'z' for all of it, or 'cover' for the fewest that untie the rest."
                )
            found[match[1]] = match[2] or "all"
    return found


def _cover(model: Model) -> Mapping[str, Members]:
    from avi_theory.conditions.advice.partial import smallest_cover

    found = smallest_cover(model)
    if not found:
        raise InputError(
            f"No cover of the ties of {model.name} is known: no locals are tied, or too many at "
            "once. Name the locals that keep factors of their own, as in 'z[t] at t mod 2 = 0'."
        )
    return found


def ties_of(report: Report) -> dict[str, tuple[str, ...]]:
    """The locals that each local interacts with."""
    return {name: local.interacts_with for name, local in report.locals.items()}
