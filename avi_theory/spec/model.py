"""The question: an immutable `Model` of sympy expressions. Everything upstream speaks it.

`Model(text)` reads the notation; the classes here are what the text becomes.  They are plain
frozen data: nothing in them knows data, numbers of a data set, torch, or how it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.spec.distributions import DISTRIBUTIONS, Distribution

Role = Literal["global", "local", "observed"]


@dataclass(frozen=True)
class Range:
    """A bound letter and its inclusive ends: ``t in 2:T``.

    The ends may hold sizes (``T``), numbers, outer letters or ragged sizes (``J[n]``).
    """

    letter: Symbol
    low: Expr
    high: Expr

    def __str__(self) -> str:
        return f"{self.letter} in {self.low}:{self.high}"


@dataclass(frozen=True)
class IndexSet:
    """``index n = 1:N``: a named range; `parents` are the outer letters of a ragged one."""

    name: str
    range: Range
    parents: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Axis:
    """One axis of a variable: the letter users see, and the hull of all its statements' ranges."""

    letter: str
    low: Expr
    high: Expr


@dataclass(frozen=True)
class Given:
    """``given``: a known constant, a covariate, an array, a membership map, a ragged size.

    Attributes:
        name: the name.
        axes: one per subscript; empty for a scalar or an array literal without index.
        value: None if it comes with the data; an expression; or nested tuples of rationals.
        positive: True under ``> 0``.
        constraint: the constraint as written (``"> 0"``), or "".
        member_of: the index set a membership map points into (``g[i] in n``), or None.
        shape: of an array literal without index letters, as in ``A = [[…], […]]``; else ().
    """

    name: str
    axes: tuple[Axis, ...] = ()
    value: Any = None
    positive: bool = False
    constraint: str = ""
    member_of: str | None = None
    shape: tuple[int, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class EdgeValue:
    """``given x[0] = 0``: a variable's value outside its own range."""

    variable: str
    subscripts: tuple[Expr, ...]
    ranges: tuple[Range, ...]
    value: Expr
    line: int = 0


@dataclass(frozen=True)
class Network:
    """``network f : R[64] -> R[784]``: an opaque function; `prior` (name, arguments) on weights."""

    name: str
    inputs: tuple[Expr, ...]
    output: Expr
    prior: tuple[str, Mapping[str, Expr]] | None = None
    line: int = 0


@dataclass(frozen=True)
class Density:
    """``local z[t] ~ Normal(phi*z[t-1], q) for t in 2:T``: one variable's density on a range.

    Attributes:
        variable: the variable's name.
        subscripts: of the left side: bound letters or constants.  For a joint prior over an index
            (``f[:] ~ MultivariateNormal(0, k) over n, m``) they are empty and `over` holds the
            two letters the kernel is written in, `ranges` the index range of the first.
        ranges: every bound letter with its ends, outermost first.
        distribution: its name in `DISTRIBUTIONS`.
        arguments: parameter name (``mean``, ``sd``, ``logit``…) to expression.
        over: the kernel's letters, or ().
        text: the statement as written; line: where.
    """

    variable: str
    subscripts: tuple[Expr, ...]
    ranges: tuple[Range, ...]
    distribution: str
    arguments: Mapping[str, Expr]
    over: tuple[Symbol, ...] = ()
    text: str = ""
    line: int = 0

    @property
    def target(self) -> Expr:
        """The reference on the left side."""
        return terms.ref(self.variable, *self.subscripts)

    @property
    def family(self) -> Distribution:
        """The distribution's entry."""
        return DISTRIBUTIONS[self.distribution]


@dataclass(frozen=True)
class Potential:
    """``potential expr for …``: a term added to the log density at every point of its ranges."""

    expression: Expr
    ranges: tuple[Range, ...]
    text: str = ""
    line: int = 0


@dataclass(frozen=True)
class Variable:
    """A random variable: a global, a local or an observed one.

    Attributes:
        name, role: as declared.
        axes: one per subscript, with the hull of its statements' ranges.
        dim: None for a scalar, else the number of coordinates of a vector (an expression).
        missing: True if cells of the data may be empty.
        support: as in `Distribution.support`; the widest of its statements'.
        categories: number of values of a discrete variable where the text tells (``Bernoulli`` 2,
            ``Categorical`` the length of its vector), else None.
    """

    name: str
    role: Role
    axes: tuple[Axis, ...] = ()
    dim: Expr | None = None
    missing: bool = False
    support: str = "real"
    categories: Expr | None = None
    line: int = 0

    @property
    def letters(self) -> tuple[str, ...]:
        """The index letters in order."""
        return tuple(a.letter for a in self.axes)

    @property
    def discrete(self) -> bool:
        """Whether its values are integers."""
        return self.support in {"count", "bounded_count", "binary", "categories"}

    def __str__(self) -> str:
        return f"{self.name}[{','.join(self.letters)}]" if self.axes else self.name


@dataclass(frozen=True)
class Factor:
    """One additive term of the log density, at every point of its ranges.

    Attributes:
        expression: log density in nats, a sympy expression in `terms`' vocabulary.
        ranges: the bound letters.
        source: the `Density` or `Potential` it comes from.
    """

    expression: Expr
    ranges: tuple[Range, ...]
    source: Density | Potential

    @property
    def letters(self) -> tuple[Symbol, ...]:
        """The bound letters."""
        return tuple(r.letter for r in self.ranges)


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, init=False, eq=False)
class Model:
    r"""A declared latent-variable model.

    .. math:: \log p(\theta, z, x; c) = \sum_f \sum_{i \in I_f} \log \phi_f(\theta, z, x; c, i)

    Args:
        text: the model in the notation (see the notation page).
        name, title, about, references: how to call it in reports.
        values: keyword arguments override givens (``tau=2``), set sizes (``N=100``) and set the
            globals' values at which data are drawn.

    Raises:
        ModelError: the text cannot be read; carries every problem with line and column.
        InputError: a value for a name that the text does not declare.

    Example:
        >>> m = Model('''
        ... index n = 1:N
        ... local z[n] ~ Normal(0, 1)
        ... observed x[n] ~ Normal(z[n], 1)
        ... ''')
        >>> [str(v) for v in m.locals]
        ['z[n]']
    """

    text: str
    name: str = "model"
    title: str = ""
    about: str = ""
    references: tuple[str, ...] = ()
    indices: Mapping[str, IndexSet] = field(default_factory=dict)
    sizes: tuple[str, ...] = ()
    givens: Mapping[str, Given] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    edge_values: tuple[EdgeValue, ...] = ()
    densities: tuple[Density, ...] = ()
    potentials: tuple[Potential, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    default_sizes: Mapping[str, int] = field(default_factory=dict)
    data_file: str | None = None
    folder: str | None = None
    typical: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    network_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)

    def __init__(self, text: str, /, **values: Any) -> None:
        from avi_theory.spec.notation import parse

        factories = {f.name: f.default_factory for f in fields(self)}
        self._fill({k: make() for k, make in factories.items() if make is not MISSING})
        self._fill(parse(text))
        self._fill({"values": self._checked(values)})

    def _fill(self, fields: Mapping[str, Any]) -> None:
        for key, value in fields.items():
            object.__setattr__(self, key, _frozen(value) if isinstance(value, dict) else value)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        from avi_theory.spec.values import check_values

        return check_values(self, values)

    def replace(self, **fields: Any) -> Model:
        """The same model with other fields (`name`, `values`, `default_sizes`, …)."""
        new = object.__new__(Model)
        for key in self.__dataclass_fields__:
            object.__setattr__(new, key, getattr(self, key))
        new._fill(fields)
        return new

    def with_values(self, **values: Any) -> Model:
        """The same model with further values set (givens, sizes, globals).

        Raises:
            InputError: a name that the text does not declare, or a value of the wrong kind.
        """
        return self.replace(values={**self.values, **self._checked(values)})

    def by_role(self, role: Role) -> tuple[Variable, ...]:
        """The variables of one role, in the order of declaration."""
        return tuple(v for v in self.variables.values() if v.role == role)

    @property
    def locals(self) -> tuple[Variable, ...]:
        """The local latents z."""
        return self.by_role("local")

    @property
    def globals(self) -> tuple[Variable, ...]:
        """The global latents θ."""
        return self.by_role("global")

    @property
    def observed(self) -> tuple[Variable, ...]:
        """The observed variables x."""
        return self.by_role("observed")

    def factors(self) -> Iterator[Factor]:
        """The log density's additive terms, one per density statement and potential.

        A vector variable under a coordinatewise distribution becomes ``total(…)`` of the
        coordinates' log density.  A joint prior over an index (`Density.over`) keeps
        ``mvn_log_density(f, mean, cov)`` with the kernel expression as its third argument.
        """
        return iter(self._factors)

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        return tuple(self._made_factors())

    def _made_factors(self) -> Iterator[Factor]:
        for d in self.densities:
            family, value = d.family, d.target
            expression = sympy.sympify(family.log_density(value, d.arguments))
            if self.variables[d.variable].dim is not None and not family.multivariate:
                expression = terms.total(expression) if expression != 0 else expression
            yield Factor(expression, d.ranges, d)
        for p in self.potentials:
            yield Factor(p.expression, p.ranges, p)

    def declared(self, atom: Expr) -> Variable | Given | Network | IndexSet | None:
        """What the name behind a reference was declared as; None for a size or a bound letter."""
        name = terms.name_of(atom)
        for table in (self.variables, self.givens, self.networks, self.indices):
            if name in table:
                return table[name]
        return None

    def references_in(self, expression: Expr) -> list[Expr]:
        """References to variables, givens and maps in an expression, outermost ones only.

        ``mu[c[n]]`` yields ``mu[c[n]]``; ask again on its subscripts for ``c[n]``.  Sorted, so
        that the answer is the same in every run.
        """
        found: set[Expr] = set()

        def walk(e: Any) -> None:
            if isinstance(e, Indexed):
                found.add(e)
            elif isinstance(e, Symbol):
                if e.name in self.variables or e.name in self.givens:
                    found.add(e)
            else:
                for a in getattr(e, "args", ()):
                    walk(a)

        walk(expression)
        return sorted(found, key=sympy.default_sort_key)

    def plot(self) -> Any:
        """The graph at a generic index point, as a matplotlib figure."""
        from avi_theory.spec.portrait import portrait

        return portrait(self).plot()

    def __str__(self) -> str:
        head = f"# {self.title}\n" if self.title else ""
        return head + self.text.strip()

    def __repr__(self) -> str:
        variables = ", ".join(str(v) for v in self.variables.values())
        return f"Model({self.name!r}: {variables})"

    def _repr_latex_(self) -> str:
        from avi_theory.spec.latex import model_latex

        return model_latex(self)
