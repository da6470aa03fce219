r"""What a local's optimal factor depends on: its inputs, named in its own index letters.

.. math:: W_n = \bigcup_{j \in K_n} D_j

\(D_j\) holds the observations, covariates, selectors and positions that interact with the local
\(j\), \(K_n\) is the component of the local \(n\) (docs/theory.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.algebra import square
from avi_theory.symbolic.components import Component, Components, Node
from avi_theory.symbolic.entries import Input, covers, index_text, reference_text
from avi_theory.symbolic.instances import Generic, Place
from avi_theory.symbolic.reduction import reduced


class Inputs:
    """Collects inputs.

    Args:
        components: finds components and their interactions.
    """

    def __init__(self, components: Components) -> None:
        self.components = components
        self.structure = components.structure
        self.tester = components.tester
        self.randomised = False
        self._own: dict[Node, list[tuple[Expr, Place, str]]] = {}

    def of(self, component: Component) -> list[Input]:
        """All inputs of a component, seen from its root; no order, no duplicates."""
        found: dict[str, Input] = {}
        absorbed = self._absorbed(component)
        for node in component.nodes:
            translated = self._translation(component, node)
            for atom, scope, role in self.own(node):
                if role == "given" and terms.name_of(atom) in absorbed:
                    continue
                if node.name != component.root.name and self._only_moves(node, atom, role):
                    continue
                entry = self._translated(component, node, atom, scope, role, translated)
                if entry is not None:
                    found.setdefault(entry.text, entry)
        entries = self.without_covered(list(found.values()))
        if component.several or len(component.nodes) < 2:
            return entries
        return reduced(self.components, self.sites(component), entries)

    def _absorbed(self, component: Component) -> set[str]:
        """Givens that do nothing but move locals of other families that no other factor holds."""
        moving: dict[str, bool] = {}
        for node in component.nodes:
            if node.name == component.root.name:
                continue
            for atom, _, role in self.own(node):
                if role == "given":
                    name = terms.name_of(atom)
                    alone = all(
                        term.variable == node.name
                        for term in self.structure.terms
                        if any(terms.name_of(a) == name for a in term.references)
                    )
                    moves = alone and self._only_moves(node, atom, role)
                    moving[name] = moving.get(name, True) and moves
        return {name for name, moves in moving.items() if moves}

    def _only_moves(self, node: Node, atom: Expr, role: str) -> bool:
        r"""Whether a given or the position only moves a local that no other factor holds.

        With \(p(b \mid a) = \varphi(b - kc - \dots)\) the local \(b - kc\) has a density without c,
        and factors whose family is closed under translation fit it as well: the others' optima do
        not depend on c.
        """
        site, place = self.components.site(node)
        holding = self.tester.finder.holding(place, site)
        if role == "observed" or len(holding) != 1 or holding[0].free or holding[0].inner:
            return False
        expr = holding[0].expr
        if self.structure.model.variables[node.name].support != "real":
            return False
        moved = {atom} if role == "given" else {
            a for a in expr.atoms(Indexed)
            if self.structure.role(a) == "global" and self.tester.mentions(a, atom)
        }  # fmt: skip
        if any(a.free_symbols & moved for a in expr.atoms(Indexed) - moved):
            return False  # it selects something as well
        for part in sympy.Add.make_args(expr):
            for shift in moved & part.free_symbols:
                if square(part, site, shift) is None:
                    return False
        left = expr.xreplace({a: sympy.Dummy() for a in moved})
        return role == "given" or not self.tester.mentions(left, atom)

    def sites(self, component: Component) -> list[Expr]:
        """The members of a component of one tuple, in the root's letters, the root first."""
        found = []
        for node in (component.root, *(n for n in component.nodes if n != component.root)):
            known, _ = self._translation(component, node)
            found.append(self.components.site(node)[0].xreplace(known))
        return found

    def own(self, node: Node) -> list[tuple[Expr, Place, str]]:
        """What interacts with one local, in its own letters: reference, letters, role."""
        if node not in self._own:
            self._own[node] = list(self._own_inputs(node))
        return self._own[node]

    def _own_inputs(self, node: Node) -> Iterator[tuple[Expr, Place, str]]:
        site, place = self.components.site(node)
        seen: set[Expr] = set()
        for versions in self.components.candidates(node, ("observed", "given")):
            first = versions[0][0]
            role = self.structure.role(first)
            if role == "given" and self._is_constant(first):
                continue
            for atom, scope in versions:
                key = reference_text(atom, self._free(scope, place, atom))
                if key in seen:
                    break
                interaction = self.tester.pair(scope, site, atom)
                self.randomised |= interaction.evidence == "randomised"
                if interaction.present:
                    seen.add(key)
                    yield atom, scope, role
                    break
        for letter in place.generics:
            interaction = self.tester.position(place, site, letter)
            self.randomised |= interaction.evidence == "randomised"
            if interaction.present:
                yield letter, place, "position"

    def _is_constant(self, given: Expr) -> bool:
        """Whether a given has no letter of its own: a scalar, or a table that something selects."""
        if not isinstance(given, Indexed):
            return True
        bare = [s for s in given.indices if s.free_symbols and not s.atoms(Indexed)]
        literal = [s for s in given.indices if not s.free_symbols]
        return not bare and not (literal and self.structure.axes(terms.name_of(given)))

    def _free(self, scope: Place, place: Place, atom: Expr) -> list[Generic]:
        return [
            g for x, g in scope.generics.items()
            if x not in place.generics and x in atom.free_symbols
        ]  # fmt: skip

    def free_letters(self, node: Node, scope: Place, atom: Expr) -> list[Generic]:
        """The letters of a reference that a node does not own."""
        return self._free(scope, self.components.site(node)[1], atom)

    def text(self, atom: Expr, free: Iterable[Generic]) -> str:
        """A reference as the contract writes it."""
        return reference_text(atom, free)

    def _translation(
        self, component: Component, node: Node
    ) -> tuple[dict[Symbol, Expr], list[Generic]]:
        """A node's letters in the root's letters; letters that nothing fixes are free."""
        root_atom, root_place = self.components.site(component.root)
        own_atom, own_place = self.components.site(node)
        if node == component.root and not component.several:
            return {x: x for x in own_place.generics}, []
        known: dict[Symbol, Expr] = {}
        tied: dict[Symbol, list[tuple[str, Expr]]] = {}
        for start, shared in component.units.items():
            value = terms.subscripts_of(root_atom)[start.axis]
            if start.map is not None:
                value = terms.ref(start.map, value)
            coordinate = shared[node]
            letter = terms.subscripts_of(own_atom)[coordinate.axis]
            if coordinate.map is None:
                known[letter] = value - coordinate.offset
            else:
                tied.setdefault(letter, []).append((coordinate.map, value - coordinate.offset))
        free: list[Generic] = []
        for letter, generic in own_place.generics.items():
            if letter in known:
                continue
            fresh = letter
            while fresh in root_place.generics:
                fresh = terms.index_symbol(fresh.name + "'")
            known[letter] = fresh
            facts = tuple((terms.ref(m, fresh), v) for m, v in tied.get(letter, []))
            free.append(
                Generic(fresh, generic.low.xreplace(known), generic.high.xreplace(known), facts)
            )
        return known, free

    def _translated(
        self,
        component: Component,
        node: Node,
        atom: Expr,
        scope: Place,
        role: str,
        translated: tuple[dict[Symbol, Expr], list[Generic]],
    ) -> Input | None:
        known, loose = translated
        _, own_place = self.components.site(node)
        _, root_place = self.components.site(component.root)
        unit = self._unit_letters(component)
        if role == "position":
            value = known.get(atom, atom)
            kept = value.free_symbols & unit if unit or not component.several else set()
            if not kept:
                return None
            bare = value if isinstance(value, Indexed) else sorted(kept, key=str)[0]
            return Input(bare, (), "position", index_text(bare))
        free = list(loose)
        put = dict(known)
        for x, g in scope.generics.items():
            if x in own_place.generics or x not in atom.free_symbols:
                continue
            fresh = x
            taken = set(root_place.generics) | {h.letter for h in free}
            while fresh in taken:
                fresh = terms.index_symbol(fresh.name + "'")
            put[x] = fresh
            facts = tuple((a.xreplace(put), b.xreplace(put)) for a, b in g.facts)
            free.append(Generic(fresh, g.low.xreplace(put), g.high.xreplace(put), facts))
        new = atom.xreplace(put)
        used = self._used(new, free)
        if role == "given" and not component.grows and not self._varies(new, used, unit, component):
            return None
        return Input(new, used, role, reference_text(new, used))

    def _used(self, atom: Expr, free: list[Generic]) -> tuple[Generic, ...]:
        """The free letters of a reference; facts of a letter about a loose letter say nothing."""
        loose = {g.letter for g in free if not g.facts}
        used = []
        for g in free:
            if g.letter not in atom.free_symbols:
                continue
            facts = []
            for a, b in g.facts:
                if b in loose:
                    continue
                tied = [h for h in free if h.letter in b.free_symbols and h.letter != g.letter]
                if tied and tied[0].facts:
                    inner, outer = tied[0].facts[0]
                    facts.append((inner.xreplace({tied[0].letter: a}), outer))
                else:
                    facts.append((a, b))
            used.append(Generic(g.letter, g.low, g.high, tuple(facts)))
        return tuple(used)

    def _unit_letters(self, component: Component) -> set[Symbol]:
        atom, place = self.components.site(component.root)
        if not component.several:
            return set(place.generics)
        return {
            s
            for start in component.units
            for s in terms.subscripts_of(atom)[start.axis].free_symbols
        }

    def _varies(
        self, atom: Expr, used: Iterable[Generic], unit: set[Symbol], component: Component
    ) -> bool:
        if any(g.facts for g in used) or atom.free_symbols & unit:
            return True
        literal = {
            a.letter
            for a, s in zip(
                self.structure.axes(component.root.name), component.root.pattern, strict=True
            )
            if s is not None
        }
        axes = self.structure.axes(terms.name_of(atom))
        return not component.several and any(a.letter in literal for a in axes)

    def without_covered(self, entries: list[Input]) -> list[Input]:
        """Drop ``y[n,1]`` beside ``y[n,:]``; write all points of a short range as ``:``."""
        texts = {e.text: e for e in entries}
        for entry in entries:
            if isinstance(entry.atom, Indexed):
                self._merge(entry, texts)
        return [
            e for e in texts.values()
            if not any(covers(o.text, e.text) for o in texts.values() if o.text != e.text)
        ]  # fmt: skip

    def _merge(self, entry: Input, texts: dict[str, Input]) -> None:
        axes = self.structure.axes(terms.name_of(entry.atom))
        for k, axis in enumerate(axes):
            if not (entry.atom.indices[k].is_number and (axis.high - axis.low).is_number):
                continue
            subs = list(entry.atom.indices)
            points = []
            for p in range(int(axis.low), int(axis.high) + 1):
                subs[k] = sympy.Integer(p)
                points.append(reference_text(terms.ref(terms.name_of(entry.atom), *subs),
                                             entry.free))  # fmt: skip
            if all(p in texts for p in points) and len(points) > 1:
                subs[k] = terms.index_symbol(axis.letter + "'")
                whole = terms.ref(terms.name_of(entry.atom), *subs)
                free = (*entry.free, Generic(subs[k], axis.low, axis.high))
                for point in points:
                    texts.pop(point)
                text = reference_text(whole, free)
                texts[text] = Input(whole, free, entry.role, text)
                return
