"""The question put to the closed forms: which gap, of which functions of which inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from avi_theory.results.prediction import Kind, Regime
from avi_theory.spec import inputs as spec_inputs
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import Input
from avi_theory.theory.discrete import Drawn, NotDiscrete, Optimum, drawn_optimum, optimum
from avi_theory.theory.forms import NotQuadratic
from avi_theory.theory.functions import FunctionClass
from avi_theory.theory.gaussian import Joint, Posterior, joint, posterior
from avi_theory.theory.quadrature import (
    NotConverged,
    NotIntegrable,
    Objective,
    Reached,
    best_free,
    objective,
)

REGIMES: tuple[Regime, ...] = ("dataset", "population", "reuse")
SHARINGS = ("shared", "per-position")


@dataclass(frozen=True)
class Verdict:
    """What the structural check knows, as far as predictions use it.

    Attributes:
        closes: own, inputs, component, no or unknown, by local.
        inputs: that suffice, by local.
        edges: positions of another form, by local.
    """

    closes: Mapping[str, str]
    inputs: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> Verdict:
        """From the JSON form of `check`'s report."""
        found = report["locals"]
        return cls(
            {k: v["closes"] for k, v in found.items()},
            {k: tuple(v["inputs"]) for k, v in found.items()},
            {k: tuple(v["edges"]) for k, v in found.items()},
        )


@dataclass(frozen=True, eq=False)
class Question:
    """One question; the Gaussian readings of the model are worked out when first asked for.

    Attributes:
        bound: the model with sizes and data.
        regime: dataset, population or reuse.
        inputs: the names of the inputs, by local.
        function: the class of functions.
        per_position: whether each position has its own function.
        verdict: of the structural check, or None.
        factors: of the latents whose factor is not the one that goes with their support.
    """

    bound: Bound
    regime: Regime
    inputs: Mapping[str, tuple[str, ...]]
    function: FunctionClass
    per_position: bool
    verdict: Verdict | None = None
    factors: Mapping[str, str] = field(default_factory=dict)

    @property
    def other_factors(self) -> str:
        """Why no number for Normal and LogNormal factors answers the question; empty if one may."""
        if not self.factors:
            return ""
        chosen = ", ".join(f"{name} has a {kind} factor" for name, kind in self.factors.items())
        return f"{chosen}, and this closed form is one for Normal and LogNormal factors"

    @cached_property
    def resolved(self) -> dict[str, tuple[Input, ...]]:
        """The inputs by local, resolved to cells; a constant function has none."""
        if self.function.degree == 0:
            return {v.name: () for v in self.bound.model.locals}
        return {
            v.name: spec_inputs.resolve(self.bound, v, self.inputs[v.name])
            for v in self.bound.model.locals
        }

    @cached_property
    def posterior(self) -> Posterior | str:
        """The Gaussian posterior (in averaging regimes without data), or why there is none."""
        try:
            if self.regime == "dataset":
                return posterior(self.bound)
            return self.joint.posterior if isinstance(self.joint, Joint) else self.joint
        except NotQuadratic as e:
            return str(e)

    @cached_property
    def joint(self) -> Joint | str:
        """The joint Gaussian of latents and observations, or why there is none."""
        try:
            return joint(self.bound)
        except NotQuadratic as e:
            return str(e)

    @cached_property
    def discrete(self) -> Optimum | str:
        """F-VI's optima of a discrete model, on one or on all data sets, or why there are none."""
        try:
            return optimum(self.bound, population=self.regime != "dataset")
        except NotDiscrete as e:
            return str(e)

    @cached_property
    def drawn(self) -> Drawn | str:
        """F-VI's optima of a discrete model on data sets drawn from it, or why there are none."""
        try:
            return drawn_optimum(self.bound)
        except NotDiscrete as e:
            return str(e)

    @cached_property
    def mean_field(self) -> tuple[Objective, Reached] | str:
        """The ELBO on the data by quadrature and F-VI's optimum, or why there is none."""
        try:
            target = objective(self.bound)
            return target, best_free(target)
        except (NotIntegrable, NotConverged) as e:
            return str(e)

    def theta(self, improper_at: float | None = None) -> np.ndarray | str:
        """θ at which data are drawn: the set values, else the prior means; or why there is none.

        Args:
            improper_at: take this value for globals with an improper prior, to see whether an
                answer depends on it.
        """
        model, parts = self.bound.model, []
        for v in model.globals:
            size = self.bound.tables[v.name].size * self.bound.dim(v)
            if v.name in model.values:
                parts.append(np.broadcast_to(np.asarray(model.values[v.name], float), size))
                continue
            improper = any(
                d.variable == v.name and d.family.sample is None for d in model.densities
            )
            if improper or not any(d.variable == v.name for d in model.densities):
                if improper_at is not None:
                    parts.append(np.full(size, improper_at))
                    continue
                return (
                    f"{v} has an improper prior, so there is no value at which data could be "
                    f"drawn; set one with --set {v.name}=…"
                )
            parts.append(np.full(size, np.nan))
        theta = np.concatenate(parts) if parts else np.zeros(0)
        return self._with_prior_means(theta)

    def _with_prior_means(self, theta: np.ndarray) -> np.ndarray | str:
        if not np.any(np.isnan(theta)):
            return theta
        from avi_theory.theory.prior import family_means, prior_means

        if isinstance(self.joint, str):
            theta = family_means(self.bound, theta)
            if not np.any(np.isnan(theta)):
                return theta
            if any(v.support != "real" or v.dim is not None for v in self.bound.model.globals):
                return f"{self.joint}, and not all globals have a known prior mean; --set them"
        return prior_means(self.bound, theta)


@dataclass(frozen=True)
class Answer:
    """A closed form's answer.

    Attributes:
        gap: nats in total; None for kind none.
        kind: exact, upper, lower or none.
        assumptions: in words.
        reference: theorem or formula, and source.
        limit: nats per latent as the size grows, or None.
        standard_error: of the gap where it is estimated from drawn data sets, nats; else None.
        latex: the limit's formula, or "".
    """

    gap: float | None
    kind: Kind
    assumptions: tuple[str, ...]
    reference: str
    limit: float | None = None
    standard_error: float | None = None
    latex: str = ""
