"""Second pass: the densities and potentials, with their arguments checked against the signature."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr

from avi_theory.errors import nearest
from avi_theory.spec import terms
from avi_theory.spec.distributions import DISTRIBUTIONS, Distribution, Parameter
from avi_theory.spec.model import Density, Potential, Range
from avi_theory.spec.notation import domains
from avi_theory.spec.notation.expressions import Reader
from avi_theory.spec.notation.places import Declared, Place
from avi_theory.spec.notation.scope import Reference, Scope
from avi_theory.spec.notation.shapes import Value, same_shape, shown_shape
from avi_theory.spec.notation.syntax import Code, Raw
from avi_theory.spec.terms import index_symbol

WIDEST_FIRST = (
    "real", "positive", "interval", "unit", "simplex",
    "count", "bounded_count", "categories", "binary",
)  # fmt: skip
"""Supports, the widest first."""


@dataclass
class Written:
    """What the second pass adds.

    Attributes:
        densities, potentials: with where they stand.
        references: indexed names in them, by name; parents: the same by statement.
        uses: the names each statement mentions, beside the variable it declares.
        categories: number of values of a discrete variable; read: ids of statements that are fine.
    """

    densities: list[tuple[Density, Place]] = field(default_factory=list)
    potentials: list[Potential] = field(default_factory=list)
    references: dict[str, list[Reference]] = field(default_factory=dict)
    uses: list[tuple[str, set[str]]] = field(default_factory=list)
    parents: list[tuple[Place, list[Reference]]] = field(default_factory=list)
    categories: dict[str, Expr] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)


def note_supports(raws: Sequence[Raw], scope: Scope) -> None:
    """Which variables are discrete, from their distributions' names alone."""
    for raw in raws:
        if raw.call is None or not raw.items or raw.name not in scope.variables:
            continue
        node = raw.call.node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            family = DISTRIBUTIONS.get(node.func.id)
            if family is not None:
                known = scope.discrete.get(raw.name, family.support)
                scope.discrete[raw.name] = min(known, family.support, key=WIDEST_FIRST.index)
                if family.support == "real" and family.name != "Flat" and raw.keyword != "observed":
                    scope.proper_reals.add(raw.name)


def write_densities(raws: Sequence[Raw], declared: Declared, scope: Scope) -> Written:
    """Read every density and potential in the order of the text."""
    written = Written()
    places = {id(p.raw): p for ps in declared.places.values() for p in ps}
    bounds = {id(raw): ranges for raw, ranges in declared.potentials}
    for raw in raws:
        if raw.keyword == "network" and raw.call is not None and raw.name in scope.networks:
            _prior(raw, raw.call, scope, written)
        elif raw.keyword == "potential" and raw.body is not None:
            ranges = bounds.get(id(raw))
            _potential(raw, raw.body, ranges, scope, written)
        elif raw.call is not None and raw.keyword != "network":
            place = places.get(id(raw))
            if place is None or raw.name in scope.broken:
                _read_anyway(raw, raw.call, scope, written)
            else:
                _density(place, raw.call, scope, written)
    return written


def _read_anyway(raw: Raw, code: Code, scope: Scope, written: Written) -> None:
    """Find the problems of a density whose left side has failed."""
    letters = {n: s.range for n, s in scope.indices.items()}
    for r in raw.ranges:
        letters.setdefault(r.letter.text, Range(index_symbol(r.letter.text), *(sympy.S.One,) * 2))
    for t in raw.over:
        letters.setdefault(t.text, Range(index_symbol(t.text), *(sympy.S.One,) * 2))
    for item in raw.items:
        for sub in item.subscripts or ():
            if isinstance(sub.node, ast.Name) and sub.node.id in scope.broken:
                letters.setdefault(
                    sub.node.id, Range(index_symbol(sub.node.id), *(sympy.S.One,) * 2)
                )
    reader = Reader(scope, code, letters)
    call = code.node
    if isinstance(call, ast.Call):
        _family(reader, call)
        for argument in (*call.args, *(k.value for k in call.keywords)):
            reader.value(argument)
    written.uses.append(("", set(reader.uses)))


def _potential(
    raw: Raw, code: Code, ranges: tuple[Range, ...] | None, scope: Scope, written: Written
) -> None:
    bound = ranges or ()
    letters = {str(r.letter): r for r in bound}
    if ranges is None:
        letters = {
            r.letter.text: Range(index_symbol(r.letter.text), sympy.S.One, sympy.S.One)
            for r in raw.ranges
        }
    reader = Reader(scope, code, letters)
    value = reader.scalar()
    _remember(reader, "", bound, written)
    if not value.broken and ranges is not None:
        if complaint := domains.undefined(value.expr, scope):
            reader.problem(code.node, f"The potential is no sensible number: {complaint}")
            return
        written.read.add(id(raw))
        written.potentials.append(
            Potential(value.expr, bound, raw.statement.text, raw.statement.line)
        )


