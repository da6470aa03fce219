"""The main job on six models: verdict, predicted gap, measured gap, and whether the two agree.

``make demo`` runs this module.  It uses the public interface alone: it can be read as an example.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from avi_theory import check, compare, load


@dataclass(frozen=True)
class Case:
    """One line of the table: a model of the gallery and how its latents are amortized.

    Attributes:
        model: the gallery's name.
        options: passed on to `compare`; nothing means the verdict's inputs and function class.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = (
    Case("eight_schools"),
    Case("eight_schools", {"inputs": ["y[n]"], "function": "affine"}),
    Case("linear"),
    Case("linear", {"function": "constant"}),
    Case("saw"),
    Case("saw", {"inputs": ["x[n]"], "function": "affine"}),
    Case("local_level", {"window": 1, "function": "affine"}),
    Case("random_walk", {"window": 1, "function": "affine"}),
    Case("hmm", {"window": 0, "function": "table"}),
)
"""Where a lossless function exists, the second line of a model shows what a poorer one costs."""

COLUMNS = (
    ("model", "left"),
    ("closes", "left"),
    ("q(z) sees", "left"),
    ("function", "left"),
    ("predicted", "right"),
    ("measured", "right"),
    ("outcome", "left"),
)


FILE_WIDTH = 110
"""Characters per line where the table does not go to a terminal."""


def number(value: float | None, digits: int = 4) -> str:
    """A number as the table shows it: fixed digits, a dash for what is unknown.

    Example:
        >>> number(-0.0), number(339.61987), number(None)
        ('0.0000', '339.6199', '–')
    """
    if value is None:
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}"


def predicted(amortization: Mapping[str, Any]) -> str:
    """The predicted gap with its kind: bare if exact, else as the bound it is."""
    sign = {"upper": "≤ ", "lower": "≥ "}.get(amortization["kind"], "")
    return sign + number(amortization["predicted"])


def measured(amortization: Mapping[str, Any]) -> str:
    """The measured gap, with its standard error where there is one."""
    error = amortization["standard_error"]
    return number(amortization["measured"]) + (f" ± {number(error)}" if error else "")


def row(closes: str, answer: Mapping[str, Any]) -> tuple[str, ...]:
    """One line of the table, from the JSON form of a comparison."""
    avi, gap = answer["avi"], answer["amortization"]
    return (
        answer["model"],
        closes,
        ", ".join(avi["inputs"]) or "nothing",
        str(avi["function"]),
        predicted(gap),
        measured(gap),
        gap["outcome"],
    )


def main() -> int:
    """Print the table; 3 if a measurement contradicts the theory, else 0."""
    out, progress = Console(), Console(stderr=True)
    if not out.is_terminal:
        out = Console(width=FILE_WIDTH)
    table = Table(
        title="The amortization gap, ELBO(F-VI) - ELBO(A-VI), in nats",
        box=box.SIMPLE_HEAD,
        caption="F-VI: every latent its own factor.  A-VI: one function of the inputs shown.",
    )
    for heading, side in COLUMNS:
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    outcomes = []
    start = time.perf_counter()
    for case in CASES:
        with progress.status(f"{case.model} {dict(case.options) or ''}"):
            model = load(case.model)
            closes = check(model).to_dict()["closes"]
            answer = compare(model, **case.options).to_dict()
        table.add_row(*(escape(cell) for cell in row(closes, answer)))
        outcomes.append(answer["amortization"]["outcome"])
    out.print(table)
    out.print(f"{len(CASES)} comparisons in {time.perf_counter() - start:.0f} s")
    return 3 if "contradicts" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
