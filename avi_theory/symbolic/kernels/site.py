r"""A local's site: all factors that hold it, and their expectation under everyone else's factor.

.. math:: \log q^\star(z_n) = E_{q_{-n}}\Big[\sum_f \phi_f\Big] + \text{const}

`Site.moments` splits the sum into basis functions of \(z_n\) times coefficients, and writes the
expectation of each coefficient with named moments ``E[1/tau**2]`` and sums over free letters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import sympy
from sympy import Dummy, Expr, Indexed, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.entries import index_text, reference_text
from avi_theory.symbolic.instances import Generic, Instance


@dataclass(frozen=True)
class Formula:
    """An optimal factor: its family, the class of its dependence on the data, text and LaTeX."""

    family: str
    function_class: str
    text: str
    latex: str


@dataclass
class Site:
    """One local at an interior point.

    Attributes:
        analysis: the whole analysis.
        verdict: on this local.
        atom: the reference, in its own letters.
        z: a plain symbol in its place.
        instances: the factors that hold it.
    """

    analysis: Analysis
    verdict: LocalVerdict
    atom: Expr
    z: Dummy
    instances: list[Instance]
    names: dict[Symbol, tuple[str, str]] = field(default_factory=dict)
    _letters: dict[Symbol, set[Symbol]] = field(default_factory=dict)
    _degrees: dict[Symbol, int | None] = field(default_factory=dict)
    _around: dict[Expr, str] = field(default_factory=dict)
    _parts: list[tuple[Expr, Expr, tuple[Generic, ...]]] | None = None
    _moments: dict[object, dict[str, Expr] | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The local as written."""
        return reference_text(self.atom)

    @property
    def support(self) -> str:
        """Where the local lives."""
        return self.analysis.model.variables[terms.name_of(self.atom)].support

    @property
    def is_vector(self) -> bool:
        """Whether the local is a vector whose coordinates cannot be treated one by one."""
        vector = self.analysis.model.variables[terms.name_of(self.atom)].dim is not None
        return vector and any(i.expr.has(terms.total, terms.matvec) for i in self.instances)

    def parts(self) -> list[tuple[Expr, Expr, tuple[Generic, ...]]]:
        """The log density as (basis function of z, coefficient, free letters)."""
        if self._parts is None:
            self._parts = self._split()
        return self._parts

    def _split(self) -> list[tuple[Expr, Expr, tuple[Generic, ...]]]:
        found = []
        for instance in self.instances:
            expr = instance.expr.xreplace({self.atom: self.z})
            expr = sympy.expand(sympy.expand_log(sympy.expand(expr), force=True))
            for term in sympy.Add.make_args(expr):
                coefficient, basis = term.as_independent(self.z, as_Add=False)
                if basis != 1:
                    found.append((basis, coefficient, instance.free))
        return found

    def moments(self, bases: dict[Expr, str]) -> dict[str, Expr] | None:
        """Expected coefficient of each basis function; None if there are others."""
        if not {basis for basis, _, _ in self.parts()} <= set(bases):
            return None
        key = tuple(bases.items())
        if key not in self._moments:
            self._moments[key] = self._collected(bases)
        return self._moments[key]

    def _collected(self, bases: dict[Expr, str]) -> dict[str, Expr] | None:
        result: dict[str, Expr] = {name: sympy.Integer(0) for name in bases.values()}
        for basis, coefficient, free in self.parts():
            if coefficient.has(self.z):
                return None
            result[bases[basis]] += self.expected(coefficient, free)
        return result

    def latent(self, expr: Expr) -> list[Expr]:
        """References to globals and other locals in an expression."""
        return [a for a in self._atoms(expr) if self._role(a) in {"global", "local"}]

    def data(self, expr: Expr) -> list[Expr]:
        """References to observations in an expression."""
        return [a for a in self._atoms(expr) if self._role(a) == "observed"]

    def _role(self, atom: Expr) -> str:
        return self.analysis.structure.role(atom)

    def _atoms(self, expr: Expr) -> list[Expr]:
        found = expr.atoms(Indexed) | {
            s for s in expr.free_symbols
            if isinstance(s, Symbol) and not s.is_integer and s not in self.names
        }  # fmt: skip
        labels = {a.base.label for a in expr.atoms(Indexed)}
        return sorted(found - labels, key=sympy.default_sort_key)

    def expected(self, coefficient: Expr, free: tuple[Generic, ...]) -> Expr:
        """E_q of a coefficient, summed over its free letters."""
        total: Expr = sympy.Integer(0)
        for monomial in sympy.Add.make_args(sympy.expand(coefficient)):
            groups: dict[frozenset[Expr], Expr] = {}
            plain: Expr = sympy.Integer(1)
            for factor in sympy.Mul.make_args(monomial):
                latents = frozenset(self.latent(factor))
                if not latents:
                    plain *= factor
                    continue
                joined = [k for k in groups if k & latents]
                for k in joined:
                    factor *= groups.pop(k)
                    latents |= k
                groups[latents] = factor
            for factor in groups.values():
                plain *= self._moment(factor)
            total += self._summed(plain, free)
        return total

    def _moment(self, factor: Expr) -> Expr:
        scale, inner = factor.as_coeff_Mul()
        text, tex = self.text(inner), self.latex(inner)
        moment = self.symbol(f"E[{text}]", rf"\mathbb{{E}}\!\left[{tex}\right]", inner)
        self._degrees[moment] = None if self.data(inner) else 0
        if any(self._role(a) == "local" for a in self._atoms(inner)):
            plain = isinstance(inner, (Indexed, Symbol))
            self._around[moment] = "mean" if plain else "nonlinear"
        return scale * moment

    def symbol(self, text: str, tex: str, source: Expr) -> Symbol:
        """A symbol printed as given; it remembers which letters it depends on."""
        letters = [s for s in source.free_symbols if isinstance(s, Symbol) and s.is_integer]
        for known, (old, _) in self.names.items():
            if old == text:
                return known
        new = Symbol(text, real=True)
        self.names[new] = (text, tex)
        self._letters[new] = {x for x in letters if isinstance(x, Symbol)}
        return new

    def _depends(self, factor: Expr, letter: Symbol) -> bool:
        return any(
            s == letter or letter in self._letters.get(s, set())
            for s in factor.free_symbols
            if isinstance(s, Symbol)
        )

    def _summed(self, monomial: Expr, free: tuple[Generic, ...]) -> Expr:
        for g in reversed(free):
            inside: Expr = sympy.Integer(1)
            outside: Expr = sympy.Integer(1)
            for factor in sympy.Mul.make_args(monomial):
                if self._depends(factor, g.letter):
                    inside *= factor
                else:
                    outside *= factor
            where = f"{g.letter}"
            if g.facts:
                where += ": " + ", ".join(f"{index_text(a)}={index_text(b)}" for a, b in g.facts)
            if inside == 1:
                if g.facts:
                    tex = rf"\#\{{{where}\}}"
                    monomial = outside * self.symbol(f"#{{{where}}}", tex, sympy.Integer(1))
                else:
                    monomial = outside * (g.high - g.low + 1)
                continue
            text = f"sum({self.text(inside)} for {where})"
            tex = rf"\sum_{{{where}}} {self.latex(inside)}"
            source = inside.xreplace({g.letter: sympy.Integer(0)})
            degree = self.degree(inside)
            summed = self.symbol(text, rf"\Bigl({tex}\Bigr)", source)
            self._degrees[summed] = degree
            around = [self._around[x] for x in inside.free_symbols if x in self._around]
            if around:
                linear = around == ["mean"] and degree == 0
                self._around[summed] = "mean" if linear else "nonlinear"
            monomial = outside * summed
        return monomial

    def degree(self, expr: Expr, *, neighbours: bool = False) -> int | None:
        """Total degree in the observations; None if not a polynomial in them.

        Args:
            expr: in references, moments and sums.
            neighbours: count the means of other locals as observations, their other moments as
                not polynomial.
        """
        if neighbours and not self._neighbours_linear(expr):
            return None
        names = {s for s in expr.free_symbols if s in self.names}
        hidden = {
            s: 1 if neighbours and self._around.get(s) else self._degrees.get(s, 0) for s in names
        }
        scale = Dummy("scale")
        put: dict[Expr, Expr] = {a: scale * Dummy() for a in self.data(expr)}
        for s, inner in hidden.items():
            if inner is None:
                return None
            if inner:
                put[s] = scale**inner * Dummy()
        polynomial = expr.xreplace(put)
        if not polynomial.has(scale):
            return 0
        if not polynomial.is_polynomial(scale):
            return None
        return int(sympy.degree(sympy.expand(polynomial), scale))

    def _neighbours_linear(self, expr: Expr) -> bool:
        """Whether other locals enter by their means alone."""
        return all(self._around.get(s) != "nonlinear" for s in expr.free_symbols)

    def text(self, expr: Expr) -> str:
        """An expression as plain text."""
        return _printed(expr)

    def latex(self, expr: Expr) -> str:
        """An expression in LaTeX."""
        names = {s: tex for s, (_, tex) in self.names.items()}
        return str(sympy.latex(_pretty(expr), symbol_names=names))


