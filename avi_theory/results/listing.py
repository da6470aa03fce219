"""What the gallery holds, and what choices of inputs cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from avi_theory.results.base import Result
from avi_theory.results.comparison import Kind
from avi_theory.results.shown import Shown


@dataclass(frozen=True)
class Entry(Result):
    """A model of the gallery: its name, its title and the verdict that it declares."""

    name: str
    title: str
    closes: str


@dataclass(frozen=True)
class Listing(Shown):
    """The gallery."""

    models: tuple[Entry, ...]


@dataclass(frozen=True)
class Choice(Result):
    """A set of inputs and the predicted amortization gap per latent, in nats.

    Attributes:
        inputs: what the function sees.
        gap_per_latent: nats; None for kind none.
        kind: exact, upper, lower or none.
        assumptions: what the number rests on, or why there is none; not in the JSON.
        standard_error: of `gap_per_latent` where it is estimated, nats; not in the JSON.
    """

    inputs: tuple[str, ...]
    gap_per_latent: float | None
    kind: Kind
    assumptions: tuple[str, ...] = field(default=(), repr=False)
    standard_error: float | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Choices(Shown):
    """What `smallest_inputs` answers.

    Attributes:
        choices: from the fewest inputs to the most.
        smallest: the first whose gap is known to stay within the tolerance, or None.
        model, tolerance: what was asked; not in the JSON.
    """

    choices: tuple[Choice, ...]
    smallest: Choice | None
    model: str = field(default="model", repr=False)
    tolerance: float = field(default=0.0, repr=False)
