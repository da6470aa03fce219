"""From the words of the command line to a model with its values set."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from avi_theory.errors import InputError, nearest

if TYPE_CHECKING:
    from avi_theory.spec.model import Model


def declared(name: str, sets: Sequence[str] | None, sizes: Sequence[str] | None) -> Model:
    """The model of this name or path, with ``--set`` and ``--size`` applied.

    Raises:
        InputError: no such model, or a value that cannot be used.
        ModelError: the file cannot be read as a model.
    """
    from avi_theory.gallery import load

    model = load(name)
    values = {k: _value(k, v) for k, v in pairs("--set", sets)}
    for size, text in pairs("--size", sizes):
        if size not in model.sizes:
            known = ", ".join(model.sizes) or "none"
            hint = nearest(size, model.sizes) or f"Its sizes: {known}."
            raise InputError(f"--size {size}={text}: {model.name} has no size {size!r}. {hint}")
        values[size] = _size(size, text)
    return model.with_values(**values) if values else model


def pairs(
    option: str, words: Sequence[str] | None, example: str = "N=100", *, joint: bool = False
) -> list[tuple[str, str]]:
    """``NAME=VALUE`` taken apart, each name once; a joint one may name several, ``a,b=VALUE``.

    Example:
        >>> pairs("--set", ["tau=2", "A=[[1, 0], [0, 1]]"])
        [('tau', '2'), ('A', '[[1, 0], [0, 1]]')]
    """
    found: dict[str, str] = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        name, value = name.strip(), value.strip()
        parts = name.split(",") if joint else [name]
        if not sign or not all(n.strip().isidentifier() for n in parts) or not value:
            raise InputError(f"{option} {word}: expected NAME=VALUE, as in {option} {example}.")
        if name in found:
            raise InputError(f"{option} names {name} twice. Give it once.")
        found[name] = value
    return list(found.items())


def _size(name: str, text: str) -> int:
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise InputError(
            f"--size {name}={text}: a size is a whole number from 1. Try --size {name}=100."
        )
    return size


def _value(name: str, text: str) -> Any:
    """A number or an array literal; a fraction such as 1/3 as well."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        top, sign, bottom = text.partition("/")
        try:
            value = float(top) / float(bottom) if sign else float(text)
        except (ValueError, ZeroDivisionError):
            value = None
    if not isinstance(value, int | float | list | tuple) or isinstance(value, bool):
        raise InputError(
            f"--set {name}={text}: expected a number or an array, "
            f"as in --set {name}=0.5 or --set {name}=[1, 2]."
        )
    return value
