r"""Linear-Gaussian models: the precision of the latents, F-VI's optimum, the approximation gap.

.. math:: p(\theta, z \mid x) = N(\Lambda^{-1} h, \Lambda^{-1}), \qquad h = b + B x

With q = ∏ N(mₙ, vₙ), KL(q ‖ p) = ½Σ[Λₙₙvₙ − log(Λₙₙvₙ) − 1] + ½(Σ log Λₙₙ − log|Λ|)
+ ½(m−µ)ᵀΛ(m−µ): F-VI has m = µ = Λ⁻¹h and vₙ = 1/Λₙₙ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound, edge_points, subscript_points
from avi_theory.spec.tables import expand
from avi_theory.theory.forms import Matrix, NotQuadratic
from avi_theory.theory.linalg import Factor, NotPositiveDefinite
from avi_theory.theory.quadratic import Layout, Quadratic, log_density

UNIDENTIFIED = 1e-13
"""A global whose precision given the data is below this fraction of its own counts as improper."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """The Gaussian posterior of (θ, z): precision and linear term, θ first.

    Attributes:
        layout: coordinates of globals and locals.
        precision: Λ, sparse.
        linear: h at the data; zeros where there are none.
    """

    layout: Layout
    precision: Matrix
    linear: np.ndarray

    @property
    def globals(self) -> int:
        """The number of scalar coordinates of θ."""
        model = self.layout.bound.model
        return sum(
            self.layout.block(v.name).stop - self.layout.block(v.name).start for v in model.globals
        )

    @cached_property
    def zz(self) -> Matrix:
        """Λ_zz."""
        g = self.globals
        return sparse.csr_matrix(self.precision[g:, g:])

    @cached_property
    def zt(self) -> Matrix:
        """Λ_zθ, ``[locals, globals]``."""
        g = self.globals
        return sparse.csr_matrix(self.precision[g:, :g])

    @cached_property
    def tt(self) -> np.ndarray:
        """Λ_θθ, dense."""
        g = self.globals
        return np.asarray(self.precision[:g, :g].toarray())

    @cached_property
    def zz_factor(self) -> Factor:
        """Λ_zz factorized.

        Raises:
            InputError: it is not positive definite (improper posterior); names the variable.
        """
        return self._factor(self.zz, self.globals)

    @cached_property
    def zz_inverse_zt(self) -> np.ndarray:
        """Λ_zz⁻¹ Λ_zθ, dense and thin."""
        return self.zz_factor.solve(self.zt.toarray())

    @cached_property
    def schur(self) -> np.ndarray:
        """Λ_θθ − Λ_θz Λ_zz⁻¹ Λ_zθ: the precision of θ given x alone.

        Raises:
            InputError: the data do not identify a global whose prior is flat.
        """
        schur = self.tt - self.zt.T @ self.zz_inverse_zt
        try:
            pivots = np.diagonal(np.linalg.cholesky(schur)) ** 2
        except np.linalg.LinAlgError:
            pivots = np.linalg.eigvalsh(schur)
        bad = ~(pivots > UNIDENTIFIED * np.maximum(np.diagonal(self.tt), 1e-300))
        if np.any(bad):
            self._refuse(int(np.flatnonzero(bad)[0]))
        return np.asarray(schur)

    def _factor(self, matrix: Matrix, offset: int) -> Factor:
        try:
            return Factor(matrix)
        except NotPositiveDefinite as e:
            self._refuse(e.coordinate + offset)
            raise

    def _refuse(self, coordinate: int) -> None:
        name = self.layout.label(coordinate)
        raise InputError(
            f"The posterior of {self.layout.bound.model.name} is improper: the precision matrix of "
            f"its latents is not positive definite, and fails at {name}. Check the signs and sizes "
            f"of the terms that hold {name}, or give it a proper prior."
        )

    @cached_property
    def mean(self) -> np.ndarray:
        """µ = Λ⁻¹h, of (θ, z): F-VI's means."""
        g = self.globals
        inner = self.zz_factor.solve(self.linear[g:])
        if g == 0:
            return inner
        theta = np.linalg.solve(self.schur, self.linear[:g] - self.zt.T @ inner)
        return np.concatenate([theta, inner - self.zz_inverse_zt @ theta])

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Λₙₙ of the locals: F-VI's precisions 1/vₙ."""
        return np.asarray(self.zz.diagonal())

    @cached_property
    def approximation_gap(self) -> float:
        r"""½(Σ log Λₙₙ − log|Λ|), in nats, over all coordinates of (θ, z); exact.

        Raises:
            InputError: Λ is not positive definite.
        """
        log_determinant = self.zz_factor.log_determinant
        if self.globals:
            log_determinant += np.linalg.slogdet(self.schur)[1]
        return float(0.5 * (np.log(self.precision.diagonal()).sum() - log_determinant))

    def profiled(self, r: np.ndarray) -> float:
        r"""½ min over m_θ of the quadratic form: ½ rᵀ(Λ_zz − Λ_zθ Λ_θθ⁻¹ Λ_θz) r."""
        value = r @ (self.zz @ r)
        if self.globals:
            k = self.zt.T @ r
            value -= k @ np.linalg.solve(self.tt, k)
        return 0.5 * float(value)

    @cached_property
    def separable(self) -> bool:
        """Whether no two locals interact: Λ_zz is diagonal, exactly."""
        entries = self.zz.tocoo()
        return bool(np.all(entries.row == entries.col))


