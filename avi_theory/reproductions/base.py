"""What every reproduction shares: its name, how it is run, where its numbers come from."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from avi_theory.results.reproduction import Finding, Line, Panel, Reproduction

MB = (
    "Margossian & Blei, Amortized variational inference: when and why? (UAI 2024), arXiv:2307.11018"
)
SELDOM = 10.0
"""Seconds between two details of one step."""


class Progress:
    """What an experiment speaks to while it runs.

    Args:
        tell: called with words.
        checkpoint: a folder that keeps the state of trainings, so that an interrupted run goes on.
    """

    def __init__(self, tell: Callable[[str], None], checkpoint: Path | None = None) -> None:
        self.tell, self.checkpoint = tell, checkpoint
        self.spoke = time.monotonic()

    def __call__(self, words: str) -> None:
        """Tell which step begins."""
        self.spoke = time.monotonic()
        self.tell(words)

    def detail(self, words: str) -> None:
        """Tell how far a step is, unless something was told just now."""
        if time.monotonic() - self.spoke >= SELDOM:
            self(words)

    def kept(self, words: str) -> Path | None:
        """The folder of one training, named by its words."""
        if self.checkpoint is None:
            return None
        return self.checkpoint / "-".join(re.findall(r"\w+", words.lower()))


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

    def run(
        self,
        scale: str,
        seed: int,
        tell: Callable[[str], None],
        checkpoint: Path | None = None,
    ) -> Reproduction:
        """Run it, and note where and how long.

        Args:
            scale: small or full.
            seed: of everything drawn.
            tell: called with what is going on.
            checkpoint: a folder; trainings that it holds are gone on with, or taken as they are.
        """
        begin = time.perf_counter()
        kept = checkpoint and checkpoint / f"{self.name}-{scale}-{seed}"
        found = self.work(scale, seed, Progress(tell, kept))
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
