r"""A local's site: all factors that hold it, and their expectation under everyone else's factor.

.. math:: \log q^\star(z_n) = E_{q_{-n}}\Big[\sum_f \phi_f\Big] + \text{const}

`Site.moments` splits the sum into basis functions of \(z_n\) times coefficients, and takes the
expectation of each coefficient, as named moments ``E[1/tau**2]`` and sums over free letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import sympy
from sympy import Dummy, Expr, Indexed, Symbol, log

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import Link
from avi_theory.symbolic.differences import gap
from avi_theory.symbolic.entries import reference_text
from avi_theory.symbolic.instances import Generic, Instance
from avi_theory.symbolic.kernels.heads import (
    count,
    expectation,
    over,
    product,
    references,
    rest,
)
from avi_theory.symbolic.kernels.printing import MISSING, as_latex, as_text
from avi_theory.symbolic.kernels.shapes import shape_of, width_of

Part = tuple[Expr, Expr, Instance]
"""A basis function of z, its coefficient, and where it comes from."""


@dataclass(frozen=True)
class Formula:
    """An optimal factor: its family, the class of its dependence on the data, text and LaTeX.

    Attributes:
        family: of the distribution.
        function_class: ``constant``, ``affine``, ``polynomial:D``, ``log-linear`` or ``none``.
        text, latex: the formula.
        parameters: the same as expressions, by the parameter's name.
    """

    family: str
    function_class: str
    text: str
    latex: str
    parameters: tuple[tuple[str, Expr], ...] = ()


@dataclass
class Site:
    """One local at an interior point.

    Attributes:
        analysis: the whole analysis.
        verdict: on this local.
        atom: the reference, in its own letters.
        instances: the factors that hold it.
        links: its interactions with other locals.
        others: the sites of its family at other positions that the text writes out.
        z: a plain symbol in its place.
        counts: how many points the letters of the inner ranges run over, where that is needed.
    """

    analysis: Analysis
    verdict: LocalVerdict
    atom: Expr
    instances: list[Instance]
    links: tuple[Link, ...] = ()
    others: tuple[Site, ...] = ()
    z: Dummy = field(init=False)
    counts: dict[Expr, None] = field(default_factory=dict)
    _parts: list[Part] | None = None
    _moments: dict[object, dict[str, Expr] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above = self.support in {"positive", "unit", "interval"}
        self.z = Dummy("z", positive=True) if above else Dummy("z", real=True)

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
        """Whether the local is a vector."""
        return self.analysis.model.variables[terms.name_of(self.atom)].dim is not None

    @property
    def letters(self) -> set[str]:
        """Names that are taken in the factors."""
        found = {str(s) for i in self.instances for s in i.expr.free_symbols}
        return found | {g.letter.name for i in self.instances for g in (*i.free, *i.inner)}

    # -- the log density as a function of z -------------------------------------------------

    def parts(self) -> list[Part]:
        """The log density as basis functions of z times coefficients."""
        if self._parts is None:
            self._parts = [
                (basis, coefficient, instance)
                for instance in self.instances
                for basis, coefficient in self.split(instance.expr.xreplace({self.atom: self.z}))
            ]
        return self._parts

    def split(self, expr: Expr, *, inside: bool = False) -> Iterator[tuple[Expr, Expr]]:
        """Terms of an expression as (basis function of z, coefficient).

        A sum over coordinates is opened: for a vector it speaks of each coordinate, for a scalar
        the coefficients are summed.
        """
        for term in sympy.Add.make_args(opened(expr, self.z)):
            coefficient, basis = term.as_independent(self.z, as_Add=False)
            if basis == 1:
                continue
            if isinstance(basis, terms.total) and not inside:
                for inner, factor in self.split(basis.args[0], inside=True):
                    whole = factor if self.is_vector else self.totalled(factor, basis.args[0])
                    yield (inner if whole is not None else basis), coefficient * (whole or 1)
            else:
                yield basis, coefficient

    def totalled(self, coefficient: Expr, whole: Expr) -> Expr | None:
        """Σ over coordinates of one term of a sum over coordinates; None if its shape is open."""
        structure = self.analysis.named.structure
        outside: Expr = sympy.Integer(1)
        inside: Expr = sympy.Integer(1)
        for factor in sympy.Mul.make_args(coefficient):
            shape = shape_of(structure, factor)
            if shape == "scalar":
                outside *= factor
            elif shape == "vector":
                inside *= factor
            else:
                return None
        if inside != 1:
            return outside * terms.total(inside)
        width = width_of(structure, whole)
        return None if width is None else outside * width

    def without_vectors(self, expr: Expr) -> Expr | None:
        """An expanded expression with each sum over coordinates opened term by term."""
        found: Expr = sympy.Integer(0)
        for term in sympy.Add.make_args(expr):
            scale, head = term.as_independent(terms.total, as_Add=False)
            if not isinstance(head, terms.total):
                found += term
                continue
            for part in sympy.Add.make_args(opened(head.args[0], self.z)):
                whole = self.totalled(part, head.args[0])
                if whole is None:
                    return None
                found += scale * whole
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
        for basis, coefficient, instance in self.parts():
            value = self.expected(coefficient, instance)
            if value is None or value.has(self.z):
                return None
            result[bases[basis]] += value
        return {name: self._telescoped(value) for name, value in result.items()}

    # -- expectations -----------------------------------------------------------------------

    def role(self, atom: Expr) -> str:
        """``local``, ``global``, ``observed``, ``given`` or ``""``."""
        return self.analysis.structure.role(atom)

    def latent(self, expr: Expr) -> frozenset[Expr]:
        """References to globals and other locals in an expression."""
        return frozenset(a for a in references(expr) if self.role(a) in {"global", "local"})

    def data(self, expr: Expr) -> frozenset[Expr]:
        """References to observations in an expression."""
        return frozenset(a for a in references(expr) if self.role(a) == "observed")

    def expected(self, coefficient: Expr, instance: Instance) -> Expr | None:
        """E_q of a coefficient, summed over an instance's letters; None if that is not known."""
        total: Expr = sympy.Integer(0)
        for monomial in sympy.Add.make_args(sympy.expand(coefficient)):
            inner = [g for g in instance.inner if g.letter in monomial.free_symbols]
            if len(inner) > 1:
                return None
            if inner and inner[0] != instance.inner[0]:
                continue  # stands for the same entries as the first
            value = self.expectation(monomial)
            if inner:
                value = self._of_the_rest(value, inner[0])
            total += self.summed(value, instance.free)
        return total

    def _of_the_rest(self, value: Expr, one: Generic) -> Expr:
        """What one unnamed entry of a closed sum stands for: all, or all but the local's own."""
        scale, inside = value.as_independent(one.letter, as_Add=False)
        letter = terms.index_symbol(one.letter.name.split("_")[0] + "'")
        moved = inside.xreplace({one.letter: letter})
        name = terms.name_of(self.atom)
        held = [a for a in references(moved) if terms.name_of(a) == name]
        if held:
            axis = terms.subscripts_of(held[0]).index(letter)
            own = terms.subscripts_of(self.atom)[axis]
            return scale * rest(moved, letter, one.low, one.high, own)
        return scale * over(moved, letter, one.low, one.high)

    def expectation(self, monomial: Expr) -> Expr:
        """E_q of a product: factors that share no latent are independent under q."""
        groups: list[tuple[frozenset[Expr], Expr]] = []
        plain: Expr = sympy.Integer(1)
        for factor in sympy.Mul.make_args(monomial):
            latents = self.latent(factor)
            if not latents:
                plain *= factor
                continue
            for old in [g for g in groups if any(same(a, b) for a in g[0] for b in latents)]:
                groups.remove(old)
                latents, factor = latents | old[0], factor * old[1]
            groups.append((latents, factor))
        for _, factor in groups:
            plain *= self._moment(factor)
        return plain

    def _moment(self, factor: Expr) -> Expr:
        scale, inner = factor.as_coeff_Mul()
        if isinstance(inner, terms.total):
            parts = sympy.Add.make_args(sympy.expand(inner.args[0]))
            return scale * terms.total(sympy.Add(*(self.expectation(p) for p in parts)))
        if isinstance(inner, product):
            matrix, vector = inner.args
            if not any(same(a, b) for a in self.latent(matrix) for b in self.latent(vector)):
                parts = sympy.Add.make_args(sympy.expand(vector))
                left = expectation(matrix) if self.latent(matrix) else matrix
                return scale * product(left, sympy.Add(*(self.expectation(p) for p in parts)))
        return scale * expectation(inner)

    def summed(self, value: Expr, free: tuple[Generic, ...]) -> Expr:
        """The sum of an expression over letters, with what does not move taken out of it."""
        parts = []
        for monomial in sympy.Add.make_args(value):
            for g in reversed(free):
                inside: Expr = sympy.Integer(1)
                outside: Expr = sympy.Integer(1)
                for factor in sympy.Mul.make_args(monomial):
                    if g.letter in factor.free_symbols:
                        inside *= factor
                    else:
                        outside *= factor
                facts = [x for pair in g.facts for x in pair]
                if inside == 1:
                    number = count(g.letter, g.low, g.high, *facts)
                    self.counts[number] = None
                    monomial = outside * number
                else:
                    monomial = outside * over(inside, g.letter, g.low, g.high, *facts)
            parts.append(monomial)
        return sympy.Add(*parts)

    def _telescoped(self, value: Expr) -> Expr:
        r"""Sums whose summands cancel but for the ends: \(\sum_t (y_t - y_{t-1}) = y_T - y_0\)."""
        sums = [
            (term, coefficient, head)
            for term in sympy.Add.make_args(value)
            for coefficient, head in [_times_a_sum(term)]
            if head is not None
        ]
        for term, coefficient, head in sums:
            body, letter, low, high = head.args
            before = over(body.xreplace({letter: letter - 1}), letter, low, high)
            other = -coefficient * before
            if any(t == other for t, _, _ in sums):
                ends = body.xreplace({letter: high}) - body.xreplace({letter: low - 1})
                known = self.analysis.named.structure.edge_values
                return self._telescoped(value - term - other + coefficient * ends.xreplace(known))
        return value

    # -- words -------------------------------------------------------------------------------

    def text(self, expr: Expr) -> str:
        """An expression as plain text."""
        known = {k: (v.range.low, v.range.high) for k, v in self.analysis.model.indices.items()}
        return as_text(expr, known)

    def latex(self, expr: Expr) -> str:
        """An expression in LaTeX."""
        return as_latex(expr)

    def statistics(self, *values: Expr) -> str:
        """A clause that names what inner ranges and the data enter through; "" without a range."""
        heads = [h for v in values for h in v.atoms(over)]
        told = dict.fromkeys(x for v in values for x in self._told(v))
        if not told or not (heads or self.counts):
            return ""
        shown = sorted(map(self.text, told))
        counts = sorted(self.text(c) for c in self.counts if not c.is_number)
        if counts:
            shown.append(f"the count{'s' * (len(counts) > 1)} {', '.join(counts)}")
        return (
            f"; the data enter through {', '.join(shown[:-1])}{' and ' * (len(shown) > 1)}"
            + (shown[-1])
        )

    def _told(self, expr: Expr) -> Iterator[Expr]:
        """Outermost sums of data, and data outside of them."""
        masked = any(terms.name_of(a).startswith(MISSING) for a in references(expr))
        if not (self.data(expr) or masked):
            return
        if isinstance(expr, (over, Indexed, Symbol)) and not self.latent(expr):
            yield expr
        else:
            for a in expr.args:
                yield from self._told(a)

    def free_name(self, *names: str) -> str:
        """The first of some names that the factors do not use."""
        return next(x for x in (*names, f"{names[0]}'", f"{names[0]}''") if x not in self.letters)


