"""The gap per latent as the size grows, where the model looks the same at every interior point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sympy import Symbol

from avi_theory.errors import AviError
from avi_theory.spec import inputs as spec_inputs
from avi_theory.spec.bound import Bound, bind
from avi_theory.spec.model import Model, Variable
from avi_theory.spec.windows import running_letter
from avi_theory.theory.chain import closed_form
from avi_theory.theory.design import clean, variance_cost
from avi_theory.theory.features import Columns, columns
from avi_theory.theory.forms import NotQuadratic
from avi_theory.theory.gaussian import Joint, Posterior, joint
from avi_theory.theory.moments import Draws, Improper, draws_at
from avi_theory.theory.question import Question
from avi_theory.theory.spectral import Filter, Level, NoLimit, Stencil, limit

SIZES = (48, 192)
"""Sizes at which the interior is looked at; the second where a window does not fit the first."""
SAME = 1e-9


@dataclass(frozen=True)
class Limit:
    """Nats per latent (None without a limit), remarks, and the formula in LaTeX."""

    value: float | None = None
    remarks: tuple[str, ...] = ()
    latex: str = ""


def gap_limit(question: Question, theta: np.ndarray, spread: np.ndarray | None = None) -> Limit:
    """The averaged gap per latent as N → ∞.

    q(θ) concentrates, and what its width moves is O(1) in total.  So in the population θ is as
    good as known to f; in reuse f meets data of many θ without being told.

    Args:
        question: in the population or reuse.
        theta: θ at which data are drawn, or its prior mean.
        spread: in reuse the covariance of θ's prior, else None.
    """
    size = growing_size(question.bound.model)
    if size is None:
        return Limit()
    for length in SIZES:
        try:
            interior = Interior.of(question, size, length, theta, spread)
            return interior.limit()
        except _DoesNotFit:
            continue
        except NoLimit as e:
            return Limit(None, (f"No limit per latent: {e}.",))
        except (AviError, NotQuadratic, Improper):
            return Limit()
    return Limit()


def growing_size(model: Model) -> str | None:
    """The size along which all locals and observations grow, if there is one and it is alone."""
    found: set[str] = set()
    for v in model.locals:
        if not v.axes:
            return None
        found |= {s for a in v.axes for s in _symbols(a.high)}
    if len(found) != 1:
        return None
    name = found.pop()
    for v in (*model.locals, *model.observed):
        if sum(name in _symbols(a.high) for a in v.axes) != 1:
            return None
    fixed = [a for g in model.globals for a in g.axes]
    fixed += [a for g in model.givens.values() for a in g.axes]
    grown = any(name in _symbols(a.high) for a in fixed)
    return None if grown or name not in model.sizes else name


def _axis(model: Model, v: Variable) -> int:
    return v.letters.index(running_letter(model, v))


def _symbols(end: object) -> set[str]:
    return {s.name for s in getattr(end, "free_symbols", ()) if isinstance(s, Symbol)}


class _DoesNotFit(Exception):
    """The inputs of the middle position reach outside the series."""


@dataclass(frozen=True, eq=False)
class Interior:
    """The middle of a model at a convenient size.

    Attributes:
        question: whose inputs and functions are meant.
        draws: the distribution of the data at that size.
        bound: the model at that size.
        spread: the covariance of θ between data sets; zeros in the population.
        step, component: of each coordinate of y = (z, x): its position along the growing index,
            and which of the series it belongs to.
        names: of the components' variables and coordinates, latents first.
    """

    question: Question
    draws: Draws
    spread: np.ndarray
    bound: Bound
    step: np.ndarray
    component: np.ndarray
    latents: int

    @classmethod
    def of(
        cls,
        question: Question,
        size: str,
        length: int,
        theta: np.ndarray,
        spread: np.ndarray | None,
    ) -> Interior:
        """Bind the model at a size and sort its coordinates into series."""
        model = question.bound.model
        at = model.replace(values={**model.values, **_other_sizes(question, size), size: length})
        bound = bind(at)
        found = joint(bound)
        draws = draws_at(found, theta)
        step, component = _series(found, size)
        latents = len(np.unique(component[: draws.locals]))
        between = np.zeros((len(theta),) * 2) if spread is None else spread
        return cls(question, draws, between, bound, step, component, latents)

    @property
    def middle(self) -> int:
        """The position that stands for all."""
        steps = self.step
        return int((steps.min() + steps.max()) // 2)

    def limit(self) -> Limit:
        """Nats per latent, with remarks and the formula."""
        stencil = self.stencil()
        if stencil is None or self._sees_everything():
            return Limit()
        filters, gains = self.columns()
        if stencil.unit_root is not None and np.any(self.spread):
            raise NoLimit("the latents wander like a random walk, and θ varies between data sets")
        level = self.level(stencil, gains) if stencil.unit_root is None else None
        per_step, _ = limit(stencil, filters, level)
        scales = self._scales()
        latex, remarks = closed_form(stencil, filters, bool(np.any(self.spread)))
        rate = stencil.decay()
        if rate is not None:
            remarks += (
                f"Influence decays by ρ = {rate:.6g} per position: each further neighbour on both "
                f"sides shrinks the limit by about ρ² = {rate**2:.3g}.",
            )
        value = clean((per_step + scales) / self.latents, 1)
        return Limit(value, remarks, "" if value == 0.0 else latex)

    def _sees_everything(self) -> bool:
        """Whether inputs grow with the size."""
        return any(i.reading for v in self.bound.model.locals for i in self._resolved(v))

    def stencil(self) -> Stencil | None:
        """The interior's precision, or None where it differs between interior positions."""
        middle = self.middle
        rows = [self._row_blocks(middle + k) for k in (-2, 0, 3)]
        if not all(_equal(rows[0], r) for r in rows[1:]):
            return None
        found = Stencil(rows[1], self.latents)
        # A stationary process forgets its ends, a random walk with drift does not settle.
        level = self._pull if found.unit_root is None else self.draws.mean
        near = [level[self._at(middle + k)] for k in (-2, 0, 3)]
        same = all(np.allclose(near[0], m, rtol=1e-6, atol=1e-6) for m in near[1:])
        return found if same else None

    @cached_property
    def _pull(self) -> np.ndarray:
        """What moves the mean of y = (z, x): at the given θ, and by each unit of θ; a row each."""
        joint_, g = self.draws.joint, self.draws.globals
        across = joint_.precision[g:, :g]
        at = joint_.linear[g:] - across @ self.draws.theta_mean
        return np.concatenate([at[:, None], -across.toarray()], 1)

    @cached_property
    def _means(self) -> np.ndarray:
        """The mean of a step of y far from the ends, and √V-multiples of θ's effects on it."""
        size = self.draws.globals
        values, vectors = np.linalg.eigh(self.spread) if size else (np.zeros(0), np.zeros((0, 0)))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        still = sum(self._row_blocks(self.middle).values())
        pull = self._pull[self._at(self.middle)]
        moved = np.concatenate([pull[:, :1], pull[:, 1:] @ root], 1)
        return np.linalg.solve(np.asarray(still), moved)

    def level(self, stencil: Stencil, gains: np.ndarray) -> Level | None:
        """What is constant along a data set; a shift of q(θ) makes up for what it can.

        Raises:
            NoLimit: θ differs between data sets that do not tell it.
        """
        d = self.latents
        weight = np.asarray(sum(b[:d, :d] for b in stencil.blocks.values()))
        if self.draws.globals:
            post = self.draws.joint.posterior
            across = post.zt.toarray()[self._at(self.middle)[:d]]
            own = self._longer.tt - post.tt
            told = own - across.T @ np.linalg.solve(weight, across)
            if np.linalg.eigvalsh(told)[0] < SAME * np.abs(own).max():
                if np.any(self.spread):
                    raise NoLimit("not all of θ is told by the data, however long")
                return None
            weight = weight - across @ np.linalg.solve(own, across.T)
        return Level(weight, gains, self._means[:d])

    @cached_property
    def _longer(self) -> Posterior:
        """The same model one step longer."""
        model, size = self.bound.model, growing_size(self.bound.model)
        assert size is not None
        longer = {**model.values, size: self.bound.sizes[size] + 1}
        return joint(bind(model.replace(values=longer))).posterior

    def _at(self, step: int) -> np.ndarray:
        """The coordinates of y at a position, in the order of components."""
        found = np.flatnonzero(self.step == step)
        return found[np.argsort(self.component[found])]

    def _row_blocks(self, step: int) -> dict[int, np.ndarray]:
        rows = self.draws.precision[self._at(step)].tocoo()
        size = int(self.component.max()) + 1
        blocks: dict[int, np.ndarray] = {}
        for r, c, value in zip(rows.row, rows.col, rows.data, strict=True):
            offset = int(self.step[c] - step)
            blocks.setdefault(offset, np.zeros((size, size)))[r, self.component[c]] += value
        return blocks

    def _scales(self) -> float:
        """The price per step of one scale for series that share a function."""
        diagonal = self.draws.joint.posterior.diagonal
        at = self._at(self.middle)
        at = at[at < self.draws.locals]
        classes = np.arange(len(at)) if self.question.per_position else self._functions()
        return variance_cost(diagonal[at], classes)

    def _functions(self) -> np.ndarray:
        """Which function each latent component belongs to."""
        found = []
        for coordinate in self._at(self.middle):
            if coordinate < self.draws.locals:
                found.append(self._named(int(coordinate)))
        _, inverse = np.unique(np.asarray(found), axis=0, return_inverse=True)
        return np.asarray(inverse).reshape(-1)

    def _named(self, coordinate: int) -> tuple[int, int]:
        start = 0
        for number, v in enumerate(self.bound.model.locals):
            dim = self.bound.dim(v)
            size = self.bound.tables[v.name].size * dim
            if coordinate < start + size:
                return number, (coordinate - start) % dim
            start += size
        raise IndexError(coordinate)

    def columns(self) -> tuple[list[Filter], np.ndarray]:
        """The inputs of the middle position and the constant: filters, and gains of `level`."""
        shown = {
            v.name: columns(self.bound, v, self._resolved(v), self.draws.joint)
            for v in self.bound.model.locals
        }
        gathered = _Gathered(self.latents, 1 + self.draws.globals)
        start = 0
        for number, v in enumerate(self.bound.model.locals):
            dim, c = self.bound.dim(v), shown[v.name]
            points = np.arange(len(c.offset))
            for k in range(dim):
                coordinates = start + points * dim + k
                here = points[self.step[coordinates] == self.middle]
                for p in here:
                    latent = int(self.component[coordinates[p]])
                    own = latent if self.question.per_position else -1
                    self._collect(gathered, c, int(p), latent, (number, k, own))
            start += len(points) * dim
        return gathered.columns()

    def _resolved(self, v: Variable) -> tuple[spec_inputs.Input, ...]:
        if self.question.function.degree == 0:
            return ()
        return spec_inputs.resolve(self.bound, v, self.question.inputs[v.name])

    def _collect(
        self, gathered: _Gathered, c: Columns, point: int, latent: int, function: tuple[int, ...]
    ) -> None:
        if np.isnan(c.offset[point]).any():
            raise _DoesNotFit
        gathered.gain((*function, -1), latent, np.eye(1, 1 + self.draws.globals)[0])
        wanders = self._wanders()
        for e in np.flatnonzero(c.point == point):
            key = (*function, int(c.column[e]))
            if c.source[e] < 0:
                if wanders:
                    raise NoLimit("a mean over a random walk has no limit")
                numbers, weights = c.functionals[-1 - int(c.source[e])]
                series = self.component[numbers + self.draws.locals]
                shares = np.bincount(series, weights, minlength=len(self._means))
                gathered.gain(key, latent, float(c.weight[e]) * (shares @ self._means))
                continue
            coordinate = int(c.source[e]) + self.draws.locals
            series = int(self.component[coordinate])
            offset, weight = int(self.step[coordinate]) - self.middle, float(c.weight[e])
            gathered.filter(key, (latent, series - self.latents, offset), weight)
            if not wanders:
                gathered.gain(key, latent, weight * self._means[series])

    def _wanders(self) -> bool:
        stencil = self.stencil()
        return stencil is not None and stencil.unit_root is not None


