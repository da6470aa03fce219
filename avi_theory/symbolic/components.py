r"""The connected component of a local, over families of variables instead of an unrolled graph.

A node is a variable with a pattern: each subscript is generic or a literal (`z[1]`, a hub or an
edge).  An edge says how the two positions are related.  An index that every edge of a component
keeps, up to a fixed offset or through a membership map, is a *unit*: the component lies inside one
of its values.  A net offset round a cycle breaks this, so chains grow and telescopes do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.differences import letters_in
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.interaction import Decider, Interaction
from avi_theory.symbolic.places import Place, generic_site
from avi_theory.symbolic.positions import suspects

ZERO = sympy.Integer(0)
LIMIT = 60
"""More nodes than this are not followed."""


@dataclass(frozen=True)
class Node:
    """A family of local variables: the name, and per subscript None (generic) or a literal."""

    name: str
    pattern: tuple[Expr | None, ...]


@dataclass(frozen=True)
class Link:
    """An interaction seen from a node at its own letters.

    Attributes:
        target: the family reached.
        atom: the reference reached, in the source's letters and free ones.
        place: the letters in scope.
        interaction: the decision.
    """

    target: Node
    atom: Expr
    place: Place
    interaction: Interaction


@dataclass(frozen=True)
class Coordinate:
    """A value that a component may share: a subscript, or a map of it, plus an offset."""

    axis: int
    map: str | None = None
    offset: Expr = ZERO


@dataclass(frozen=True)
class Component:
    """Everything a local is tied to.

    Attributes:
        root: where we started.
        nodes: every family in it.
        links: every interaction between them, by source.
        units: for every shared coordinate of the root, the coordinate each node shares it by.
        several: whether it holds more than one index tuple.
        grows: whether it has an index that no unit holds and that has no fixed size.
        shifted: whether some family sits at another offset than the root.
        randomised: whether an absent interaction is only known with probability one.
    """

    root: Node
    nodes: tuple[Node, ...]
    links: dict[Node, tuple[Link, ...]]
    units: dict[Coordinate, dict[Node, Coordinate]]
    several: bool
    grows: bool
    shifted: bool
    randomised: bool


class Components:
    """Finds components; remembers the neighbours of every node.

    Args:
        tester: decides interactions.
    """

    def __init__(self, tester: Decider) -> None:
        self.tester = tester
        self.structure = tester.structure
        self._links: dict[Node, tuple[tuple[Link, ...], bool]] = {}
        self._moving: dict[tuple[str, int], bool] = {}

    def site(self, node: Node) -> tuple[Expr, Place]:
        """A node's reference at its own letters, and those letters."""
        atom, place = generic_site(self.structure, node.name)
        subs = [
            s if literal is None else literal
            for s, literal in zip(terms.subscripts_of(atom), node.pattern, strict=True)
        ]
        kept = {s for s, literal in zip(terms.subscripts_of(atom), node.pattern, strict=True)
                if literal is None}  # fmt: skip
        generics = {k: g for k, g in place.generics.items() if k in kept}
        return terms.ref(node.name, *subs), Place(generics, place.longer)

    def place_of(self, site: Expr) -> Place:
        """The letters of a reference at a generic point."""
        _, place = generic_site(self.structure, terms.name_of(site))
        kept = {k: g for k, g in place.generics.items() if k in site.free_symbols}
        return Place(kept, place.longer)

    def links(self, node: Node) -> tuple[Link, ...]:
        """The locals that interact with a node, each relation once."""
        return self._explored(node)[0]

    def _explored(self, node: Node) -> tuple[tuple[Link, ...], bool]:
        if node in self._links:
            return self._links[node]
        atom, _ = self.site(node)
        found: dict[Expr, Link] = {}
        randomised = False
        for versions in self.candidates(node, ("local",)):
            for other, scope in versions:
                if other == atom or other in found:
                    break
                interaction = self.tester.pair(scope, atom, other)
                randomised |= interaction.evidence == "randomised"
                if interaction.present:
                    found[other] = Link(self.node_of(other, scope), other, scope, interaction)
                    break
        self._links[node] = (tuple(found.values()), randomised)
        return self._links[node]

    def candidates(
        self, node: Node, roles: tuple[str, ...]
    ) -> Iterator[tuple[tuple[Expr, Place], ...]]:
        """References of some roles in the factors that hold a node.

        Each comes with its versions at the ends of the ranges its free letters run over: an end
        may inform where the interior cancels.
        """
        atom, place = self.site(node)
        seen: set[object] = set()
        for instance in self.tester.finder.holding(place, atom):
            scope = place.with_generics([*instance.free, *instance.inner])
            for other in references(instance):
                key = (other, instance.free)
                if self.structure.role(other) in roles and key not in seen:
                    seen.add(key)
                    ends = self.ends(other, place, scope)
                    yield tuple((version, scope) for version in (other, *ends))

    def ends(self, atom: Expr, place: Place, scope: Place) -> Iterator[Expr]:
        """The reference at both ends of the ranges that its free letters run over."""
        axes = self.structure.axes(terms.name_of(atom))
        for k, sub in enumerate(terms.subscripts_of(atom)):
            letters = [s for s in letters_in(sub) if s in scope.generics]
            if len(letters) != 1 or letters[0] in place.generics or isinstance(sub, Indexed):
                continue
            if scope.generics[letters[0]].facts:
                continue
            subs = list(terms.subscripts_of(atom))
            known = {
                terms.index_symbol(a.letter): s for a, s in zip(axes, subs, strict=True)
            }  # fmt: skip
            for end in (axes[k].low, axes[k].high):
                subs[k] = end.xreplace(known)
                yield terms.ref(terms.name_of(atom), *subs)

    def node_of(self, atom: Expr, scope: Place) -> Node:
        """The family that a reference belongs to."""
        pattern: list[Expr | None] = []
        for sub in terms.subscripts_of(atom):
            moving = any(s in scope.generics for s in sub.free_symbols) or sub.atoms(Indexed)
            pattern.append(None if moving else sub)
        node = Node(terms.name_of(atom), tuple(pattern))
        return self._collapsed(node)

    def _collapsed(self, node: Node) -> Node:
        """A literal position of a family that is a chain along that axis belongs to the chain."""
        pattern = list(node.pattern)
        for k, literal in enumerate(pattern):
            if literal is not None and self._moves_along(node.name, k):
                pattern[k] = None
        return Node(node.name, tuple(pattern))

    def _moves_along(self, name: str, axis: int) -> bool:
        """Whether an interior member of a family interacts with others along an axis."""
        key = (name, axis)
        if key not in self._moving:
            self._moving[key] = False
            node = Node(name, (None,) * len(self.structure.axes(name)))
            atom, _ = self.site(node)
            own = terms.subscripts_of(atom)[axis]
            for link in self.links(node):
                if link.target.name == name and terms.subscripts_of(link.atom)[axis] != own:
                    self._moving[key] = True
        return self._moving[key]

    def _literal_members(self, node: Node) -> Iterator[Node]:
        """Members of a chain that the text writes down: `z[1]` may carry data of its own."""
        moving = [k for k, p in enumerate(node.pattern)
                  if p is None and self._moves_along(node.name, k)]  # fmt: skip
        if not moving:
            return
        for term in self.structure.terms:
            letters = {r.letter for r in term.ranges}
            for atom in term.references:
                if terms.name_of(atom) != node.name:
                    continue
                literal = [
                    s if k in moving and not s.free_symbols & letters and not _closed(s) else p
                    for k, (s, p) in enumerate(zip(atom.indices, node.pattern, strict=True))
                ]
                member = Node(node.name, tuple(literal))
                if member != node and self.links(member):
                    yield member

    def of(self, root: Node, *, ends: bool = True) -> Component:
        """The component of a node.

        Args:
            root: the node.
            ends: whether to follow the positions that the text treats apart also where no unit
                bounds the component.

        Raises:
            Stuck: an interaction or an index equation that cannot be decided.
        """
        nodes: dict[Node, None] = {root: None}
        queue = deque([root])
        links: dict[Node, tuple[Link, ...]] = {}
        members: dict[Node, list[Node]] = {}
        units: dict[Coordinate, dict[Node, Coordinate]] = {}
        whole: set[tuple[Node, int]] = set()
        randomised = False
        while queue:
            while queue:
                node = queue.popleft()
                found, unsure = self._explored(node)
                links[node] = tuple(self._gathered(link, whole) for link in found)
                randomised |= unsure
                members[node] = list(self._literal_members(node))
                reached = [link.target for link in links[node]]
                for target in (*reached, *members[node]):
                    if target not in nodes:
                        nodes[target] = None
                        queue.append(target)
                if len(nodes) > LIMIT:
                    raise Stuck(root.name, f"its component has more than {LIMIT} literal positions")
            units = self._units(root, links, members)
            whole = {
                (node, axis)
                for node in nodes
                for axis, literal in enumerate(node.pattern)
                if literal is None and all(s[node].axis != axis for s in units.values())
            }
            for node in list(nodes) if ends or units else ():
                for member in self._special_members(node, whole):
                    if member not in nodes and self.links(member):
                        nodes[member] = None
                        members[node].append(member)
                        queue.append(member)
        loose = [
            self.structure.axes(node.name)[axis]
            for node in nodes
            for axis, literal in enumerate(node.pattern)
            if literal is None
            and not any(s[node].axis == axis and s[node].map is None for s in units.values())
        ]
        several = bool(loose) or len({self._literals(n) for n in nodes}) > 1
        grows = not units and any(not (a.high - a.low).is_number for a in loose)
        shifted = any(
            shared[node].offset != shared[root].offset
            for shared in units.values()
            for node in nodes
        )
        return Component(root, tuple(nodes), links, units, several, grows, shifted, randomised)

    def _special_members(self, node: Node, whole: set[tuple[Node, int]]) -> Iterator[Node]:
        """Members along an axis that the component holds whole, where the text treats them apart.

        The first of a group may have another density, the last one data of its own.

        Args:
            node: a family.
            whole: families and their axes that the component holds whole.
        """
        for axis in range(len(node.pattern)):
            if (node, axis) in whole:
                for position in suspects(self.structure, node.name, axis):
                    pattern = (*node.pattern[:axis], position, *node.pattern[axis + 1 :])
                    yield Node(node.name, pattern)

    def _gathered(self, link: Link, whole: set[tuple[Node, int]]) -> Link:
        """The link, to the generic family if that is in the component whole already."""
        target = link.target
        for axis, literal in enumerate(target.pattern):
            generic = Node(target.name, (*target.pattern[:axis], None, *target.pattern[axis + 1 :]))
            if (generic, axis) in whole and literal not in suspects(
                self.structure, target.name, axis
            ):
                target = generic
        return replace(link, target=target)

    def _literals(self, node: Node) -> tuple[tuple[str, Expr], ...]:
        axes = self.structure.axes(node.name)
        return tuple(
            (a.letter, literal)
            for a, literal in zip(axes, node.pattern, strict=True)
            if literal is not None
        )

    def _units(
        self,
        root: Node,
        links: dict[Node, tuple[Link, ...]],
        members: dict[Node, list[Node]],
    ) -> dict[Coordinate, dict[Node, Coordinate]]:
        found: dict[Coordinate, dict[Node, Coordinate]] = {}
        plain: set[int] = set()
        for start in self._coordinates(root):
            if start.axis in plain and start.map is not None:
                continue
            shared = self._shared(root, start, links, members)
            if shared is not None:
                found[start] = shared
                if start.map is None:
                    plain.add(start.axis)
        return found

    def _shared(
        self,
        root: Node,
        start: Coordinate,
        links: dict[Node, tuple[Link, ...]],
        members: dict[Node, list[Node]],
    ) -> dict[Node, Coordinate] | None:
        shared = {root: start}
        queue = deque([root])
        while queue:
            node = queue.popleft()
            atom, place = self.site(node)
            here = self._value(atom, shared[node], place)
            for member in members[node]:
                if member.pattern[shared[node].axis] is not None:
                    return None
                if member not in shared:
                    shared[member] = shared[node]
                    queue.append(member)
            for link in links[node]:
                if link.target in shared:
                    there = self._value(link.atom, shared[link.target], link.place)
                    if there is None or here is None or sympy.expand(here - there) != 0:
                        return None
                    continue
                for coordinate in self._coordinates(link.target):
                    there = self._value(link.atom, coordinate, link.place)
                    if there is None or here is None:
                        continue
                    gap = sympy.expand(here - there)
                    if gap.is_number:
                        shared[link.target] = Coordinate(coordinate.axis, coordinate.map, gap)
                        queue.append(link.target)
                        break
                else:
                    return None
        return shared

    def _coordinates(self, node: Node) -> Iterator[Coordinate]:
        axes = self.structure.axes(node.name)
        for axis, literal in enumerate(node.pattern):
            if literal is None:
                yield Coordinate(axis)
        for axis, literal in enumerate(node.pattern):
            if literal is None:
                for name in self.structure.maps_on(axes[axis].letter):
                    yield Coordinate(axis, name)

    def _value(self, atom: Expr, coordinate: Coordinate, place: Place) -> Expr | None:
        value = terms.subscripts_of(atom)[coordinate.axis]
        if coordinate.map is not None:
            value = terms.ref(coordinate.map, value).xreplace(place.facts)
        if not any(isinstance(s, Symbol) and s in place.generics for s in value.free_symbols):
            return None
        return value + coordinate.offset


def _closed(position: Expr) -> bool:
    """Whether a position holds the letter of a closed sum."""
    return any("\N{MIDDLE DOT}" in s.name for s in position.free_symbols)


def references(instance: Instance) -> list[Expr]:
    """Every reference in an instance, also those inside subscripts; sorted."""
    found: set[Expr] = set()

    def walk(expr: Expr) -> None:
        if isinstance(expr, Indexed):
            found.add(expr)
            for sub in expr.indices:
                walk(sub)
        elif isinstance(expr, Symbol):
            if not expr.is_integer:
                found.add(expr)
        else:
            for argument in expr.args:
                walk(argument)

    walk(instance.expr)
    return sorted(found, key=sympy.default_sort_key)
