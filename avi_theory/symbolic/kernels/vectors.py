r"""Vector locals under a diagonal Normal factor: factor analysis, linear VAEs, linear dynamics.

.. math:: \log p = -\tfrac12 z^\top P z + h^\top z + \text{const} \;\Rightarrow\;
    q^\star(z) = N\big(P^{-1}h,\ \mathrm{diag}(P)^{-1}\big)

The coordinates of one vector are coupled; the fixpoint of their means is \(P m = h\), whatever the
coupling, and each precision is the diagonal entry (docs/theory.md).  Exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Dummy, Expr

from avi_theory.spec import terms
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.kernels.classes import gaussian_class
from avi_theory.symbolic.kernels.heads import (
    diagonal,
    diagonal_of,
    gram,
    inverse,
    product,
    solve,
    transpose,
)
from avi_theory.symbolic.kernels.shapes import shape_of
from avi_theory.symbolic.kernels.site import Formula, Site

LARGEST = 6
"""Vectors with more coordinates are not treated coordinate by coordinate."""


@dataclass(frozen=True)
class _Quadratic:
    """P and h of one factor, or of all."""

    precision: Expr
    linear: Expr

    def __add__(self, other: _Quadratic) -> _Quadratic:
        return _Quadratic(self.precision + other.precision, self.linear + other.linear)


def vector_normal(site: Site) -> Formula | None:
    """Normal, diagonal: every factor is quadratic in the vector, through it or one matrix of it."""
    if site.support != "real" or not site.is_vector:
        return None
    whole = _Quadratic(sympy.Integer(0), sympy.Integer(0))
    for instance in site.instances:
        for term in sympy.Add.make_args(instance.expr):
            mask, inner = _mask(term, site.atom)
            found = _of_factor(site, inner) if inner.has(site.atom) else None
            if found is None:
                if inner.has(site.atom):
                    return None
                continue
            summed = _summed(site, found, mask, instance)
            if summed is None:
                return None
            whole += summed
    if whole.precision == 0:
        return None
    p = _merged(whole.precision)
    h = whole.linear.replace(product, lambda a, v: product(a, sympy.factor_terms(v)))
    kind = gaussian_class(site, [h], [p])
    big, small = site.free_name("P", "Q"), site.free_name("h", "b")
    text = (
        f"q({site.name}) = Normal(mean = inverse({big}) @ {small}, sd = 1/sqrt(diag({big}))), "
        f"{big} = {site.text(p)}, {small} = {site.text(h)}{site.statistics(p, h)}"
    )
    tex = (
        rf"q^\star\left({site.latex(site.atom)}\right) = \mathrm{{Normal}}\left("
        rf"\mathrm{{mean}} = {big}^{{-1}} {small},\ \mathrm{{sd}} = "
        rf"\mathrm{{diag}}({big})^{{-1/2}}\right),"
        rf"\quad {big} = {site.latex(p)},\quad {small} = {site.latex(h)}"
    )
    values = (("mean", solve(p, h)), ("sd", diagonal_of(p) ** sympy.Rational(-1, 2)))
    return Formula("Normal", kind, text, tex, values)


def _merged(matrix: Expr) -> Expr:
    """A sum of matrices with one diagonal."""
    entries: Expr = sympy.Integer(0)
    others: Expr = sympy.Integer(0)
    for term in sympy.Add.make_args(matrix):
        scale, head = term.as_independent(diagonal, as_Add=False)
        if isinstance(head, diagonal):
            entries += scale * head.args[0]
        else:
            others += term
    return others if entries == 0 else others + diagonal(entries)


def _mask(term: Expr, atom: Expr) -> tuple[Expr, Expr]:
    """A term as what multiplies the factor (the presence of a cell) and the factor."""
    outside: Expr = sympy.Integer(1)
    inside: Expr = sympy.Integer(1)
    for factor in sympy.Mul.make_args(term):
        if factor.has(atom):
            inside *= factor
        else:
            outside *= factor
    return outside, inside


def _summed(
    site: Site, found: _Quadratic, mask: Expr, instance: Instance
) -> _Quadratic | None:  # fmt: skip
    values = []
    for value in (found.precision, found.linear):
        terms_ = []
        for term in sympy.Add.make_args(value):
            expected = site.expected(mask * term, instance)
            if expected is None:
                return None
            terms_.append(expected)
        values.append(sympy.Add(*terms_))
    return _Quadratic(*values)


def _of_factor(site: Site, inner: Expr) -> _Quadratic | None:
    """P and h of one factor; None if it is not quadratic in the vector, or not seen to be."""
    if isinstance(inner, terms.mvn_log_density):
        return _of_joint(site, *inner.args)
    if isinstance(inner, terms.total):
        return _of_forms(site, inner.args[0], whole=inner.args[0])
    return _of_forms(site, inner, whole=None)


def _forms(site: Site, expr: Expr) -> tuple[Expr, dict[Dummy, Expr | None]]:
    """An expression in placeholders for the linear forms W z of the vector; None stands for z."""
    found: dict[Dummy, Expr | None] = {}
    names: dict[Expr, Dummy] = {}
    dim = site.analysis.model.variables[terms.name_of(site.atom)].dim
    width = None if dim is None else sympy.sympify(dim)

    def row(k: int | None) -> Expr | None:
        """The row that picks one coordinate, or adds up all."""
        if width is None or not width.is_Integer or width > LARGEST:
            return None
        return terms.vector(*(int(k is None or i == k) for i in range(int(width))))

    def placed(e: Expr, matrix: Expr | None) -> Dummy:
        if e not in names:
            names[e] = Dummy(f"u{len(names)}", real=True)
            found[names[e]] = matrix
        return names[e]

    def walk(e: Expr) -> Expr:
        if e == site.atom:
            return placed(e, None)
        matrix: Expr | None = None
        if isinstance(e, terms.matvec) and e.args[1] == site.atom and not e.args[0].has(site.atom):
            matrix = e.args[0]
        elif isinstance(e, terms.total) and e.args[0] == site.atom:
            matrix = row(None)
        elif isinstance(e, terms.pick) and e.args[0] == site.atom and e.args[1].is_Integer:
            matrix = row(int(e.args[1]))
        if matrix is not None:
            return placed(e, matrix)
        if not e.args or not e.has(site.atom) or not (e.is_Add or e.is_Mul or e.is_Pow):
            return e
        return e.func(*(walk(a) for a in e.args))

    return walk(expr), found


def _of_forms(site: Site, expr: Expr, *, whole: Expr | None) -> _Quadratic | None:
    """A polynomial of degree two in forms, elementwise (`whole` is then summed) or a scalar."""
    polynomial, forms = _forms(site, expr)
    polynomial = sympy.expand(polynomial)
    if polynomial.has(site.atom) or not forms or not polynomial.is_polynomial(*forms):
        return None
    total = _Quadratic(sympy.Integer(0), sympy.Integer(0))
    for powers, coefficient in sympy.Poly(polynomial, *forms).terms():
        held = [f for f, power in zip(forms, powers, strict=True) for _ in range(power)]
        if not held:
            continue
        if len(held) > 2 or (len(held) == 2 and not _squared(held, forms, whole)):
            return None
        part = _of_monomial(site, [forms[f] for f in held], coefficient, whole)
        if part is None:
            return None
        total += part
    return total


def _squared(held: list[Dummy], forms: dict[Dummy, Expr | None], whole: Expr | None) -> bool:
    """Whether two forms are one, or two rows, whose product is a matrix of numbers."""
    rows = all(isinstance(forms[f], terms.vector) for f in held)
    return held[0] == held[1] or (rows and whole is None)


def _of_monomial(
    site: Site, forms: list[Expr | None], coefficient: Expr, whole: Expr | None
) -> _Quadratic | None:
    """P and h of coefficient times one or two forms."""
    structure = site.analysis.named.structure
    none: Expr = sympy.Integer(0)
    shapes = ["identity" if f is None else shape_of(structure, f) for f in forms]
    as_row = shapes[0] == "vector"
    if (whole is None and not as_row) or None in shapes:
        return None
    if as_row and whole is not None:
        added = site.totalled(coefficient, whole)
        if added is None:
            return None
        coefficient = added
    outside, inside = _scalars_apart(site, coefficient)
    if inside is None:
        return None
    if len(forms) == 1:
        if as_row:
            return _Quadratic(none, coefficient * transpose(forms[0]))
        form = forms[0]
        return _Quadratic(
            none, coefficient if form is None else outside * product(transpose(form), inside)
        )
    if as_row and forms[0] != forms[1]:
        return _Quadratic(-coefficient * _outer(forms), none)
    if forms[0] is None:
        return _Quadratic(diagonal(-2 * coefficient), none)
    return _Quadratic(-2 * outside * gram(forms[0], inside), none)


def _outer(forms: list[Expr | None]) -> Expr:
    """a bᵀ + b aᵀ of two rows of numbers."""
    a, b = (f.args for f in forms if f is not None)
    return terms.vector(
        *(terms.vector(*(x * v + u * y for y, v in zip(a, b, strict=True)))
          for x, u in zip(a, b, strict=True))
    )  # fmt: skip


def _scalars_apart(site: Site, coefficient: Expr) -> tuple[Expr, Expr | None]:
    """A coefficient as a number times a vector; the vector is 1 if all of it is a number."""
    structure = site.analysis.named.structure
    outside: Expr = sympy.Integer(1)
    inside: Expr = sympy.Integer(1)
    for factor in sympy.Mul.make_args(sympy.factor_terms(coefficient)):
        shape = shape_of(structure, factor)
        if shape not in {"scalar", "vector"}:
            return outside, None
        if shape == "scalar":
            outside *= factor
        else:
            inside *= factor
    return outside, inside


def _of_joint(site: Site, value: Expr, mean: Expr, cov: Expr) -> _Quadratic | None:
    """A MultivariateNormal factor: of the vector itself, or with a mean linear in it."""
    if cov.has(site.atom):
        return None
    difference, forms = _forms(site, value - mean)
    difference = sympy.expand(difference)
    if len(forms) != 1 or difference.has(site.atom):
        return None
    (name, form), weight = next(iter(forms.items())), inverse(cov)
    slope = difference.coeff(name)
    known = difference - slope * name
    if known.has(name) or not slope.is_number:
        return None
    pulled = sympy.Integer(0) if known == 0 else product(weight, sympy.expand(-slope * known))
    if form is None:
        return _Quadratic(slope**2 * weight, pulled)
    if shape_of(site.analysis.named.structure, form) != "matrix":
        return None
    back = sympy.Integer(0) if known == 0 else product(transpose(form), pulled)
    return _Quadratic(slope**2 * gram(form, weight), back)
