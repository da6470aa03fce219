"""What every reproduction shares: its name, how it is run, where its numbers come from."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from avi_theory.results.reproduction import Finding, Line, Panel, Reproduction

MB = (
    "Margossian & Blei, Amortized variational inference: when and why? (UAI 2024), arXiv:2307.11018"
)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What an experiment returns; the rest of a `Reproduction` is the same for all."""

    lines: tuple[Line, ...]
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One experiment of one paper.

    Attributes:
        name: as the command line knows it.
        title: a line.
        about: what the paper did, and what is done here.
        paper: its citation.
        work: runs it at a scale with a seed and reports progress.
    """

    name: str
    title: str
    about: str
    paper: str
    work: Callable[[str, int, Progress], Found]

    def run(self, scale: str, seed: int, progress: Progress) -> Reproduction:
        """Run it, and note where and how long."""
        begin = time.perf_counter()
        found = self.work(scale, seed, progress)
        return Reproduction(
            self.name,
            self.title,
            self.about,
            self.paper,
            scale,
            found.lines,
            found.panels,
            found.notes,
            _provenance(self.name, scale, seed, time.perf_counter() - begin),
        )


def judged(
    quantity: str,
    published: float,
    source: str,
    ours: float,
    error: float | None,
    within: float,
    why: str = "",
) -> Line:
    """A number that is the same if it lies within so much of the published one."""
    finding: Finding = "same" if abs(ours - published) <= within else "different"
    return Line(quantity, f"{published:g}", source, ours, error, finding, why)


def _provenance(name: str, scale: str, seed: int, seconds: float) -> dict[str, Any]:
    return {
        "command": f"avi reproduce {name} --scale {scale} --seed {seed}",
        "seconds": round(seconds, 1),
        "hardware": hardware(),
        "versions": ", ".join(
            [f"Python {platform.python_version()}"]
            + [f"{p} {version(p)}" for p in ("avi-theory", "numpy", "scipy", "sympy", "torch")]
        ),
    }


def hardware() -> str:
    """The processor and the number of cores; the accelerator where torch has found one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} cores"
