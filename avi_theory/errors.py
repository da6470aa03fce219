"""Everything that `avi_theory` raises on purpose.

A message has three sentences: what is wrong, where, and what to do next.  Bad input raises;
mathematics and numerics return values (a status, a kind, an outcome) instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class AviError(Exception):
    """Base of all errors that a user can mend.  The command line turns it into exit code 2."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a model text: where it stands, what is wrong, what would work."""

    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"line {self.line}, column {self.column}: {self.message}{hint}"


class ModelError(AviError):
    """A model text that cannot be read: carries every `Problem` of it at once."""

    def __init__(self, problems: Iterable[Problem], source: str = "model") -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        self.source = source
        count = len(self.problems)
        head = f"{source}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {p}" for p in self.problems)]))


class InputError(AviError):
    """An argument that cannot be used: an unknown name, an impossible option, a bad value."""


class DataError(AviError):
    """Data that do not fit the model: a missing column, NaN, a wrong length or type."""


class DeviceError(AviError):
    """A device that this machine does not have."""


class ResourceError(AviError):
    """A run for which this machine has not enough memory."""


def nearest(name: str, valid: Iterable[str], *, what: str = "Did you mean") -> str:
    """A hint with the valid names nearest to `name`, or an empty string.

    Example:
        >>> nearest("Norml", ["Normal", "Gamma"])
        "Did you mean 'Normal'?"
    """
    close = get_close_matches(name, list(valid), n=3, cutoff=0.5)
    if not close:
        return ""
    listed = " or ".join(repr(c) for c in close)
    return f"{what} {listed}?"
