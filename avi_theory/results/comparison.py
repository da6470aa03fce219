r"""Theory beside measurement: the ladder of gaps and whether the two agree.

.. math:: \log p(x) - \mathrm{ELBO}(\text{A-VI}) =
    \text{approximation} + \text{conditioning} + \text{capacity} + \text{training}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from avi_theory.results.base import Result
from avi_theory.results.shown import Shown

if TYPE_CHECKING:
    from avi_theory.results.measurement import Measurement

Kind = Literal["exact", "upper", "lower", "none"]
Outcome = Literal["agrees", "bound_respected", "contradicts", "inconclusive"]

RUNGS = ("approximation", "conditioning", "capacity", "training")
"""The rungs that add up to log p(x) − ELBO(A-VI), from the top down."""

CONTRADICTION = 3
"""The exit code of a comparison whose numbers contradict the theory."""


@dataclass(frozen=True)
class Rung(Result):
    """One rung of the ladder.

    Attributes:
        value: in nats; None where it is not known.
        standard_error: of the value, in nats; None where the value is.
        kind: exact (up to the standard error), an upper or a lower bound, or none.
        how: where the number comes from, or why there is none.
    """

    value: float | None
    standard_error: float | None
    kind: Kind
    how: str

    @classmethod
    def unknown(cls, reason: str) -> Rung:
        """A rung without a number, with the reason."""
        return cls(None, None, "none", reason)


@dataclass(frozen=True)
class Amortization(Result):
    """ELBO(F-VI) − ELBO(A-VI): as measured, as predicted, and the verdict on the two.

    Attributes:
        measured, standard_error: the difference of the two runs, in nats.
        predicted: by theory for exactly the function class used, in nats; None without theory.
        kind: of the prediction.
        outcome: agrees, bound_respected, contradicts or inconclusive.
    """

    measured: float | None
    standard_error: float | None
    predicted: float | None
    kind: Kind
    outcome: Outcome


@dataclass(frozen=True)
class Comparison(Shown):
    """What `compare` answers; `to_dict` is the contract's JSON.

    Attributes:
        model: its name.
        fvi, avi: the two runs: ELBO (nats), status, gradient norm, iterations, seconds; for A-VI
            also the function and its inputs.
        gaps: the ladder by name, with ``generalization`` standing apart.
        amortization: measured against predicted.
        log_evidence: value (nats), method, standard error.
        provenance: seed, device, dtype, data, versions.
        measurement: what was fitted, for the traces and for saving; not in the JSON.
    """

    model: str
    fvi: Mapping[str, Any]
    avi: Mapping[str, Any]
    gaps: Mapping[str, Rung]
    amortization: Amortization
    log_evidence: Mapping[str, Any]
    provenance: Mapping[str, Any]
    measurement: Measurement | None = field(default=None, repr=False, compare=False)

    @property
    def exit_code(self) -> int:
        """The command line's exit code: 3 if the numbers contradict the theory, else 0."""
        return CONTRADICTION if self.amortization.outcome == "contradicts" else 0
