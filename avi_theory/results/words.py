"""Words that results share."""

from __future__ import annotations

import re
from collections.abc import Iterable


def by_position(inputs: Iterable[str]) -> list[str]:
    """Inputs as they lie along their index, for readers (the JSON sorts them as text).

    Example:
        >>> by_position(["s[t]", "x[t+1]", "x[t-10]", "x[t-2]", "x[t]"])
        ['s[t]', 'x[t-10]', 'x[t-2]', 'x[t]', 'x[t+1]']
    """

    def place(name: str) -> tuple[str, int, str]:
        found = re.fullmatch(r"(\w+)\[(?:.*,)?\w+?([+-]\d+)?\]", name)
        return (found[1], int(found[2] or 0), name) if found else (name, 0, name)

    return sorted(inputs, key=place)
