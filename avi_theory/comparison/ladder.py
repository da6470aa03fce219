r"""The ladder of gaps on the fitted data.

.. math:: \log p(x) - \mathrm{ELBO}(\text{A-VI})
    = \underbrace{\log p - F^*}_{\text{approximation}}
    + \underbrace{F^* - A^*_{\text{all}}}_{\text{conditioning}}
    + \underbrace{A^*_{\text{all}} - A^*_{\mathcal F}}_{\text{capacity}}
    + \underbrace{A^*_{\mathcal F} - A}_{\text{training}}

F* is F-VI's optimum, A* the best over all functions of the inputs and over the class 𝓕, A what was
reached.  Theory knows the middle two where it has a closed form; the rest is measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from avi_theory.comparison.outcome import Run
from avi_theory.results.comparison import Kind, Rung


@dataclass(frozen=True)
class Known:
    """A gap that theory states: its value in nats, its kind, and where it comes from."""

    value: float | None
    kind: Kind
    how: str

    @property
    def exact(self) -> bool:
        """Whether the value is known exactly."""
        return self.kind == "exact" and self.value is not None


@dataclass(frozen=True)
class Evidence:
    """log p(x) in nats, how it was found, and its standard error; None where it has no value."""

    value: float | None = None
    method: str = "none"
    standard_error: float = 0.0

    @property
    def sampled(self) -> bool:
        """Whether it is an estimate, low on average, and not a number."""
        return self.standard_error > 0


def ladder(
    fvi: Run,
    avi: Run,
    *,
    evidence: Evidence,
    conditioning: Known,
    of_class: Known,
    class_name: str,
    standard_error: float = 0.0,
    by_theory: float | None = None,
    remark: str = "",
) -> Mapping[str, Rung]:
    """The four rungs that add up to log p(x) − ELBO(A-VI), as far as they are known.

    Args:
        fvi: the factorized run.
        avi: the amortized run.
        evidence: log p(x).
        conditioning: the dataset gap of the best of all functions of the inputs.
        of_class: the dataset gap of the best function in the class.
        class_name: the class, in words.
        standard_error: of ELBO(F-VI) − ELBO(A-VI), in nats.
        by_theory: the approximation gap in nats where theory knows it, for want of log p(x).
        remark: added to the conditioning rung's ``how``: its population value.
    """
    known = conditioning.value if conditioning.kind != "none" else None
    how = _joined(conditioning.how, remark)
    first = Rung.unknown(how) if known is None else Rung(known, 0.0, conditioning.kind, how)
    lower = avi_rungs(fvi, avi, first, of_class, class_name, standard_error)
    top = approximation(fvi, evidence, by_theory)
    return {"approximation": top, "conditioning": first, **lower}


def approximation(fvi: Run, evidence: Evidence, by_theory: float | None = None) -> Rung:
    """log p(x) − F*: what the factorized family costs, amortized or not."""
    if evidence.value is None and by_theory is not None:
        return Rung(by_theory, 0.0, "exact", "by theory; log p(x) itself was not computed")
    if evidence.value is None or not math.isfinite(fvi.elbo):
        return Rung.unknown(f"log p(x) − ELBO(F-VI) has no value: {evidence.method}")
    how = f"log p(x) ({evidence.method}) − ELBO(F-VI)"
    if not fvi.certified:
        how += "; F-VI's optimum is not known to be the only one, a better one would make it less"
    if evidence.sampled:
        how += "; a sampled log p(x) is low on average"
    kind: Kind = "upper" if not fvi.certified else "lower" if evidence.sampled else "exact"
    return Rung(evidence.value - fvi.elbo, evidence.standard_error, kind, how)


def avi_rungs(
    fvi: Run, avi: Run, conditioning: Rung, of_class: Known, class_name: str, standard_error: float
) -> Mapping[str, Rung]:
    """Capacity and training; where theory cannot tell them apart, training holds the sum."""
    measured = fvi.elbo - avi.elbo
    if not math.isfinite(measured):
        gone = "a run has no finite ELBO"
        return {"capacity": Rung.unknown(gone), "training": Rung.unknown(gone)}
    kind: Kind = "exact" if fvi.certified else "lower"
    if not of_class.exact or of_class.value is None:
        held = "capacity" if conditioning.value is not None else "conditioning, capacity"
        how = f"measured; holds {held} and training, which cannot be told apart"
        return {
            "capacity": Rung.unknown(f"theory has no number for the best {class_name} function"),
            "training": Rung(measured - (conditioning.value or 0.0), standard_error, kind, how),
        }
    how = f"best of all functions − best {class_name} function, by theory"
    if conditioning.value is None:
        how = f"gap of the best {class_name} function by theory; holds conditioning as well"
    return {
        "capacity": Rung(
            of_class.value - (conditioning.value or 0.0),
            0.0,
            "exact" if conditioning.kind == "exact" else "upper",
            how,
        ),
        "training": Rung(
            measured - of_class.value,
            standard_error,
            kind,
            f"measured gap − gap of the best {class_name} function by theory",
        ),
    }


def generalization(
    fitted: float, held_out: float, latents: tuple[int, int], standard_error: float = 0.0
) -> Rung:
    """Held-out minus fitted amortization gap, per latent, in nats.

    Args:
        fitted: the gap on the fitted data, in nats.
        held_out: the gap on the held-out data, in nats.
        latents: how many latents each covers, in that order.
        standard_error: of the difference per latent.
    """
    value = held_out / latents[1] - fitted / latents[0]
    how = f"gap per latent: {held_out / latents[1]:.6g} held out, {fitted / latents[0]:.6g} fitted"
    return Rung(value, standard_error, "exact", how)


def _joined(*parts: str) -> str:
    return "; ".join(p for p in parts if p)
