r"""What was measured: the factorized and the amortized optimum, with certificates.

.. math:: \text{measured amortization gap} = \mathrm{ELBO}(\text{F-VI}) - \mathrm{ELBO}(\text{A-VI})
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.results.base import Result
from avi_theory.results.shown import Shown

FORMAT = "avi-theory measurement 1"


@dataclass(frozen=True)
class Solution(Result):
    """Where one family arrived.

    Attributes:
        elbo: in nats; None where it does not exist.
        status: converged, stopped_early, stalled, diverged or non_integrable.
        gradient_norm: √(gᵀD⁻¹g) in the Fisher metric D of q (Euclidean for networks), in nats per
            whitened parameter.
        iterations, seconds: spent.
        message: what the status means here and what to do.
        remaining: ½ gᵀH⁻¹g, the distance to the optimum in nats to second order; None unknown.
        certified: whether the optimum is known to be the only one of its family.
        standard_error: of the ELBO, in nats; 0 where no term is sampled.
        starts: how many starting points were tried; spread: between the best and the worst
            optimum they led to, in nats.
    """

    elbo: float | None
    status: str
    gradient_norm: float | None
    iterations: int
    seconds: float
    message: str = ""
    remaining: float | None = None
    certified: bool = False
    standard_error: float = 0.0
    starts: int = 1
    spread: float = 0.0


@dataclass(frozen=True)
class AmortizedSolution(Solution):
    """Where A-VI arrived, with what function of what.

    Attributes:
        function: the class, e.g. ``affine``.
        inputs: all inputs; inputs_by_local: those of each local variable.
        edges: points with incomplete inputs, which have factors of their own.
        free: locals that were left factors of their own.
        refined: the gap to F-VI before the first and after each step of F-VI's solver from this
            solution, in nats; empty where no steps were asked for.
    """

    function: str = "none"
    inputs: tuple[str, ...] = ()
    inputs_by_local: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    edges: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    refined: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Posterior(Result):
    """A factorized posterior by name: ``posterior["z[3]"]``.

    Attributes:
        names: of every scalar latent, e.g. ``z[3]``, ``mu``.
        mean, sd: of its factor (of the category number, where it is discrete).
        low, median, high: the 5, 50 and 95 % quantiles.
        probabilities: of each category, for discrete latents, by name.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    probabilities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Mean, sd and quantiles of one latent.

        Raises:
            InputError: no latent of that name.
        """
        from avi_theory.errors import nearest

        plain = name.replace(" ", "")
        if plain not in self.names:
            raise InputError(f"There is no latent {name!r}. {nearest(plain, self.names)}".strip())
        k = self.names.index(plain)
        found = {
            "mean": float(self.mean[k]),
            "sd": float(self.sd[k]),
            "q05": float(self.low[k]),
            "q50": float(self.median[k]),
            "q95": float(self.high[k]),
        }
        if plain in self.probabilities:
            return {**found, "probabilities": self.probabilities[plain]}
        return found

    def __len__(self) -> int:
        return len(self.names)

    def __str__(self) -> str:
        width = max((len(n) for n in self.names), default=4)
        head = f"{'':{width}}  {'mean':>10} {'sd':>10} {'5 %':>10} {'50 %':>10} {'95 %':>10}"
        rows = zip(self.names, self.mean, self.sd, self.low, self.median, self.high, strict=True)
        lines = [f"{n:{width}}  " + " ".join(f"{v:10.5g}" for v in values) for n, *values in rows]
        return "\n".join([head, *lines])


@dataclass(frozen=True, eq=False)
class Saved:
    """What `Measurement.save` keeps beside the answer: arrays and how to use them again."""

    arrays: Mapping[str, np.ndarray]
    recipe: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Measurement(Shown):
    """Both variational solutions of one model on one data set.

    Attributes:
        model: its name.
        fvi: the factorized solution.
        avi: the amortized one, None where none was asked for.
        latents: the number of scalar coordinates of all locals.
        standard_error: of the gap, from fresh common random numbers; 0 where nothing is sampled.
        methods: statement to how its expectation is computed: exact, quadrature or monte carlo.
        log_evidence: value (nats, None if unknown), method, standard_error.
        holdout: on held-out data, the gap and the number of latents; None if none were held out.
        provenance: seed, device, dtype, data, versions.
        traces: per run (``fvi``, ``avi``), ELBOs along the way; not in the JSON.
    """

    model: str
    fvi: Solution
    avi: AmortizedSolution | None
    latents: int
    standard_error: float
    methods: Mapping[str, str]
    log_evidence: Mapping[str, Any]
    holdout: Mapping[str, Any] | None
    provenance: Mapping[str, Any]
    traces: Mapping[str, tuple[float, ...]] = field(default_factory=dict, repr=False)
    saved: Saved | None = field(default=None, repr=False)
    summary: Posterior | None = field(default=None, repr=False)
    apply: Callable[[Any, int], Posterior] | None = field(default=None, repr=False)
    truth: Callable[[], Posterior | None] | None = field(default=None, repr=False)

    @property
    def gap(self) -> float | None:
        """The measured amortization gap in nats; None where one of the runs has no ELBO."""
        if self.avi is None or self.fvi.elbo is None or self.avi.elbo is None:
            return None
        return self.fvi.elbo - self.avi.elbo

    def posterior(self) -> Posterior:
        """Means, sds and quantiles of F-VI's factors, by name.

        Raises:
            InputError: the ELBO does not exist, so there is no posterior.
        """
        if self.summary is None:
            raise InputError(f"{self.model} has no posterior: {self.fvi.message}")
        return self.summary

    def exact_posterior(self) -> Posterior:
        """The true marginals p(z_n | x) beside `posterior`'s factors, where they are computed.

        Discrete chains (by message passing) and linear-Gaussian models have them.

        Raises:
            InputError: no method gives them for this model, or the measurement was loaded.
        """
        found = self.truth() if self.truth is not None else None
        if found is None:
            raise InputError(
                f"The true marginals of {self.model} are not known: its latents are neither "
                "discrete chains nor linear-Gaussian, or F-VI did not converge, or this "
                "measurement was loaded from a file. posterior() gives F-VI's factors."
            )
        return found

    def infer(self, data: Any, *, refine: int = 0) -> Posterior:
        """The trained inference function applied to new data.

        Points whose inputs are incomplete get NaN: their factors were their own.

        Args:
            data: as for `measure`.
            refine: steps of F-VI's solver on the locals from where the function points, the
                globals held at A-VI's: semi-amortized inference.

        Raises:
            InputError: no inference function was trained, or a negative number of steps.
            DataError: data that do not fit the model.
        """
        if self.apply is None and self.avi is not None and self.avi.free:
            raise InputError(
                f"{', '.join(self.avi.free[:3])} and others kept factors of their own, which new "
                "data do not have. Measure again without free=."
            )
        if self.apply is None:
            raise InputError(
                "No inference function was trained. Measure again with function= and inputs=."
            )
        return self.apply(data, refine)

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file with a JSON header; complete or not at all.

        Raises:
            InputError: the path cannot be written, or there is nothing to save.
        """
        from safetensors.numpy import save

        if self.saved is None:
            raise InputError(f"{self.model} has no solution to save: {self.fvi.message}")
        path = Path(path)
        header = {
            "format": FORMAT,
            "answer": self.to_json(),
            "recipe": json.dumps(dict(self.saved.recipe), ensure_ascii=False),
            "traces": json.dumps({k: list(v) for k, v in self.traces.items()}),
        }
        content = save({k: np.ascontiguousarray(v) for k, v in self.saved.arrays.items()}, header)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except OSError as e:
            raise InputError(
                f"The measurement cannot be saved at {path}: {e.strerror}. Choose another path."
            ) from e
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError as e:
            Path(name).unlink(missing_ok=True)
            raise InputError(f"The measurement cannot be saved at {path}: {e.strerror}.") from e
        return path
