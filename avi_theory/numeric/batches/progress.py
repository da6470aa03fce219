"""What goes on inside one pass over the data, for runs whose iterations take minutes."""

from __future__ import annotations

from collections.abc import Callable

Telling = Callable[[str, int, int, int, float], None]
"""Called with (run, pass, batches done, batches, ELBO added up so far in nats)."""


def telling(progress: Callable[[str, int, float, float], None] | None) -> Telling:
    """Batches done, as the progress of the runs: the ELBO scaled up to all batches."""
    if progress is None:
        return lambda *_: None

    def tell(run: str, iteration: int, done: int, batches: int, elbo: float) -> None:
        progress(f"{run}, batch {done} of {batches}", iteration, elbo * batches / done, 0.0)

    return tell