def _remember(reader: Reader, variable: str, ranges: tuple[Range, ...], written: Written) -> None:
    uses = set(reader.uses)
    for r in ranges:
        uses |= {terms.name_of(s) for s in r.low.free_symbols | r.high.free_symbols}
        uses.add(str(r.letter))
    written.uses.append((variable, uses))
    for reference in reader.references:
        written.references.setdefault(reference.name, []).append(reference)


def _prior(raw: Raw, code: Code, scope: Scope, written: Written) -> None:
    """``network f : R[2] -> R[3] ~ Normal(0, 1)``."""
    reader = Reader(scope, code, {})
    bound = _bind(reader, code.node, None)
    written.uses.append((raw.name, set(reader.uses)))
    if bound is None:
        return
    family, values = bound
    if family.discrete or family.multivariate or family.name == "Flat":
        reader.problem(
            code.node, f"{family.name} is no prior for weights.", "For example Normal(0, 1)."
        )
        return
    for value in values.values():
        if not value.broken and value.shape:
            reader.problem(code.node, "A prior on weights has scalar parameters.")
            return
    _check_domains(reader, code, family, values, scope)
    written.read.add(id(raw))
    arguments = {k: v.expr for k, v in values.items()}
    network = scope.networks[raw.name]
    scope.networks[raw.name] = replace(network, prior=(family.name, arguments))


def _density(place: Place, code: Code, scope: Scope, written: Written) -> None:
    raw, name = place.raw, place.raw.name
    letters = {str(r.letter): r for r in place.ranges}
    for letter in place.over:
        r = place.ranges[-1]
        letters.setdefault(str(letter), Range(letter, r.low, r.high))
    reader = Reader(scope, code, letters)
    bound = _bind(reader, code.node, place)
    _remember(reader, name, place.ranges, written)
    written.parents.append((place, list(reader.references)))
    if bound is None:
        return
    family, values = bound
    if any(v.broken for v in values.values()):
        return
    if not _shapes_fit(reader, code, place, family, values, scope):
        return
    _check_domains(reader, code, family, values, scope)
    _check_support(reader, code, family, name, scope)
    _note_categories(name, family, values, written)
    arguments = {k: v.expr for k, v in values.items()}
    written.read.add(id(raw))
    density = Density(
        name, place.subscripts, place.ranges, family.name, arguments, place.over,
        raw.statement.text, raw.statement.line,
    )  # fmt: skip
    written.densities.append((density, place))


