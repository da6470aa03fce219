"""The verdict on every local and on the model, without words: what `conditions.check` reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from sympy import Expr, Indexed

from avi_theory.spec import terms
from avi_theory.spec.model import Model
from avi_theory.symbolic.components import Component, Components, Node
from avi_theory.symbolic.edges import edges, same_form
from avi_theory.symbolic.entries import Input, covers, index_text, reference_text
from avi_theory.symbolic.errors import Partial, Stuck
from avi_theory.symbolic.inputs import Inputs
from avi_theory.symbolic.interaction import Decider
from avi_theory.symbolic.reduction import level
from avi_theory.symbolic.regions import WHOLE, View, joined, parts
from avi_theory.symbolic.structure import WRITTEN_OUT, Structure
from avi_theory.symbolic.verdicts import ORDER, LocalVerdict

MOST_CUTS = 3
"""So many cuts of index sets are followed; more leave the verdict open."""


@dataclass
class Analysis:
    """Everything that the conditions and the report read.

    Args:
        model: the model.
        view: which part of each index set is looked at.

    Attributes:
        structure, components: the prepared model and its interactions, of the part with the worst
            verdict where statements cover parts of an index set.
        locals: the verdict on each local.
        sites: what the closed forms have already read off, by local.
    """

    model: Model
    view: View = WHOLE
    structure: Structure = field(init=False)
    components: Components = field(init=False)
    locals: dict[str, LocalVerdict] = field(init=False)
    sites: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.structure = Structure(self.model, regions=self.view.regions, longer=self.view.longer)
        self.tester = Decider(self.structure)
        self.components = Components(self.tester)
        self.collector = Inputs(self.components)
        self._cuts: list[Partial] = []
        self.locals = {v.name: self._local(v.name) for v in self.model.locals}
        if self._cuts and len(self.view.regions) < MOST_CUTS:
            self._split(self._cuts[0])

    @cached_property
    def named(self) -> Decider:
        """The same model with its scalar givens under their names, for formulas."""
        return Decider(
            Structure(self.model, True, regions=self.view.regions, longer=self.view.longer)
        )

    @property
    def closes(self) -> str:
        """The model's verdict: the worst of its locals'."""
        return max((v.closes for v in self.locals.values()), key=ORDER.index, default="own")

    @property
    def unit(self) -> tuple[str, ...]:
        """The index letters at which the ELBO splits given θ."""
        if self.closes in {"no", "unknown"} or not self.locals:
            return ()
        units = [v.unit for v in self.locals.values()]
        return tuple(x for x in units[0] if all(x in u for u in units))

    @property
    def evidence(self) -> str:
        """``symbolic`` or ``randomised``."""
        unsure = any(v.randomised for v in self.locals.values())
        return "randomised" if unsure else "symbolic"

    def _local(self, name: str) -> LocalVerdict:
        try:
            verdicts = [self._rooted(root) for root in self._roots(name)]
            return self._joined(name, verdicts)
        except Stuck as stuck:
            if isinstance(stuck, Partial):
                self._cuts.append(stuck)
            return LocalVerdict(name, "unknown", (), stuck=str(stuck))

    def _split(self, cut: Partial) -> None:
        """Look at each part of an index set by itself, and join the verdicts."""
        found = [Analysis(self.model, view) for view in parts(self.view, cut)]
        if not found:
            return
        worst = max(found, key=lambda part: ORDER.index(part.closes))
        self.locals = {name: joined(self, name, cut, found, worst) for name in self.locals}
        self.view, self.structure = worst.view, worst.structure
        self.tester, self.components = worst.tester, worst.components
        self.collector = worst.collector

    def _roots(self, name: str) -> list[Node]:
        """The generic member of a family; every member along axes that are written out."""
        choices: list[list[Expr | None]] = []
        for axis in self.structure.axes(name):
            literal = axis.letter in self.structure.literal_letters
            short = (axis.high - axis.low).is_number and axis.high - axis.low < WRITTEN_OUT
            if literal and short:
                choices.append([axis.low + k for k in range(int(axis.high - axis.low) + 1)])
            else:
                choices.append([None])
        return [Node(name, pattern) for pattern in product(*choices)]

    def _rooted(self, root: Node) -> LocalVerdict:
        component, needed, closes = self._explored(root)
        if closes == "no":
            needed = [e for e in needed if e.role != "position"]
            texts = {self.whole(e) for e in needed}
        else:
            if (
                closes == "inputs"
                and component.several
                and (needed or not level(self.components, component))
            ):
                needed = [*needed, *self._positions(component)]
            texts = {e.text for e in needed}
        unit = self._unit(component) if closes not in {"no", "unknown"} else ()
        return LocalVerdict(
            root.name, closes, tuple(sorted(texts)), tuple(needed), self._neighbours(component),
            tuple(edges(self.components, component)), unit, component, component.links[root],
            randomised=component.randomised or self.collector.randomised,
        )  # fmt: skip

    def _explored(self, root: Node) -> tuple[Component, list[Input], str]:
        """The component, what informs it, and the verdict.

        A component without a bound holds every position that the text treats apart.  Those can
        only add arrays to the inputs, so they are looked at where an array is still missing.
        """
        for ends in (False, True):
            component = self.components.of(root, ends=ends)
            needed = self.collector.of(component)
            closes = self._verdict(component, needed)
            named = {terms.name_of(e.atom) for e in needed}
            if component.units or (closes == "no" and named >= self._arrays):
                break
        return component, needed, closes

    @cached_property
    def _arrays(self) -> set[str]:
        """Names of the observed and given arrays that some density mentions."""
        return {
            terms.name_of(atom)
            for term in self.structure.terms
            for atom in term.references
            if self.structure.role(atom) in {"observed", "given"}
            and self.structure.axes(terms.name_of(atom))
        }

    def _joined(self, name: str, verdicts: list[LocalVerdict]) -> LocalVerdict:
        """One verdict for a family from those of its members."""
        worst = max(verdicts, key=lambda v: ORDER.index(v.closes))
        neighbours = tuple(dict.fromkeys(x for v in verdicts for x in v.interacts_with))
        closes = worst.closes
        if len(verdicts) > 1:
            texts = self._generalised(verdicts)
            letters = self._telling_positions(verdicts) if closes in {"own", "inputs"} else ()
            if letters:
                texts, closes = (*texts, *letters), "inputs"
            unit = tuple(letter for letter in worst.unit if all(letter in v.unit for v in verdicts))
        else:
            texts, unit = worst.inputs, worst.unit
        return LocalVerdict(
            name, closes, tuple(sorted(set(texts))), worst.needed, neighbours,
            tuple(dict.fromkeys(e for v in verdicts for e in v.edges)), unit,
            worst.component, worst.links, randomised=any(v.randomised for v in verdicts),
        )  # fmt: skip

    def _telling_positions(self, verdicts: list[LocalVerdict]) -> tuple[str, ...]:
        """Letters of written-out axes along which the members' densities differ in form."""
        roots = [v.component.root for v in verdicts if v.component is not None]
        found = []
        for k, axis in enumerate(self.structure.axes(roots[0].name)):
            first = roots[0].pattern[k]
            if first is not None and any(
                not same_form(self.components, r, roots[0], k)
                for r in roots
                if r.pattern[k] is not None
                and all(
                    r.pattern[j] == roots[0].pattern[j] for j in range(len(r.pattern)) if j != k
                )
            ):
                found.append(axis.letter)
        return tuple(found)

    def _generalised(self, verdicts: list[LocalVerdict]) -> tuple[str, ...]:
        """Inputs of the members written with the letter in place of their literal position."""
        members: list[dict[str, str]] = []
        for verdict in verdicts:
            assert verdict.component is not None
            root = verdict.component.root
            letters = {
                a.letter: p
                for a, p in zip(self.structure.axes(root.name), root.pattern, strict=True)
                if p is not None
            }
            members.append({e.text: self._lifted(e, letters) for e in verdict.needed})
        shifted = [frozenset(lifted.values()) for lifted in members]
        common = frozenset.intersection(*shifted)
        entries: dict[str, Input] = {}
        for verdict, lifted in zip(verdicts, members, strict=True):
            entries |= {e.text: e for e in verdict.needed if lifted[e.text] not in common}
        rest = [e.text for e in self.collector.without_covered(list(entries.values()))]
        return (*(t for t in common if not any(covers(r, t) for r in rest)), *rest)

    def _lifted(self, entry: Input, letters: dict[str, Expr]) -> str:
        if not isinstance(entry.atom, Indexed):
            return entry.text
        axes = self.structure.axes(terms.name_of(entry.atom))
        subs = []
        for sub, axis in zip(entry.atom.indices, axes, strict=True):
            if sub.is_number and axis.letter in letters:
                sub = terms.index_symbol(axis.letter) + sub - letters[axis.letter]
            subs.append(sub)
        return reference_text(terms.ref(terms.name_of(entry.atom), *subs), entry.free)

    def _verdict(self, component: Component, needed: list[Input]) -> str:
        if not component.several:
            if component.shifted:
                return "inputs"
            return "own" if all(self._is_own(component, e) for e in needed) else "inputs"
        if component.grows:
            return "no" if any(self._grows(e) for e in needed) else "inputs"
        if component.units or self._fixed(component):
            return "component"
        return "inputs"

    def _fixed(self, component: Component) -> bool:
        """Whether the component holds several members of one family of fixed size."""
        loose = any(p is None for node in component.nodes for p in node.pattern)
        names = [node.name for node in component.nodes]
        return loose or any(
            names.count(n) > 1 and any((a.high - a.low).is_number for a in self.structure.axes(n))
            for n in names
        )

    def _grows(self, entry: Input) -> bool:
        return entry.role != "position" and any(not (g.high - g.low).is_number for g in entry.free)

    def _is_own(self, component: Component, entry: Input) -> bool:
        """Whether an input is an observation attached to the local's own index tuple."""
        if entry.role != "observed":
            return False
        site, _ = self.components.site(component.root)
        own = set(terms.subscripts_of(site))
        letters = {g.letter: g for g in entry.free}
        touched: set[Expr] = set()
        for sub in terms.subscripts_of(entry.atom):
            if sub in own:
                touched.add(sub)
            elif sub in letters:
                facts = letters[sub].facts
                if any(value not in own for _, value in facts):
                    return False
                touched |= {value for _, value in facts}
            elif isinstance(sub, Indexed) and not self.structure.is_map(sub):
                continue  # the end of the unit's own ragged range
            elif sub.free_symbols & own:
                return False
            elif any(s in letters for s in sub.free_symbols):
                continue
        return own <= touched

    def whole(self, entry: Input) -> str:
        """The whole array that an input belongs to."""
        axes = self.structure.axes(terms.name_of(entry.atom))
        name = terms.name_of(entry.atom)
        return f"{name}[{','.join(':' * len(axes))}]" if axes else name

    def _positions(self, component: Component) -> list[Input]:
        """The root's letters that no unit holds: a bounded set of data far away needs them."""
        kept = {start.axis for start in component.units if start.map is None}
        found = []
        for k, sub in enumerate(terms.subscripts_of(self.components.site(component.root)[0])):
            if k not in kept and component.root.pattern[k] is None and component.grows:
                found.append(Input(sub, (), "position", index_text(sub)))
        return found

    def _unit(self, component: Component) -> tuple[str, ...]:
        """Letters of the unit, those of the index set a map points into where it is one."""
        axes = self.structure.axes(component.root.name)
        letters = set()
        for start in component.units:
            if start.map is not None:
                letters.add(str(self.model.givens[start.map].member_of))
            else:
                letters.add(axes[start.axis].letter)
        if not component.several:
            letters |= {a.letter for a in axes}
        return tuple(sorted(letters))

    def _neighbours(self, component: Component) -> tuple[str, ...]:
        """The locals that interact with the root, as the contract writes them."""
        found = []
        _, place = self.components.site(component.root)
        for link in component.links[component.root]:
            free = [
                g for x, g in link.place.generics.items()
                if x not in place.generics and x in link.atom.free_symbols
            ]  # fmt: skip
            found.append(reference_text(link.atom, free))
        return tuple(dict.fromkeys(found))


def analyse(model: Model) -> Analysis:
    """Decide every local of a model.

    Args:
        model: the model; its sizes and data do not matter.
    """
    return Analysis(model)
