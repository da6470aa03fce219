"""What every result shares: frozen, plain, JSON-able, printable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinities become None, arrays and tuples lists.

    Example:
        >>> plain({"a": (1, float("nan"))})
        {'a': [1, None]}
    """
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


@dataclass(frozen=True)
class Result:
    """Base of all answers. `to_dict` is the JSON of the contract; private fields stay out of it."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers, strings, lists and dictionaries."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.repr}

    def to_json(self) -> str:
        """The result as one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False)
