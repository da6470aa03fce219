r"""Partial amortization: some locals keep factors of their own.

.. math:: \nu_n \text{ free for } n \in S,\qquad
    \nu_n = f_\phi(w_n; q(z_S)) \text{ for } n \notin S

Where S covers every tie among the locals, the others do not interact given S, and f receives the
factors of the neighbours (`Coupling`).  Where it does not, f has its inputs alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from avi_theory.errors import InputError, nearest
from avi_theory.numeric.inputs import Sight
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import tied
from avi_theory.spec.members import Members, members

Near = tuple[str, str, np.ndarray]
"""A neighbour: as written, its variable, its cells at every point ``[P, L]``."""


@dataclass(frozen=True, eq=False)
class Partial:
    """Which locals keep factors of their own.

    Attributes:
        masks: by local, ``[P]`` booleans; only of those with any.
        near: the ties of each local.
    """

    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    near: Mapping[str, tuple[Near, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        bound: Bound,
        free: Mapping[str, Members] | None,
        ties: Mapping[str, Sequence[str]] | None,
    ) -> Partial:
        """From the user's words.

        Args:
            bound: the model and data.
            free: members by local.
            ties: for each local the locals that it interacts with, in its own letters.

        Raises:
            InputError: no such local or member, or nothing left to amortize.
        """
        names = [v.name for v in bound.model.locals]
        masks = {}
        for name, wanted in (free or {}).items():
            if name not in names:
                hint = nearest(name, names) or f"The locals are {', '.join(names)}."
                raise InputError(f"Members of {name!r} are to be free, which is no local. {hint}")
            masks[name] = members(bound, bound.model.variables[name], wanted)
        if names and all(n in masks and masks[n].all() for n in names):
            raise InputError(
                "All locals are to be free, so that nothing is amortized. Leave some to f."
            )
        near = {}
        if masks:
            for name, texts in (ties or {}).items():
                found = (tied(bound, bound.model.variables[name], t) for t in texts)
                near[name] = tuple((i.text, i.name, i.cells) for i in found if i.cells is not None)
        return cls({k: m for k, m in masks.items() if m.any()}, near)

    def labels(self, bound: Bound) -> tuple[str, ...]:
        """The free members by name."""
        return tuple(
            bound.tables[name].label(int(k))
            for name, mask in self.masks.items() for k in np.flatnonzero(mask)
        )  # fmt: skip

    def whole(self, name: str) -> bool:
        """Whether all members of a local keep factors of their own."""
        return name in self.masks and bool(self.masks[name].all())

    def seen(self, sights: Mapping[str, Sight]) -> tuple[dict[str, Sight], dict[str, list[Near]]]:
        """What the function of each local serves, and which neighbours it receives.

        Points whose neighbours do not exist are edges, with factors of their own.
        """
        alone = {n: s.complete & ~self.masks.get(n, np.array(False)) for n, s in sights.items()}
        inside = dict(alone)
        for name in sights:
            for _, _, cells in self.near.get(name, ()):
                inside[name] = inside[name] & (cells >= 0).all(1)
        received: dict[str, list[Near]] = {}
        for name in sights:
            near = self.near.get(name, ())
            if near and inside[name].any() and all(
                not inside[v][cells[inside[name]]].any() for _, v, cells in near if v in inside
            ):  # fmt: skip
                received[name] = list(near)
        served = {n: inside[n] if n in received else alone[n] for n in sights}
        return {n: replace(s, complete=served[n]) for n, s in sights.items()}, received
