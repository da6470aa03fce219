"""A trained VAE: how good, how large, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Column, Table, Text, prose
from avi_theory.report.numbers import UNKNOWN

if TYPE_CHECKING:
    from avi_theory.results.training import Training


def blocks(result: Training) -> list[Block]:
    """Bounds by split, then what it took."""
    tone = "bad" if result.status == "diverged" else "plain"
    p, d = result.parameters, result.data
    head = prose(
        (
            Text(result.status, tone),  # type: ignore[arg-type]
            f" after {result.epochs} epochs in {result.seconds:.1f} s; "
            f"encoder {p['encoder']:,} parameters, decoder {p['decoder']:,}",
        ),
        title=result.name,
    )
    rows = tuple(
        (
            split,
            f"{s['images']:,}",
            f"{s['elbo']:.3f} ± {s['standard_error']:.2g}",
            UNKNOWN if s["plug_in"] is None else f"{s['plug_in']:.3f}",
            UNKNOWN if s["active"] is None else f"{s['active']} of {result.latents}",
        )
        for split, s in result.scores.items()
    )
    columns = (
        Column("split"),
        Column("images", True),
        Column("sampled ELBO", True),
        Column("plug-in (no bound)", True),
        Column("active", True),
    )
    foot = prose(
        f"nats per image; {d['source']}; binarization: {d['binarization']}; "
        f"seed {result.provenance['seed']}, {result.provenance['device']}"
    )
    return [head, Table(columns, rows), foot]
