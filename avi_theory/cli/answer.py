"""What a verb hands back: the result, how to show it, and the exit code."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avi_theory.results.base import Result
    from avi_theory.results.report import Step


@dataclass(frozen=True)
class Answer:
    """The only thing that reaches stdout.

    Attributes:
        result: what was found.
        as_json: as one JSON object instead of a screen.
        code: the exit code.
        steps: a derivation to add.
    """

    result: Result
    as_json: bool = False
    code: int = 0
    steps: tuple[Step, ...] = ()

    def show(self) -> None:
        """Write it to stdout."""
        if self.as_json:
            sys.stdout.write(self._json() + "\n")
        else:
            from rich.console import Console

            from avi_theory.report import screen

            console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=100)
            console.print(screen(self.result, self.steps))
        sys.stdout.flush()

    def _json(self) -> str:
        found = self.result.to_dict()
        if self.steps:
            found["steps"] = [step.to_dict() for step in self.steps]
        utf8 = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
        return json.dumps(found, ensure_ascii=not utf8, allow_nan=False)
