"""The command line `avi`.  Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `avi`; returns the exit code: 0 answered, 2 bad input, 3 theory contradicted."""
    from avi_theory.cli.run import run

    return run(arguments)
