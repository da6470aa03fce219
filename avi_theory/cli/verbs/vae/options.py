"""The options that verbs of the laboratory share."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from avi_theory.errors import InputError

DataFolder = Annotated[
    Path | None,
    Option("--data-folder", metavar="DIR", help="Where image files lie. Default: $AVI_DATA."),
]
Download = Annotated[
    bool, Option("--download", help="Fetch official image files that are not there.")
]
Entries = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="An entry of the configuration, as training.epochs=50. Repeatable.",
    ),
]


def entries(words: Sequence[str] | None) -> dict[str, Any]:
    """``SECTION.KEY=VALUE`` taken apart, values as TOML writes them; quotes may be left out.

    Raises:
        InputError: not of this form, or given twice.

    Example:
        >>> entries(["training.epochs=50", "encoder.adapt=film", "encoder.hidden=[8, 8]"])
        {'training.epochs': 50, 'encoder.adapt': 'film', 'encoder.hidden': [8, 8]}
    """
    found: dict[str, Any] = {}
    for word in words or ():
        name, sign, text = (part.strip() for part in word.partition("="))
        if not sign or not text or name.count(".") != 1:
            raise InputError(
                f"--set {word}: expected SECTION.KEY=VALUE, as in --set training.epochs=50."
            )
        if name in found:
            raise InputError(f"--set names {name} twice. Give it once.")
        try:
            found[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = text
    return found
