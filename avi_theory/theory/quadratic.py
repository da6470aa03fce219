r"""A model's log density as one quadratic form over named coordinates.

.. math:: \log p(y) = -\tfrac12 y^\top P y + c^\top y + k

The expression of each ground factor is walked once, with sparse rows for values (`forms`): exact,
vectorised over instances, and linear in their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from scipy import sparse
from sympy import Expr, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.spec.bound import Bound
from avi_theory.spec.grounding import GroundFactor, Slot, ground
from avi_theory.spec.model import Density, Variable
from avi_theory.theory.forms import Form, Matrix, NotQuadratic, Products, add, multiply, stack


@dataclass(frozen=True, eq=False)
class Layout:
    """The coordinates of some variables, one after another.

    Attributes:
        bound: the model at its sizes.
        variables: in order.
        offsets: of each variable's first coordinate, by name.
        size: the number of coordinates.
    """

    bound: Bound
    variables: tuple[Variable, ...]
    offsets: Mapping[str, int]
    size: int

    @classmethod
    def of(cls, bound: Bound, variables: Sequence[Variable]) -> Layout:
        """Lay variables out, each point by point, each point coordinate by coordinate."""
        offsets, size = {}, 0
        for v in variables:
            offsets[v.name] = size
            size += bound.tables[v.name].size * bound.dim(v)
        return cls(bound, tuple(variables), offsets, size)

    def block(self, name: str) -> slice:
        """All coordinates of a variable."""
        v = self.bound.model.variables[name]
        start = self.offsets[name]
        return slice(start, start + self.bound.tables[name].size * self.bound.dim(v))

    def label(self, coordinate: int) -> str:
        """A coordinate as users write it: ``z[3]``, ``z[3][0]`` for one of a vector."""
        for v in self.variables:
            block = self.block(v.name)
            if block.start <= coordinate < block.stop:
                position, k = divmod(coordinate - block.start, self.bound.dim(v))
                label = self.bound.tables[v.name].label(position)
                return f"{label}[{k}]" if v.dim is not None else label
        raise IndexError(coordinate)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """``-½ yᵀPy + cᵀy + k`` over a layout."""

    layout: Layout
    precision: Matrix
    linear: np.ndarray
    constant: float


def log_density(bound: Bound, *, joint: bool) -> Quadratic:
    """The log density over (θ, z), or with `joint` over (θ, z, x), as a quadratic form.

    Empty cells of a variable declared ``missing`` are integrated out.  Observed variables without
    any density are known in both cases.

    Raises:
        NotQuadratic: it is no quadratic form, or an unknown is not free on the real line.
    """
    model = bound.model
    has_density = {d.variable for d in model.densities}
    open_observed = [v for v in model.observed if joint and v.name in has_density]
    unknown = [*model.globals, *model.locals, *open_observed]
    for v in unknown:
        if v.support != "real":
            raise NotQuadratic(f"{v} has no Gaussian distribution (its values are {v.support})")
    factors = ground(bound, generative=joint).factors
    return _sum(Layout.of(bound, unknown), factors)


def density_of(bound: Bound, layout: Layout, names: Sequence[str]) -> Quadratic:
    """The part of the log density that the density statements of some variables contribute.

    Raises:
        NotQuadratic: it is no quadratic form over the layout.
    """
    factors = [
        f
        for f in ground(bound, generative=True).factors
        if isinstance(f.source, Density) and f.source.variable in names
    ]
    return _sum(layout, factors)


def _sum(layout: Layout, factors: Sequence[GroundFactor]) -> Quadratic:
    precision = sparse.csr_matrix((layout.size, layout.size))
    linear, constant = np.zeros(layout.size), 0.0
    for factor in factors:
        try:
            form = _Walk(factor, layout).run()
        except NotQuadratic as e:
            text = factor.source.text or str(factor.source)
            raise NotQuadratic(f"{e} in '{text}'") from e
        constant += float(form.constant.sum())
        if form.linear is not None:
            linear += np.asarray(form.linear.sum(0)).ravel()
        for p in form.products:
            precision = precision - _symmetric(p)
    precision = sparse.csr_matrix(precision)
    precision.sum_duplicates()
    precision.eliminate_zeros()
    return Quadratic(layout, precision, linear, constant)


def _symmetric(p: Products) -> Matrix:
    """LᵀWR + RᵀWL."""
    if p.left is p.right:
        return 2 * (p.left.T @ sparse.diags(p.weight) @ p.left)
    half = p.left.T @ sparse.diags(p.weight) @ p.right
    return half + half.T


class _Walk:
    """Reads one factor's expression bottom up."""

    def __init__(self, factor: GroundFactor, layout: Layout) -> None:
        self.factor, self.layout = factor, layout
        self.count = factor.count
        self.slots = {s.symbol: s for s in factor.slots}
        self.sums = {s.symbol: s for s in factor.sums}
        self.seen: dict[Expr, Form] = {}

    def run(self) -> Form:
        form = self.form(self.factor.expression)
        keep = self._present()
        return form if keep is None else multiply(Form(keep), form)

    def _present(self) -> np.ndarray | None:
        """0 at instances whose observed target is an empty cell."""
        source = self.factor.source
        if not isinstance(source, Density) or self.factor.target is None:
            return None
        mask = self.layout.bound.present.get(source.variable)
        positions = self.slots[self.factor.target].positions
        if mask is None or positions is None:
            return None
        return np.asarray(mask[positions], float)

    def form(self, e: Expr) -> Form:
        if e not in self.seen:
            self.seen[e] = self._form(e)
        return self.seen[e]

    def _form(self, e: Expr) -> Form:
        if isinstance(e, Symbol):
            return self._symbol(e)
        if e.is_number:
            return Form(np.full(self.count, float(e)))
        if e.is_Add or e.is_Mul:
            parts = [self.form(a) for a in e.args]
            known = [p for p in parts if p.known]
            parts = [*known, *(p for p in parts if not p.known)]
            out = parts[0]
            for p in parts[1:]:
                out = add(out, p) if e.is_Add else multiply(out, p)
            return out
        if e.is_Pow and e.exp == 2:
            base = self.form(e.base)
            return multiply(base, base)
        if isinstance(e, AppliedUndef):
            raise NotQuadratic(f"the network {e.func} is applied")
        if isinstance(e, terms.total):
            return self.form(e.args[0]).total()
        if isinstance(e, terms.pick):
            return self.form(e.args[0]).picked(self._known(e.args[1]))
        if isinstance(e, terms.vector):
            return stack([self.form(a) for a in e.args])
        if isinstance(e, terms.matvec):
            return self._matvec(*e.args)
        if isinstance(e, terms.mvn_log_density):
            return self._joint_normal(*e.args)
        return self._function(e)

    def _known(self, e: Expr) -> np.ndarray:
        form = self.form(e)
        if not form.known:
            raise NotQuadratic(f"an unknown selects ({e})")
        return form.constant

    def _function(self, e: Expr) -> Form:
        """A function of known arguments."""
        arguments = [self.form(a) for a in e.args]
        if not all(a.known for a in arguments):
            raise NotQuadratic(f"{type(e).__name__.lower()} of an unknown is not quadratic")
        wide = [a.constant.shape[1] for a in arguments if a.is_vector]
        values = [a._as_vector(wide[0]).constant if wide else a.constant for a in arguments]
        dummies = [sympy.Dummy() for _ in values]
        modules = [terms.numpy_functions(), "numpy"]
        function = sympy.lambdify(dummies, e.func(*dummies), modules=modules)
        result = np.asarray(function(*values), float)
        return Form(np.broadcast_to(result, (self.count, *result.shape[1:])))

    def _symbol(self, symbol: Symbol) -> Form:
        if symbol in self.sums:
            inner = self.sums[symbol]
            part = _Walk(
                GroundFactor(
                    inner.expression, inner.slots, len(inner.segments), self.factor.source, {}
                ),
                self.layout,
            )
            return part.form(inner.expression).summed(inner.segments, self.count)
        return self._slot(self.slots[symbol])

    def _slot(self, slot: Slot) -> Form:
        if slot.selectors:
            raise NotQuadratic(f"an unknown category selects {slot.name}")
        values = self._values(slot)
        if values is not None:
            return Form(self._batched(slot, values))
        bound = self.layout.bound
        variable = bound.model.variables[slot.name]
        dim = bound.dim(variable)
        positions = np.asarray(slot.positions)
        row_shape = positions.shape[1:] if positions.ndim else ()
        positions = np.broadcast_to(positions, (self.count, *row_shape))
        if variable.dim is not None and positions.ndim == 2:
            raise NotQuadratic(f"a whole row of vectors {slot.name} is used at once")
        columns = positions * dim + self.layout.offsets[slot.name]
        if variable.dim is not None:
            columns = columns[:, None] + np.arange(dim)
        size = columns.size
        selection = sparse.csr_matrix(
            (np.ones(size), columns.ravel(), np.arange(size + 1)), (size, self.layout.size)
        )
        return Form(np.zeros(columns.shape), selection)

    def _values(self, slot: Slot) -> Any:
        """Known values of a slot; observed variables that are conditioned on count as known."""
        if slot.values is not None:
            return slot.values
        if slot.name in self.layout.offsets:
            return None
        known = self.layout.bound.known.get(slot.name)
        if known is None or slot.positions is None:
            raise NotQuadratic(f"{slot.name} is conditioned on, but there are no data for it")
        return known[slot.positions]

    def _batched(self, slot: Slot, values: Any) -> np.ndarray:
        values = np.asarray(values, float)
        if not slot.batched:
            if values.ndim > 1:
                raise NotQuadratic(f"the array {slot.name} is used whole")
            shape = (self.count, *values.shape)
            return np.broadcast_to(values, shape)
        if values.ndim > 2:
            raise NotQuadratic(f"the array {slot.name} is used whole")
        return np.broadcast_to(values, (self.count, *values.shape[1:]))

    def _matvec(self, a: Expr, v: Expr) -> Form:
        slot = self.slots.get(a) if isinstance(a, Symbol) else None
        vector = self.form(v)
        if slot is not None and not slot.batched and slot.values is not None:
            matrix = np.asarray(slot.values, float)
            if matrix.ndim == 2:
                return vector.through(matrix)
        return multiply(self.form(a), vector).total()

    def _joint_normal(self, x: Expr, mean: Expr, cov: Expr) -> Form:
        """log N(x; mean, cov) with a known covariance: whitened rows, squared."""
        delta = add(self.form(x), multiply(Form(np.full(self.count, -1.0)), self.form(mean)))
        matrix = self._covariance(cov)
        try:
            factor = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError as e:
            raise NotQuadratic("the covariance matrix is not positive definite") from e
        whitening = np.linalg.solve(factor, np.eye(len(matrix)))
        white = delta.through(whitening)
        half = multiply(Form(np.full(self.count, -0.5)), multiply(white, white).total())
        constant = np.log(np.diagonal(factor)).sum() + 0.5 * len(matrix) * np.log(2 * np.pi)
        return add(half, Form(np.full(self.count, -constant)))

    def _covariance(self, cov: Expr) -> np.ndarray:
        kernel = self.factor.kernel
        if kernel is not None and cov == kernel.symbol:
            if any(s.latent for s in kernel.slots):
                raise NotQuadratic("the kernel holds an unknown")
            symbols = [s.symbol for s in kernel.slots]
            modules = [terms.numpy_functions(), "numpy"]
            function = sympy.lambdify(symbols, kernel.expression, modules=modules)
            size = self.slots[self.factor.target].positions.shape[-1]  # type: ignore[union-attr]
            values = function(*(np.asarray(s.values, float) for s in kernel.slots))
            return np.array(np.broadcast_to(values, (size, size)))
        slot = self.slots.get(cov) if isinstance(cov, Symbol) else None
        if slot is not None and slot.values is not None and not slot.batched:
            return np.asarray(slot.values, float)
        raise NotQuadratic("the covariance is neither a kernel nor a given matrix")
