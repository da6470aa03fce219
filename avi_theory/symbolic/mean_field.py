r"""Mean-field optima by coordinate ascent and L-BFGS, for models that are not linear-Gaussian.

.. math:: q(z) \propto \exp E_{-z}[\log p] \text{ where } z \text{ is discrete},\qquad
    \nabla_\nu \mathrm{ELBO} = 0 \text{ elsewhere}
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import sympy
from sympy import Dummy, Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.expectations import (
    LOWEST,
    NODES,
    Cell,
    Constant,
    Folded,
    Grid,
    LogShare,
    State,
    entropy,
    softmax,
)
from avi_theory.symbolic.small import Small

LARGEST = 512
"""More combinations of selecting discrete latents than this are not enumerated."""
SETTLED = 1e-5
"""Largest gradient entry of a run that counts as converged."""

ROUNDS = 60
"""Of coordinate ascent, at most."""

Chosen = tuple[tuple[int, int], ...]
Term = Grid | Folded | LogShare | Constant
PLACEHOLDERS = [Symbol(f"_p{k}", real=True) for k in range(200)]


@dataclass(frozen=True)
class Optimum:
    """A mean-field optimum.

    Attributes:
        values: per local reference the mean of its factor, or the probabilities of its values.
        exact: whether the values are exact rationals.
        elbo: in nats, up to a constant; None where it was not needed.
        runs: so many starts converged.
        spreads: per Gaussian factor its log standard deviation.
    """

    values: Mapping[Expr, Any]
    exact: bool
    elbo: float | None = None
    runs: int = 1
    spreads: Mapping[Expr, float] = field(default_factory=dict)


@dataclass
class Numeric:
    """Maximises the ELBO over products of transformed Normal, Dirichlet and categorical factors.

    Args:
        small: the written-out model.
        data: value of every observation.
        stop: a time (of `time.process_time`) after which a run is given up.
    """

    small: Small
    data: Mapping[Expr, Any]
    stop: float = math.inf
    terms: list[Term] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.latents = list(self.small.locals)
        self.place = {z: k for k, z in enumerate(self.latents)}
        self.cells: list[Cell] = []
        self.width = 0
        simplexes: dict[tuple[str, tuple[Expr, ...]], slice] = {}
        for z in self.latents:
            self.cells.append(self._cell(z, simplexes))
        self._grids: dict[object, Grid] = {}
        for expr in self.small.factors:
            self._read(expr)
        self.terms = [*self.terms, *self._grids.values()]

    def _cell(self, z: Expr, simplexes: dict[tuple[str, tuple[Expr, ...]], slice]) -> Cell:
        support = self.small.support(z)
        if self.small.discrete(z):
            return Cell("table", self._slot(self.small.categories(z)))
        if support == "simplex":
            key = (terms.name_of(z), self.small.point(z))
            if key not in simplexes:
                simplexes[key] = self._slot(
                    len(self.small.coordinates(terms.ref(*key[:1], *key[1])))
                )
            return Cell("dirichlet", simplexes[key], coordinate=int(terms.subscripts_of(z)[-1]))
        if support == "interval":
            return Cell("logit", self._slot(2), *self.small.ends(z))
        kind = {"real": "normal", "positive": "lognormal", "unit": "logit"}.get(support)
        if kind is None:
            raise Stuck(z, "the reference solver has no factor for this support")
        return Cell(kind, self._slot(2))

    def _slot(self, width: int) -> slice:
        self.width += width
        return slice(self.width - width, self.width)

    # -- reading the density ---------------------------------------------------------------

    def _read(self, expr: Expr) -> None:
        """Turn one factor into terms, one per value of the latents that select others."""
        loose = self._selecting(expr)
        sizes = [self.small.categories(a) for a in loose]
        choices = {
            a: self.data[a]
            for a in self.small.atoms(expr)
            if a in self.data and self.small.discrete(a)
        }
        if math.prod(sizes) > LARGEST:
            raise Stuck(expr, "too many combinations of discrete latents")
        for values in product(*map(range, sizes)):
            put = dict(zip(loose, map(sympy.Integer, values), strict=True))
            one = self.small.looked_up(expr.xreplace({**put, **choices}))
            one = self.small.looked_up(one.xreplace({
                a: self.small.value(a) for a in self.small.atoms(one)
                if a not in self.place and a not in self.data
                and all(s.is_Integer for s in terms.subscripts_of(a))
            }))  # fmt: skip
            chosen = tuple((self.place[a], v) for a, v in zip(loose, values, strict=True))
            for part in sympy.Add.make_args(one):
                self._term(chosen, part)

    def _selecting(self, expr: Expr) -> list[Expr]:
        """Discrete latents that select another latent, a global, or an entry of a table."""
        found: set[Expr] = set()
        for atom in expr.atoms(Indexed):
            if not all(s.is_Integer for s in atom.indices):
                found |= {a for s in atom.indices for a in self.small.atoms(s)}
        for chosen in expr.atoms(terms.pick):
            if any(a in self.place for a in self.small.atoms(chosen.args[0])):
                found |= set(self.small.atoms(chosen.args[1]))
        return [a for a in self.latents if a in found and self.small.discrete(a)]

    def _term(self, chosen: Chosen, part: Expr) -> None:
        atoms = self.small.atoms(part)
        own = [a for a in atoms if a in self.place]
        seen = [a for a in atoms if a in self.data]
        if not own:
            value = self._number(part.xreplace({a: self.data[a] for a in seen}))
            self.terms.append(Constant(chosen, value))
            return
        cells = [self.cells[self.place[a]] for a in own]
        if any(c.kind == "dirichlet" for c in cells):
            self._shares(chosen, part.xreplace({a: self.data[a] for a in seen}), own)
            return
        if part.has(sympy.Abs) and all(c.kind == "normal" for c in cells):
            folded = self._folded(chosen, part.xreplace({a: self.data[a] for a in seen}), own)
            if folded is not None:
                self.terms.append(folded)
                return
        size = math.prod(
            c.slot.stop - c.slot.start if c.kind == "table" else 7 for c in cells
        )  # fmt: skip
        names = {a: PLACEHOLDERS[k] for k, a in enumerate([*own, *seen])}
        shape = part.xreplace(names)
        kinds = tuple((c.kind, c.slot.stop - c.slot.start) for c in cells)
        if (shape, kinds) not in self._grids:
            degree = _degree(shape, [names[a] for a in own]) if len(own) > 2 else 0
            if not degree and (sum(c.gaussian for c in cells) > max(NODES) or size > 20 * LARGEST):
                raise Stuck(part, "too many latents in one factor for quadrature")
            arguments = [names[a] for a in (*own, *seen)]
            self._grids[shape, kinds] = Grid(
                self.cells,
                _compiled(shape, arguments),
                [
                    _compiled(_slope(shape, names[a]), arguments) if c.gaussian else None
                    for a, c in zip(own, cells, strict=True)
                ],
                degree + 1 if degree and all(c.kind == "normal" for c in cells) else 0,
            )
        grid = self._grids[shape, kinds]
        grid.chosen.append(chosen)
        grid.latents.append(tuple(self.place[a] for a in own))
        grid.known.append(tuple(float(self.data[a]) for a in seen))

    def _shares(self, chosen: Chosen, part: Expr, own: list[Expr]) -> None:
        for piece in sympy.Add.make_args(sympy.expand(part)):
            inside = [a for a in own if piece.has(a)]
            weight = piece / sympy.log(inside[0]) if len(inside) == 1 else piece
            if not inside:
                self.terms.append(Constant(chosen, self._number(piece)))
            elif len(inside) > 1 or weight.free_symbols or weight.atoms(Indexed):
                raise Stuck(piece, "only logs of a simplex have a known expectation")
            else:
                self.terms.append(LogShare(chosen, float(weight), self.place[inside[0]]))

    def _folded(self, chosen: Chosen, part: Expr, own: list[Expr]) -> Folded | None:
        folds = part.atoms(sympy.Abs)
        if len(folds) != 1:
            return None
        fold = folds.pop()
        names = {a: Symbol(f"_z{k}", real=True) for k, a in enumerate(own)}
        inside = fold.args[0].xreplace(names)
        weight = part / fold
        slopes = [sympy.diff(inside, s) for s in names.values()]
        if weight.atoms(Indexed) or weight.free_symbols or any(s.free_symbols for s in slopes):
            return None
        constant = float(inside.xreplace(dict.fromkeys(names.values(), sympy.Integer(0))))
        latents = tuple(self.place[a] for a in own)
        return Folded(chosen, float(weight), constant, latents, tuple(map(float, slopes)))

    def _number(self, expr: Expr) -> float:
        if expr.is_Rational:
            return float(expr)
        value = _compiled(expr, [])()
        return float(max(value, LOWEST)) if value == value else 0.0

    # -- maximising ------------------------------------------------------------------------

    def objective(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the ELBO and its gradient.

        Raises:
            TimeoutError: `stop` is over.
        """
        if time.process_time() > self.stop:
            raise TimeoutError
        with np.errstate(all="ignore"):
            state = State(self.cells, parameters)
            elbo = sum(term.add(state) for term in self.terms)
            elbo += entropy(state)
        return -elbo, -state.gradient

    def solve(self, starts: int, until: float = math.inf) -> list[Optimum]:
        """Optima from several random starts, the best first."""
        found: list[tuple[float, np.ndarray]] = []
        for start in range(starts):
            if start and time.process_time() > until:
                break
            try:
                value, slope, x = self._run(start)
            except TimeoutError:
                break
            if np.isfinite(value) and slope < SETTLED:
                found.append((value, x))
        found.sort(key=lambda f: f[0])
        return [Optimum(self._values(x), False, -f, len(found), self._spreads(x)) for f, x in found]

    def _run(self, start: int) -> tuple[float, float, np.ndarray]:
        """One run: minus its ELBO, its largest slope, where it ended."""
        x = 0.5 * np.random.default_rng(start).standard_normal(self.width)
        tables = [k for k, c in enumerate(self.cells) if c.kind == "table"]
        smooth = np.array([
            j for c in self.cells if c.kind != "table" for j in range(c.slot.start, c.slot.stop)
        ], dtype=int)  # fmt: skip
        if self._apart(tables):
            x = self._climbed(x, smooth, 200, tables)
        elif len(smooth):
            x = self._climbed(x, np.arange(self.width), 200)
        for _ in range(ROUNDS):
            value, gradient = self.objective(x)
            slope = float(np.max(np.abs(gradient), initial=0.0))
            if slope < SETTLED / 10:
                break
            x = self._swept(x, tables)
            x = self._climbed(x, smooth, 100)
        return value, slope, x

    def _spreads(self, parameters: np.ndarray) -> dict[Expr, float]:
        return {
            z: float(parameters[c.slot][1])
            for z, c in zip(self.latents, self.cells, strict=True)
            if c.gaussian
        }

    def _apart(self, tables: Sequence[int]) -> bool:
        """Whether no term holds two discrete latents, so that all are set at once."""
        held = [
            len(c) + sum(k in tables for k in own)
            for term in self.terms if isinstance(term, Grid)
            for c, own in zip(term.chosen, term.latents, strict=True)
        ]  # fmt: skip
        held += [len(t.chosen) for t in self.terms if not isinstance(t, Grid)]
        return bool(tables) and max(held, default=0) < 2

    def _climbed(
        self, start: np.ndarray, free: np.ndarray, most: int, tables: Sequence[int] = ()
    ) -> np.ndarray:
        """L-BFGS in some of the parameters; `tables` are set to their best at every step."""
        from scipy.optimize import minimize

        start = start.copy()
        if not len(free):
            return start

        def objective(part: np.ndarray) -> tuple[float, np.ndarray]:
            start[free] = part
            if tables:
                start[:] = self._swept(start, tables, once=True)
            value, slope = self.objective(start)
            return value, slope[free]

        bounds = self._bounds()
        answer = minimize(
            objective, start[free], jac=True, method="L-BFGS-B", bounds=[bounds[j] for j in free],
            options={"maxiter": most, "maxfun": 2 * most, "ftol": 1e-16, "gtol": 1e-9},
        )  # fmt: skip
        objective(answer.x)
        return start

    def _swept(self, start: np.ndarray, tables: Sequence[int], *, once: bool = False) -> np.ndarray:
        """Each discrete factor in turn, or all at once, set to its best: q(z) ∝ exp E[log p]."""
        x = start.copy()
        for place, k in enumerate(tables):
            if not (once and place):
                state = State(self.cells, x)
                with np.errstate(all="ignore"):
                    for term in self.terms:
                        term.add(state)
            x[self.cells[k].slot] = np.maximum(state.slopes[k] - state.slopes[k].max(), -700.0)
        return x

    def _bounds(self) -> list[tuple[float, float]]:
        bounds: list[tuple[float, float]] = [(-700.0, 700.0)] * self.width
        for cell in self.cells:
            if cell.gaussian:
                far = 1e3 if cell.kind == "normal" else 50.0
                bounds[cell.slot] = [(-far, far), (-9.0, 5.0)]
            elif cell.kind == "dirichlet":
                bounds[cell.slot] = [(-7.0, 9.0)] * (cell.slot.stop - cell.slot.start)
        return bounds

    def _values(self, parameters: np.ndarray) -> dict[Expr, Any]:
        values: dict[Expr, Any] = {}
        for z, cell in zip(self.latents, self.cells, strict=True):
            own = parameters[cell.slot]
            if cell.kind == "table":
                values[z] = tuple(softmax(own).tolist())
            elif cell.kind == "dirichlet":
                values[z] = float(np.exp(own[cell.coordinate]) / np.exp(own).sum())
            else:
                values[z] = float(own[0])
        return values