def _family(reader: Reader, node: ast.expr) -> Distribution | None:
    """The distribution a call names."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        name = node.id if isinstance(node, ast.Name) else ""
        hint = f"Write {DISTRIBUTIONS[name].signature()}." if name in DISTRIBUTIONS else ""
        reader.problem(
            node, "Expected a distribution after '~'.", hint or "For example Normal(0, 1)."
        )
        return None
    name = node.func.id
    if name not in DISTRIBUTIONS:
        hint = nearest(name, DISTRIBUTIONS) or f"Known: {', '.join(DISTRIBUTIONS)}."
        reader.problem(node, f"The distribution {name!r} is unknown.", hint)
        return None
    return DISTRIBUTIONS[name]


def _bind(
    reader: Reader, node: ast.expr, place: Place | None
) -> tuple[Distribution, dict[str, Value]] | None:
    """The distribution and its arguments by parameter name; None if they do not fit."""
    family = _family(reader, node)
    arguments = list(node.args) if isinstance(node, ast.Call) else []
    keywords = list(node.keywords) if isinstance(node, ast.Call) else []
    plain = [a for a in arguments if not isinstance(a, ast.Starred)]
    values = [reader.value(a) for a in plain]
    named = [(k.arg or "", reader.value(k.value)) for k in keywords]
    if family is None or not isinstance(node, ast.Call):
        return None
    signature = family.signature()
    if len(plain) < len(arguments) or any(not k for k, _ in named):
        reader.problem(node, f"{family.name} takes plain arguments.", f"Write {signature}.")
        return None
    parameters = {p.name: p for p in family.parameters}
    if len(values) > len(family.positional):
        reader.problem(
            node,
            f"{family.name} takes {len(family.positional)} arguments, but found {len(values)}.",
            f"Write {signature}.",
        )
        return None
    bound = dict(zip((p.name for p in family.positional), values, strict=False))
    for key, value in named:
        if key not in parameters:
            hint = nearest(key, parameters) or f"Write {signature}."
            reader.problem(node, f"{family.name} has no parameter {key!r}.", hint)
            return None
        if key in bound:
            reader.problem(node, f"{family.name} gets {key!r} twice.", f"Write {signature}.")
            return None
        bound[key] = value
    replaced = {p.instead_of for p in family.parameters if p.instead_of and p.name in bound}
    both = replaced & set(bound)
    absent = [p.name for p in family.positional if p.name not in bound and p.name not in replaced]
    if both or absent:
        found = f"{both.pop()!r} in two ways" if both else f"only {len(bound)} arguments"
        reader.problem(node, f"{family.name} gets {found}.", f"Write {signature}.")
        return None
    return family, bound


def _shapes_fit(
    reader: Reader,
    code: Code,
    place: Place,
    family: Distribution,
    values: Mapping[str, Value],
    scope: Scope,
) -> bool:
    """Scalars for a scalar variable, vectors where the signature wants them."""
    name = place.raw.name
    dim = scope.dim(name)
    if place.over:
        return _joint_fits(reader, code, family, values)
    if family.multivariate and dim is None:
        lengths = [v.shape[0] for v in values.values() if v.shape]
        if not lengths or lengths[0] is None:
            reader.problem(
                code.node, f"{family.name} is the density of a vector, but {name!r} is a number.",
                f"Declare its dimension: '{name} : R[3] ~ …'.",
            )  # fmt: skip
            scope.broken.add(name)
            return False
        dim = lengths[0]
        scope.variables[name] = replace(scope.variables[name], dim=dim)
    if family.name == "Categorical" and dim is not None:
        reader.problem(code.node, "A category is a number, not a vector.", "Remove the ': R[…]'.")
        return False
    for parameter in family.parameters:
        value = values.get(parameter.name)
        if value is None:
            continue
        wanted = _wanted(parameter, dim, value)
        if len(value.shape) != len(wanted) or not same_shape(value.shape, wanted):
            message = value.partial if not wanted and value.partial else (
                f"The parameter {parameter.name!r} of {family.name} is {shown_shape(wanted)}, "
                f"but found {shown_shape(value.shape)}."
            )  # fmt: skip
            node = _argument(code, family, parameter.name)
            reader.problem(node, message, f"Write {family.signature()}.")
            return False
    return True


def _wanted(parameter: Parameter, dim: Expr | None, value: Value) -> tuple[Expr | None, ...]:
    if parameter.domain == "covariance":
        return (dim, dim)
    if parameter.is_vector:
        if parameter.name == "mean" and not value.shape:
            return ()
        return (dim,)
    return (dim,) if value.shape and dim is not None else ()


def _joint_fits(
    reader: Reader, code: Code, family: Distribution, values: Mapping[str, Value]
) -> bool:
    if family.name != "MultivariateNormal":
        reader.problem(
            code.node, f"{family.name} is no joint density of a whole index.",
            "Write MultivariateNormal(0, k) with a kernel k in the two letters.",
        )  # fmt: skip
        return False
    if any(v.shape for v in values.values()):
        reader.problem(
            code.node, "The mean and the kernel of a joint density are numbers in its letters.",
            "For example exp(-(s[n] - s[m])**2).",
        )  # fmt: skip
        return False
    return True


def _check_domains(
    reader: Reader, code: Code, family: Distribution, values: Mapping[str, Value], scope: Scope
) -> None:
    for parameter in family.parameters:
        value = values.get(parameter.name)
        if value is None or value.broken:
            continue
        complaint = domains.complaint(parameter, value.expr, scope)
        if complaint:
            message = f"The parameter {parameter.name!r} of {family.name} {complaint}"
            reader.problem(
                _argument(code, family, parameter.name), message, f"Write {family.signature()}."
            )
    if family.name == "Uniform" and not domains.increasing(values, scope):
        reader.problem(code.node, "Uniform(low, high) needs low below high.", "Swap them.")


def _argument(code: Code, family: Distribution, name: str) -> ast.expr:
    """Where a parameter's argument stands."""
    call = code.node
    if isinstance(call, ast.Call):
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        for parameter, argument in zip(family.positional, call.args, strict=False):
            if parameter.name == name:
                return argument
    return call


def _check_support(
    reader: Reader, code: Code, family: Distribution, name: str, scope: Scope
) -> None:
    """All statements of a variable are discrete, or all continuous."""
    variable = scope.variables[name]
    support = family.support
    if variable.support:
        was = variable.discrete
        if was != family.discrete:
            reader.problem(
                code.node, f"{name!r} is discrete in one statement and continuous in another."
            )
        support = min(variable.support, support, key=WIDEST_FIRST.index)
    scope.variables[name] = replace(variable, support=support)


def _note_categories(
    name: str, family: Distribution, values: Mapping[str, Value], written: Written
) -> None:
    if family.name == "Bernoulli":
        written.categories[name] = sympy.Integer(2)
    elif family.name == "Categorical":
        length = next(iter(values.values())).shape[0]
        if length is not None:
            before = written.categories.get(name, length)
            larger = length - before
            written.categories[name] = length if larger.is_positive else before
