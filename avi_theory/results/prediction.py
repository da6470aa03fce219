"""What `predict` answers: the amortization gap that theory says, and what the number rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from avi_theory.results.shown import Shown

Kind = Literal["exact", "upper", "lower", "none"]
Regime = Literal["dataset", "population", "reuse"]


@dataclass(frozen=True)
class Prediction(Shown):
    """A predicted gap; `to_dict` is the contract's JSON.

    Attributes:
        model: its name.
        regime: on the given data, in expectation at given θ, or over θ's prior too.
        inputs: what the inference function sees, sorted.
        function: the class of functions; sharing: one for all positions, or one each.
        kind: of `gap`: exact, an upper or a lower bound; none without a number.
        latents: the number of scalar coordinates of all locals.
        gap: ELBO(F-VI) − ELBO(best A-VI), in nats, in total; None where theory has no number.
        gap_per_latent: the same per latent.
        limit_per_latent: nats per latent as the size grows; None where there is no limit.
        approximation_gap: log evidence − ELBO(F-VI), nats in total; None where unknown.
        assumptions: what the number rests on; for kind none, why there is no number.
        reference: the theorem or formula, and its source.
        standard_error: of `gap`, nats in total, where it is estimated from drawn data sets; None
            where nothing is drawn.
        latex: the formula of the limit, or ""; not in the JSON.
    """

    model: str
    regime: Regime
    inputs: tuple[str, ...]
    function: str
    sharing: str
    kind: Kind
    latents: int
    gap: float | None
    gap_per_latent: float | None
    limit_per_latent: float | None
    approximation_gap: float | None
    assumptions: tuple[str, ...]
    reference: str
    standard_error: float | None = None
    latex: str = field(default="", repr=False)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex}$" if self.latex else ""
