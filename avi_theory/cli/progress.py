"""What is going on, on stderr; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, float, float], None]
RUNS = {"fvi": "F-VI", "avi": "A-VI"}


@contextmanager
def working(what: str) -> Iterator[Progress | None]:
    """Show a spinner while the block runs, if stderr is a terminal.

    Yields:
        What to call with (run, iteration, ELBO, gradient norm); None where nobody watches.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(file=sys.stderr).status(what) as status:

        def report(run: str, iteration: int, elbo: float, gradient: float) -> None:
            where = f"{RUNS.get(run, run)}, iteration {iteration}"
            status.update(f"{what}: {where}, ELBO {elbo:.6f}, gradient {gradient:.1e}")

        yield report
