"""Many random models against the analysis: drawn by seed, counted by structure and verdict."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .compare import Decide, Outcome, compared
from .discrete import discrete_text
from .gaussian import gaussian_text
from .mixed import mixed_text
from .odd import odd_text
from .wide import wide_text

MAKERS = (gaussian_text,) * 4 + (odd_text,) * 2 + (discrete_text,) * 2 + (mixed_text,) * 2
"""Six in ten models are Gaussian, two in ten discrete, two in ten mixed."""

WIDE = 3
"""After every so many turns of the makers a turn goes to texts of wider reach."""


def drawn(seed: int) -> tuple[str, str]:
    """The structure and the text of one seed."""
    turn, place = divmod(seed, len(MAKERS))
    make = wide_text if turn % WIDE == WIDE - 1 else MAKERS[place]
    structure, text = make(random.Random(seed))
    kind = make.__name__.partition("_")[0]
    return structure if structure.startswith(kind) else f"{kind} {structure}", text


@dataclass
class Tally:
    """What came of many comparisons.

    Attributes:
        counts: locals by structure and the oracle's verdict.
        models: how many were compared.
        families: models by the generator that wrote them.
        made: comparisons by kind.
        unknown: how many the analysis could not decide.
        solved: locals whose optimum was computed; `coincidences`: those ignoring an input.
        troubles: the disagreements with their seeds.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    models: int = 0
    families: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    solved: int = 0
    coincidences: int = 0
    troubles: list[tuple[int, Outcome]] = field(default_factory=list)

    def __str__(self) -> str:
        structures = sorted({s for s, _ in self.counts})
        verdicts = ("own", "inputs", "component", "no")
        rows = [f"{'structure':18}" + "".join(f"{v:>11}" for v in verdicts)]
        for s in [*structures, "all"]:
            row = [
                sum(n for (t, v), n in self.counts.items() if v == w and s in (t, "all"))
                for w in verdicts
            ]
            rows.append(f"{s:18}" + "".join(f"{n:>11}" for n in row))
        rows.append("models: " + _listed(self.families))
        rows.append("comparisons: " + _listed(self.made))
        rows.append(
            f"{self.models} models, {len(self.troubles)} disagreements, {self.unknown} undecided; "
            f"{self.solved} optima computed, {self.coincidences} of them ignore an input by "
            "coincidence of the given numbers"
        )
        return "\n".join(rows)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())


def campaign(seeds: Iterable[int], decide: Decide, stop: int = 10) -> Tally:
    """Compare the models of some seeds; give up after `stop` disagreements.

    Args:
        seeds: one model each.
        decide: `check`, from a text.
        stop: how many disagreements are enough.
    """
    tally = Tally()
    for seed in seeds:
        structure, text = drawn(seed)
        outcome = compared(text, decide)
        tally.models += 1
        tally.families[structure.partition(" ")[0]] += 1
        tally.made += outcome.made
        tally.unknown += outcome.unknown
        tally.solved += outcome.solved
        tally.coincidences += outcome.coincidences
        tally.counts.update((structure, closes) for closes in outcome.closes.values())
        if outcome.trouble:
            tally.troubles.append((seed, outcome))
            if len(tally.troubles) >= stop:
                break
    return tally
