"""Out of memory, said as an error that names a way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from avi_theory.errors import ResourceError

CPU_WORDS = ("can't allocate memory", "not enough memory", "unable to allocate")
"""What PyTorch's CPU allocator says in a plain RuntimeError."""


@contextmanager
def within_memory(
    name: str, units: int, *, unit: str = "", batch: int | None = None
) -> Iterator[None]:
    """Turn any allocator's failure inside the block into advice.

    Args:
        name: of the model.
        units: how many of its index points (or units) are held at once.
        unit: the letter along which the model splits into units; "" where it does not.
        batch: units at a time, where they are taken in batches already.

    Raises:
        ResourceError: the block ran out of memory.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as e:
        raise ResourceError(_advice(name, units, unit, batch)) from e
    except RuntimeError as e:
        if not any(words in str(e).lower() for words in CPU_WORDS):
            raise
        raise ResourceError(_advice(name, units, unit, batch)) from e


def suggested(units: int) -> int:
    """A batch of a tenth of the units or fewer: 1, 2 or 5 times a power of ten.

    Example:
        >>> [suggested(n) for n in (3, 40, 700_000, 10**6)]
        [1, 2, 50000, 100000]
    """
    most, found = max(units // 10, 1), 1
    for exponent in range(len(str(most))):
        for lead in (1, 2, 5):
            if lead * 10**exponent <= most:
                found = lead * 10**exponent
    return found


def _advice(name: str, units: int, unit: str, batch: int | None) -> str:
    if not unit:
        return (
            f"There is not enough memory to measure {name} on {units:,} latents at once, and it "
            "does not split into units that could be taken in batches. Use a smaller size or a "
            "narrower function, or dtype='float32'."
        )
    if batch is None:
        size = suggested(units)
        return (
            f"There is not enough memory to measure {name} on {units:,} units [{unit}] at once. "
            f"Take them in batches: batch={size} (--batch {size})."
        )
    size = suggested(batch * 5)
    return (
        f"There is not enough memory to measure {name} on batches of {batch:,} units [{unit}]. "
        f"Use smaller ones: batch={size} (--batch {size})."
    )
