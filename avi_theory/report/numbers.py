"""Numbers as a reader wants them: six digits, errors beside, a dash for the unknown."""

from __future__ import annotations

from typing import Any

from avi_theory.results.words import by_position

UNKNOWN = "–"
BOUNDS = {"upper": "≤ ", "lower": "≥ "}


def nats(value: float | None, error: float | None = None, kind: str = "exact") -> str:
    """A value in nats with its standard error and, for a bound, its sign.

    Example:
        >>> nats(0.0366053), nats(-1e-13), nats(2.0, 0.01), nats(0.5, kind="upper"), nats(None)
        ('0.036605', '0', '2.000000 ± 0.01', '≤ 0.500000', '–')
    """
    if value is None:
        return UNKNOWN
    sign = BOUNDS.get(kind, "")
    if abs(value) < 1e-9:
        text = "0"
    elif abs(value) < 1e-4:
        text = f"{value:.2e}"
    else:
        text = f"{value:.6f}"
    return sign + text + (f" ± {error:.2g}" if error else "")


def short(value: Any) -> str:
    """A diagnostic number: two digits are enough.

    Example:
        >>> short(1.234e-9), short(12), short(None), short(0.5)
        ('1.2e-09', '12', '–', '0.5')
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:.2g}"
    return str(value)


def listed(names: Any, empty: str = "nothing") -> str:
    """Names in a row, inputs as they lie along their index.

    Example:
        >>> listed(["x[t+1]", "x[t-1]", "x[t]"]), listed([])
        ('x[t-1], x[t], x[t+1]', 'nothing')
    """
    return ", ".join(by_position(str(n) for n in names)) if names else empty


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun.

    Example:
        >>> plural(1, "latent"), plural(60, "latent")
        ('1 latent', '60 latents')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