class _Gathered:
    """Coefficients of functions, each with its filter and its gains."""

    def __init__(self, latents: int, width: int) -> None:
        self.shape = (latents, width)
        self.filters: dict[tuple[int, ...], dict[tuple[int, int, int], float]] = {}
        self.gains: dict[tuple[int, ...], np.ndarray] = {}

    def filter(self, key: tuple[int, ...], at: tuple[int, int, int], weight: float) -> None:
        column = self.filters.setdefault(key, {})
        column[at] = column.get(at, 0.0) + weight

    def gain(self, key: tuple[int, ...], latent: int, value: np.ndarray) -> None:
        self.gains.setdefault(key, np.zeros(self.shape))[latent] += value

    def columns(self) -> tuple[list[Filter], np.ndarray]:
        keys = sorted(self.filters.keys() | self.gains.keys())
        gains = [self.gains.get(k, np.zeros(self.shape)) for k in keys]
        return [self.filters.get(k, {}) for k in keys], np.reshape(gains, (len(keys), *self.shape))


def _other_sizes(question: Question, size: str) -> Mapping[str, int]:
    sizes = question.bound.sizes
    return {k: v for k, v in sizes.items() if k != size and k in question.bound.model.sizes}


def _equal(a: Mapping[int, np.ndarray], b: Mapping[int, np.ndarray]) -> bool:
    if set(a) != set(b):
        return False
    return all(np.allclose(a[k], b[k], rtol=SAME, atol=SAME * np.abs(a[k]).max()) for k in a)


def _series(found: Joint, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Position along the growing index, and number of the series, of each coordinate of y."""
    bound, layout = found.form.layout.bound, found.form.layout
    keys: dict[tuple[object, ...], int] = {}
    steps, series = [], []
    for v in (*bound.model.locals, *bound.model.observed):
        if v.name not in layout.offsets:
            continue
        axis = next(k for k, a in enumerate(v.axes) if size in _symbols(a.high))
        points, dim = bound.tables[v.name].points, bound.dim(v)
        others = np.delete(points, axis, 1)
        block = layout.block(v.name)
        chosen = np.arange(block.start, block.stop)
        if v.role == "observed":
            chosen = np.intersect1d(chosen, found.drawn)
        for coordinate in chosen - block.start:
            p, k = divmod(int(coordinate), dim)
            key = (v.name, *others[p].tolist(), k)
            steps.append(int(points[p, axis]))
            series.append(keys.setdefault(key, len(keys)))
    return np.asarray(steps), np.asarray(series)