def _pretty(expr: Expr) -> Expr:
    return _named(expr, lambda a: f"{terms.name_of(a)}_{{{','.join(map(index_text, a.indices))}}}")


def _printed(expr: Expr) -> str:
    return str(_named(expr, reference_text))


def _named(expr: Expr, name: Callable[[Expr], str]) -> Expr:
    """References and looked-up entries as plain symbols with readable names."""

    def shown(atom: Expr) -> Symbol:
        text = name(atom)
        if "missing·" in text:
            text = f"present({text.replace('missing·', '')})"
        return Symbol(text, real=True)

    expr = expr.xreplace({a: shown(a) for a in expr.atoms(Indexed)})
    return expr.replace(
        lambda e: isinstance(e, terms.pick),
        lambda e: Symbol(
            f"{e.args[0]}[{index_text(e.args[1])}]".replace("vector(", "("), real=True
        ),
    )


def site_of(analysis: Analysis, verdict: LocalVerdict) -> Site | None:
    """The site of a local at its root; None if the analysis got stuck, or it has no plain form."""
    known = analysis.sites
    if verdict.name not in known:
        known[verdict.name] = _site(analysis, verdict)
    found = known[verdict.name]
    return found if isinstance(found, Site) else None


def _site(analysis: Analysis, verdict: LocalVerdict) -> Site | None:
    if verdict.component is None:
        return None
    atom, place = analysis.components.site(verdict.component.root)
    named = analysis.named
    instances = named.finder.holding(place, atom)
    if any(not i.expr.has(atom) or i.inner for i in instances):
        return None
    if analysis.model.variables[verdict.name].dim is not None:
        instances = _coordinatewise(list(instances), atom)
    return Site(analysis, verdict, atom, Dummy("z", real=True), list(instances))


def _coordinatewise(instances: list[Instance], atom: Expr) -> list[Instance]:
    """The factors of one coordinate, where every factor is a sum over coordinates."""
    mixing = (terms.pick, terms.matvec, AppliedUndef)
    if all(
        isinstance(i.expr, terms.total) and not any(m.has(atom) for m in i.expr.atoms(*mixing))
        for i in instances
    ):
        return [replace(i, expr=i.expr.args[0]) for i in instances]
    return instances
