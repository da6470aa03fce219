"""The classes of inference functions that predictions know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from avi_theory.errors import InputError, nearest

FUNCTIONS = ("any", "constant", "affine", "polynomial:D")
HIGHEST_DEGREE = 20


@dataclass(frozen=True)
class FunctionClass:
    """A class of inference functions: all, or polynomials of total degree at most `degree`.

    Attributes:
        text: as the contract writes it.
        degree: of the mean; None for all functions.  The scale is a shared constant then.
    """

    text: str
    degree: int | None

    @classmethod
    def parse(cls, text: str) -> FunctionClass:
        """Read ``any``, ``constant``, ``affine`` or ``polynomial:D``.

        Raises:
            InputError: anything else; names the nearest.

        Example:
            >>> FunctionClass.parse("polynomial:3").degree
            3
        """
        plain = str(text).strip().lower()
        simple: dict[str, int | None] = {"any": None, "constant": 0, "affine": 1}
        if plain in simple:
            return cls(plain, simple[plain])
        match = re.fullmatch(r"polynomial:(\d+)", plain)
        if match and int(match[1]) <= HIGHEST_DEGREE:
            return cls(plain, int(match[1]))
        if plain.startswith("polynomial"):
            raise InputError(
                f"The function {text!r} needs its degree, from 0 to {HIGHEST_DEGREE}. "
                "Write for example polynomial:3."
            )
        raise unknown("function", text, FUNCTIONS)


def unknown(what: str, found: object, legal: Sequence[str]) -> InputError:
    """The error for an option outside its legal values, with the nearest."""
    hint = nearest(str(found), legal)
    listed = ", ".join(legal)
    return InputError(
        f"The {what} {str(found)!r} is not known to predict. {hint} It is one of {listed}."
    )