def posterior(bound: Bound) -> Posterior:
    """The posterior at the bound data.

    Raises:
        NotQuadratic: the model is not linear-Gaussian given the data.
    """
    q = log_density(bound, joint=False)
    return Posterior(q.layout, q.precision, q.linear)


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint Gaussian log density of (θ, z, x); observed points without a density are fixed.

    Attributes:
        form: over all coordinates, fixed ones included.
        drawn: which observed coordinates are random.
        posterior: of (θ, z), with `linear` = b (the part of h without x).
        b_matrix: B, ``[θ and z, drawn x]``, so that h = b + B x.
    """

    form: Quadratic
    drawn: np.ndarray
    posterior: Posterior
    b_matrix: Matrix

    @property
    def latents(self) -> int:
        """The number of coordinates of (θ, z)."""
        return int(self.posterior.precision.shape[0])

    @cached_property
    def precision(self) -> Matrix:
        """P over (θ, z, drawn x)."""
        kept = np.concatenate([np.arange(self.latents), self.drawn])
        return sparse.csr_matrix(self.form.precision[kept][:, kept])

    @cached_property
    def linear(self) -> np.ndarray:
        """The linear term over (θ, z, drawn x), fixed observations put in."""
        kept = np.concatenate([np.arange(self.latents), self.drawn])
        return np.asarray(self.form.linear[kept] - self._fixed_part()[kept])

    def _fixed_part(self) -> np.ndarray:
        size = self.form.precision.shape[0]
        fixed = _others(self.latents, size, self.drawn)
        if len(fixed) == 0:
            return np.zeros(size)
        return np.asarray(self.form.precision[:, fixed] @ _known_values(self.form, fixed))


def _others(start: int, stop: int, without: np.ndarray) -> np.ndarray:
    """The coordinates from `start` to `stop` that are not in a list."""
    kept = np.ones(stop, bool)
    kept[:start] = False
    kept[without] = False
    return np.flatnonzero(kept)


def _known_values(form: Quadratic, coordinates: np.ndarray) -> np.ndarray:
    """Values of observed points that are not drawn: edge values of the text, else the data's.

    Empty cells, which nothing depends on, count as 0.
    """
    bound, values = form.layout.bound, np.full(form.precision.shape[0], np.nan)
    for v in bound.model.observed:
        if v.name not in form.layout.offsets:
            continue
        block, table = form.layout.block(v.name), bound.tables[v.name]
        own = np.full((table.size, bound.dim(v)), np.nan)
        if v.name in bound.known:
            own = np.array(bound.known[v.name], float).reshape(own.shape)
        for points, edge in edge_points(bound.model, v.name, bound.sizes, bound.lookup):
            own[table.positions(tuple(points.T))] = np.asarray(edge, float)[:, None]
        values[block] = own.ravel()
    unused = np.diff(form.precision.indptr) == 0
    values[unused] = 0.0
    if np.any(np.isnan(values[coordinates])):
        bad = coordinates[np.isnan(values[coordinates])][0]
        raise NotQuadratic(f"{form.layout.label(int(bad))} has no density and no value")
    return np.asarray(values[coordinates])


def joint(bound: Bound) -> Joint:
    """The joint distribution of latents and observations at the bound sizes and covariates.

    Raises:
        NotQuadratic: it is not Gaussian, or an observed point has neither a density nor a value.
    """
    form = log_density(bound, joint=True)
    layout = form.layout
    model = bound.model
    latents = Layout.of(bound, [*model.globals, *model.locals])
    size, total = latents.size, layout.size
    drawn = _drawn(bound, form, size)
    fixed = _others(size, total, drawn)
    shift = form.precision[:size, fixed] @ _known_values(form, fixed) if len(fixed) else 0.0
    b = form.linear[:size] - shift
    posterior_ = Posterior(latents, sparse.csr_matrix(form.precision[:size, :size]), b)
    return Joint(form, drawn, posterior_, sparse.csr_matrix(-form.precision[:size, drawn]))


def _drawn(bound: Bound, form: Quadratic, latents: int) -> np.ndarray:
    """Observed coordinates with a density; empty cells count as not observed at all."""
    diagonal = form.precision.diagonal()
    random = np.zeros(form.layout.size, bool)
    for v in bound.model.observed:
        if v.name not in form.layout.offsets:
            continue
        block = form.layout.block(v.name)
        own = _with_density(bound, v.name)
        random[block] = np.repeat(own, bound.dim(v)) & (diagonal[block] > 0)
    return np.flatnonzero(random)


def _with_density(bound: Bound, name: str) -> np.ndarray:
    """Points of an observed variable that a density statement covers."""
    table = bound.tables[name]
    covered = np.zeros(table.size, bool)
    for d in bound.model.densities:
        if d.variable != name:
            continue
        if d.over or not table.letters:
            covered[:] = True
            continue
        env = expand({}, d.ranges, bound.sizes, bound.lookup)
        points = subscript_points(d.subscripts, env, bound.sizes, bound.lookup)
        covered[table.positions(tuple(points.T))] = True
    return covered & bound.present[name] if name in bound.present else covered
