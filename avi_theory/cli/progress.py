"""What is going on, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from avi_theory.cli.interruption import heed

Progress = Callable[[str, int, float, float], None]
QUIET = 10.0
"""Seconds between two lines where nobody watches a terminal."""
RUNS = {"fvi": "F-VI", "avi": "A-VI"}


@contextmanager
def speaking(what: str, quiet: float | None = None) -> Iterator[Callable[[str], None]]:
    """Show what is going on while the block runs: a spinner on a terminal, else a line at times.

    Where stderr is no terminal nothing is written in the first `QUIET` seconds, and a line every
    `QUIET` seconds afterwards, so that short work leaves no trace in a log and long work does.

    Args:
        what: goes before the words.
        quiet: seconds instead of `QUIET`; 0 writes every line.

    Yields:
        What to call with words.
    """
    if not sys.stderr.isatty():
        spoke = time.monotonic()

        def tell(words: str) -> None:
            nonlocal spoke
            heed()
            if time.monotonic() - spoke >= (QUIET if quiet is None else quiet):
                spoke = time.monotonic()
                sys.stderr.write(f"avi: {what}: {words}\n")
                sys.stderr.flush()

        yield tell
        return
    from rich.console import Console

    with Console(file=sys.stderr).status(what) as status:

        def show(words: str) -> None:
            heed()
            status.update(f"{what}: {words}")

        yield show


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """`speaking` for runs of a solver.

    Yields:
        What to call with (run, iteration, ELBO, gradient norm).
    """
    with speaking(what) as say:
        yield lambda run, iteration, elbo, norm: say(_state(run, iteration, elbo, norm))


def _state(run: str, iteration: int, elbo: float, gradient: float) -> str:
    where = f"{RUNS.get(run, run)}, iteration {iteration}"
    if elbo != elbo:  # told without numbers
        return where
    return f"{where}, ELBO {elbo:.6f}, gradient {gradient:.1e}"


@contextmanager
def resumable(folder: Path | None) -> Iterator[None]:
    """Say where the state is if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is not None:
            sys.stderr.write(f"\navi: the state is in {folder}; the same command goes on from it.")
        raise
