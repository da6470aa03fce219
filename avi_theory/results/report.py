r"""The answer of `check`: can one inference function attain F-VI's ELBO, and why.

.. math:: \exists f:\ \nu^\star_n(x) = f(w_n; q_0) \quad \text{for every data set,}
    \text{ every interior } n \text{ and every } N
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from avi_theory.results import views
from avi_theory.results.base import Result, plain

Closes = Literal["own", "inputs", "component", "no", "unknown"]
Verdict = Literal["holds", "fails", "unknown"]

SENTENCES: Mapping[str, str] = {
    "own": "Amortization can be lossless: every local needs only its own observations.",
    "inputs": "Amortization can be lossless, if the function also sees the inputs listed.",
    "component": "Amortization can be lossless at the level of the outer unit.",
    "no": "Amortization cannot be lossless: no bounded set of inputs determines the optimum.",
    "unknown": "Not decided: the analysis got stuck.",
}


@dataclass(frozen=True)
class OptimalFactor(Result):
    r"""The closed form of \(q^\star(z_n) \propto \exp E_q[\log p]\).

    Attributes:
        family: Normal, Gamma, Categorical, …
        function_class: how it depends on the observations among the inputs, at given covariates:
            constant, affine, polynomial:d, log-linear or none (``class`` in the JSON).
        text, latex: the formula; ``E[·]`` are moments under q of globals and neighbours.
    """

    family: str
    function_class: str
    text: str
    latex: str

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON, where the class is called ``class``."""
        return {
            "family": self.family, "class": self.function_class,
            "text": self.text, "latex": self.latex,
        }  # fmt: skip


@dataclass(frozen=True)
class Condition(Result):
    """One condition of the theorem, judged on the model.

    Attributes:
        name: a short phrase.
        verdict: holds, fails or unknown.
        because: the reason, naming the expressions.
        reference: where the condition comes from.
    """

    name: str
    verdict: Verdict
    because: str
    reference: str


@dataclass(frozen=True)
class Witness(Result):
    """Two places with equal inputs and different optima.

    Attributes:
        data: the data set, values by observed variable.
        other_data: the second data set, or None if both places are in one.
        positions: the two places.
        window: observations up to this distance agree.
        inputs: what agrees, in the local's letters.
        optima: the optimal factor's parameter at each place (a mean, or a probability).
        how: the local, the solver, the sizes, exact values.
    """

    data: Mapping[str, Any]
    other_data: Mapping[str, Any] | None
    positions: tuple[Any, Any]
    window: int
    inputs: tuple[str, ...]
    optima: tuple[Any, Any]
    how: str


@dataclass(frozen=True)
class Step(Result):
    """One step of a derivation, as a reader can check it.

    Attributes:
        question: what the step asks.
        tested: what was looked at, and how.
        heads, rows: the expressions tested and the outcome of each, as a table.
        result: the answer.
        then: what follows from it, or what is asked next.
    """

    question: str
    tested: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    result: str = ""
    then: str = ""

    def __str__(self) -> str:
        lines = [f"{self.question} {self.tested}"]
        lines += ["  " + " | ".join(row) for row in self.rows]
        lines += [f"  Result: {self.result}"] if self.result else []
        lines += [f"  Next: {self.then}"] if self.then else []
        return "\n".join(lines)


@dataclass(frozen=True)
class LocalReport(Result):
    """The verdict on one local.

    Attributes:
        closes: own, inputs, component, no or unknown.
        inputs: what an interior member's optimal factor depends on, sorted.
        interacts_with: locals it is tied to.
        edges: positions with another form.
        optimal_factor: its closed form; None where none is known.
        because: why each input is needed, and why fewer do not do; not in the JSON.
        proof: the separated ELBO term, or the interaction that forbids it; not in the JSON.
    """

    closes: Closes
    inputs: tuple[str, ...]
    interacts_with: tuple[str, ...]
    edges: tuple[str, ...]
    optimal_factor: OptimalFactor | None
    because: tuple[str, ...] = field(default=(), repr=False)
    proof: str = field(default="", repr=False)


@dataclass(frozen=True)
class Report(Result):
    """What `check` answers; `to_dict` is the contract's JSON.

    Attributes:
        model: its name.
        closes: the worst of its locals'.
        simple_hierarchical: whether the density is p(θ) ∏ᵤ p(zᵤ|θ) p(xᵤ|zᵤ,θ), one form for all u.
        unit: that u, or the index at which the ELBO splits given θ.
        locals: by name.
        conditions: each judged.
        evidence: symbolic, or randomised where a cancellation holds with probability one.
        witness: for ``no``.
        advice: what to do.
        steps: the derivation, step by step; not in the JSON.
    """

    model: str
    closes: Closes
    simple_hierarchical: bool
    unit: tuple[str, ...]
    locals: Mapping[str, LocalReport]
    conditions: tuple[Condition, ...]
    evidence: Literal["symbolic", "randomised"]
    witness: Witness | None
    advice: tuple[str, ...]
    steps: tuple[Step, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        simple = "a" if self.simple_hierarchical else "not a"
        lines = [
            f"{self.model}: {SENTENCES[self.closes]}",
            f"It is {simple} simple hierarchical model.",
        ]
        for name, local in self.locals.items():
            inputs = ", ".join(local.inputs) or "nothing"
            lines.append(f"  {name}: {local.closes}; inputs {inputs}")
            lines.extend(f"    {reason}" for reason in local.because)
            if local.proof:
                lines.append(f"    {local.proof}")
            if local.optimal_factor is not None:
                lines.append(f"    {local.optimal_factor.text}")
            if local.edges:
                lines.append(f"    other form at {', '.join(local.edges)}")
        lines.append("Conditions:")
        lines.extend(f"  {c.verdict:8s}{c.name}: {c.because}" for c in self.conditions)
        if self.witness is not None:
            lines.append(f"Witness: {_witness_text(self.witness)}")
        lines.extend(f"Advice: {a}" for a in self.advice)
        lines.append(f"Evidence: {self.evidence}.")
        return "\n".join(lines)

    def explain(self) -> str:
        """The derivation step by step."""
        return "\n".join(f"{k}. {s}" for k, s in enumerate(self.steps, 1))

    def plot(self, name: str | None = None) -> Any:
        """A matplotlib figure of the verdict."""
        return views.as_figure(self, name)

    def _repr_html_(self) -> str:
        return views.as_html(self)

    def _repr_latex_(self) -> str:
        formulas = [v.optimal_factor.latex for v in self.locals.values() if v.optimal_factor]
        body = r" \\ ".join(formulas)
        return rf"$\displaystyle {body}$" if formulas else ""


def _witness_text(witness: Witness) -> str:
    first, second = witness.positions
    where = "in two data sets" if witness.other_data is not None else "of one data set"
    values = " and ".join(_shown(plain(v)) for v in witness.optima)
    return (
        f"positions {first} and {second} {where} agree in {', '.join(witness.inputs)}, "
        f"but their optima are {values}. {witness.how}"
    )


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