def _degree(shape: Expr, symbols: list[Symbol]) -> int:
    """The largest degree in one latent of a polynomial small enough to be exact; else 0."""
    if not shape.is_polynomial(*symbols):
        return 0
    degree = max(sympy.degree(shape, s) for s in symbols)
    return int(degree) if (degree + 1) ** len(symbols) <= LARGEST * 8 else 0


def _slope(expr: Expr, symbol: Symbol) -> Expr:
    plain = _smooth(expr)
    stand_in = Dummy("z", real=True)
    return sympy.diff(plain.xreplace({symbol: stand_in}), stand_in).xreplace({stand_in: symbol})


def _smooth(expr: Expr) -> Expr:
    """The expression in functions that sympy can differentiate."""
    if expr.has(terms.where_positive, terms.pick):
        raise Stuck(expr, "the reference solver cannot differentiate it")
    for head, plain in _PLAIN.items():
        expr = expr.replace(head, plain)
    return expr


_PLAIN: dict[Any, Callable[..., Expr]] = {
    terms.softplus: lambda x: sympy.log(1 + sympy.exp(x)),
    terms.sigmoid: lambda x: 1 / (1 + sympy.exp(-x)),
    terms.maximum: lambda a, b: (a + b + sympy.Abs(a - b)) / 2,
    terms.minimum: lambda a, b: (a + b - sympy.Abs(a - b)) / 2,
}


def _compiled(expr: Expr, arguments: Sequence[Symbol]) -> Callable[..., Any]:
    from scipy import special

    functions = {**terms.numpy_functions(), "digamma": special.psi,
                 "polygamma": special.polygamma}  # fmt: skip
    try:
        return sympy.lambdify(list(arguments), expr, modules=[functions, "numpy"])
    except (SyntaxError, NameError, TypeError, NotImplementedError) as error:
        raise Stuck(expr, "the reference solver cannot evaluate it") from error
