r"""The rest of a report by brute force: neighbours, edges, unit, and whether it is hierarchical.

.. math:: p(\theta) \prod_u p(z_u \mid \theta)\, p(x_u \mid z_u, \theta)

Where the contract leaves a choice, this is the package's documented reading: neighbours are
all locals that interact with a local, at its own index point too; along a short fixed index that is
written out member by member no position is an edge; a position whose neighbour in
the component has another form may be named or not; locals whose own units differ (``a[s]`` alone
and ``b[s,i]`` alone) are two plates even if one lies inside the other; the unit of a local without
neighbours is its whole index tuple.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from .brute import POSITION, Brute
from .form import Forms
from .reader import Code
from .verdict import Answer, Oracle
from .world import Ref, World
from .written import expanded, loose_ends

SHORT = 6
"""Fixed indices of up to this many points are written out."""


class Whole:
    """What a report says beside verdicts and inputs.

    Args:
        oracle: of the text.
        answers: its verdict on every local.
    """

    def __init__(self, oracle: Oracle, answers: dict[str, Answer]) -> None:
        self.oracle, self.answers = oracle, answers

    @cached_property
    def forms(self) -> Forms:
        """At the larger size with equal groups."""
        o = self.oracle
        return Forms(Brute(World(o.program, o.large, o.seed, balanced=True)))

    # -- one local ---------------------------------------------------------------------------

    def neighbours_wrong(self, name: str, texts: Collection[str]) -> str:
        """What is wrong with the neighbours of a local, or ""."""
        o = self.oracle
        world = o.first.world
        needed = {z: set(o.first.neighbours(z)) for z in o.interior(o.first, name)}
        every = set().union(*needed.values())
        for z, found in needed.items():
            said = expanded(tuple(texts), z, world)
            spare = loose_ends(tuple(texts), z, world) | _beside(tuple(texts), z, world)
            if not found <= said or not (said - found <= spare or said - every <= spare | {z}):
                return f"interacts_with {sorted(texts)}, brute force {sorted(found)} of {z}"
        return ""

    def edges_wrong(self, name: str, texts: Collection[str]) -> str:
        """What is wrong with the edges of a local, or ""."""
        brute = self.forms.brute
        z = self.oracle.interior(brute, name)[0]
        env = dict(zip(self.oracle.program.axes[name], z[1], strict=True))
        said = {
            (letter, brute.world.whole(Code.of(value), env))
            for letter, _, value in (t.partition("=") for t in texts)
        }
        letters = [x for x in self.oracle.program.axes[name] if not self._short(x)]
        found = {(x, p) for x in letters for p in self._edges(z, x)}
        spare = {(x, p) for x in letters for p in self._other_functions(z, x)}
        if found <= said <= found | spare:
            return ""
        return f"edges {sorted(texts)}, brute force {sorted(found)} at sizes {self.oracle.large}"

    def _edges(self, z: Ref, letter: str) -> set[int]:
        """Where the local's own density or, in a bounded component, its inputs differ."""
        found = self.forms.edges(z, letter)
        if not self._bounded(z, letter):
            return found
        weighted = any((POSITION, letter) in w for w in self.answers[z[0]].needed.values())
        return found | self.forms.input_edges(z, letter, weighted)

    def _other_functions(self, z: Ref, letter: str) -> set[int]:
        """Where f differs although the local's own density and inputs do not."""
        return self.forms.component_edges(z, letter) if self._bounded(z, letter) else set()

    def _bounded(self, z: Ref, letter: str) -> bool:
        answer = self.answers[z[0]]
        bounded = answer.closes in {"own", "inputs"} and not answer.far
        own = dict(zip(self.answers, self.units, strict=True))[z[0]]
        return bounded or (answer.closes == "component" and letter in own)

    def _short(self, letter: str) -> bool:
        interval = self.oracle.program.letters[letter]
        fixed = set(interval.high.code.co_names) <= set(interval.high.constants)
        return fixed and len(self.oracle.first.world.grid((interval,))) <= SHORT

    # -- the model ---------------------------------------------------------------------------

    @cached_property
    def closes(self) -> str:
        """The worst verdict."""
        order = ("own", "inputs", "component", "no")
        return max((a.closes for a in self.answers.values()), key=order.index)

    @cached_property
    def units(self) -> list[frozenset[str]]:
        """The unit of each local: its index tuple, or the letters that its component keeps."""
        o, found = self.oracle, []
        for name in self.answers:
            z = o.interior(o.first, name)[0]
            component = o.first.component(z)
            one = len({o.first.tuple_of(j) for j in component}) == 1
            kept = {x for x, _ in o.first.tuple_of(z)} if one else o.units(component)
            found.append(frozenset(kept))
        return found

    @cached_property
    def unit(self) -> frozenset[str]:
        """The letters at which the ELBO splits."""
        if self.closes == "no":
            return frozenset()
        return frozenset.intersection(*self.units)

    @cached_property
    def simple(self) -> bool:
        """Whether the density is a product over units of one form."""
        return (
            self.closes in {"own", "component"}
            and bool(self.unit)
            and len(set(self.units)) == 1
            and self.forms.one_form(tuple(sorted(self.unit)))
        )


def _beside(texts: tuple[str, ...], z: Ref, world: World) -> set[Ref]:
    """Members near the local that a whole range names; other terms may cancel there."""
    whole = tuple(t for t in texts if ":" in t)
    return {
        r for r in expanded(whole, z, world)
        if r[0] == z[0] and all(abs(i - j) <= 2 for i, j in zip(r[1], z[1], strict=True))
    }  # fmt: skip