def opened(expr: Expr, z: Expr) -> Expr:
    """An expression expanded, with logarithms of products and quotients as sums."""

    def apart(argument: Expr) -> Expr:
        if not (argument.is_Add and argument.has(z)) or argument.is_polynomial(z):
            return log(sympy.factor_terms(argument))
        above, below = sympy.fraction(sympy.together(argument))
        return log(sympy.factor_terms(sympy.expand(above))) - log(
            sympy.factor_terms(sympy.expand(below))
        )

    if expr.has(terms.softplus):
        expr = expr.replace(
            lambda e: isinstance(e, terms.softplus) and isinstance(e.args[0], log),
            lambda e: log(1 + e.args[0].args[0]),
        )
    if not any(e.has(z) for e in expr.atoms(log)):
        return sympy.expand(expr)
    if any(e.has(z) and e.args[0] != z for e in expr.atoms(log)):
        expr = expr.replace(log, apart)
    return sympy.expand(sympy.expand_log(sympy.expand(expr), force=True))


def _times_a_sum(term: Expr) -> tuple[Expr, Expr | None]:
    """A term as coefficient times one sum over a whole range; None if it is not that."""
    heads = [f for f in sympy.Mul.make_args(term) if isinstance(f, over) and len(f.args) == 4]
    return (term / heads[0], heads[0]) if len(heads) == 1 else (term, None)


def same(a: Expr, b: Expr, letters: frozenset[Symbol] | None = None) -> bool:
    """Whether two references may mean the same variable.

    Args:
        a: a reference.
        b: another.
        letters: letters that may take any value; None if all may.
    """
    if terms.name_of(a) != terms.name_of(b):
        return False
    if a == b:
        return True
    gaps = [gap(i, j) for i, j in zip(terms.subscripts_of(a), terms.subscripts_of(b), strict=True)]
    if any(g.is_number and g != 0 for g in gaps):
        return False
    if letters is None:
        return True
    return all(g == 0 or g.atoms(Indexed) or g.free_symbols & letters for g in gaps)
