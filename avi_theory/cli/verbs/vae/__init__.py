"""The verbs of `avi vae`, one file each; a new one is a new file and a line in `LABORATORY`."""

from __future__ import annotations

from collections.abc import Callable

from avi_theory.cli.answer import Answer
from avi_theory.cli.verbs.vae.compare import compare
from avi_theory.cli.verbs.vae.gaps import gaps
from avi_theory.cli.verbs.vae.train import train

LABORATORY: tuple[tuple[str, Callable[..., Answer]], ...] = (
    ("train", train),
    ("gaps", gaps),
    ("compare", compare),
)
