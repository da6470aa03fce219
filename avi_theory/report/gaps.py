"""Gaps of a VAE: rungs with their spread, then what was flagged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Column, Prose, Table, Text, prose
from avi_theory.report.numbers import UNKNOWN, plural, short

if TYPE_CHECKING:
    from avi_theory.results.gaps import Gaps, Level, Sandwich

NAMES = {
    "elbo": "L[q]",
    "elbo_optimum": "L[q*], diagonal",
    "elbo_flow": "L[q*], flow",
    "log_evidence": "log p(x)",
    "amortization_gap": "amortization gap",
    "approximation_gap": "approximation gap",
    "flow_gain": "closed by the flow",
}
WRONG = {
    "optimum_below_encoder": "L[q] above L[q*] beyond noise (the optimiser failed)",
    "evidence_below_optimum": "log p(x) below L[q*] beyond noise (the estimator failed)",
    "not_a_number": "NaN or infinite, left out of the means",
}


def blocks(result: Gaps) -> list[Block]:
    """The whole result."""
    shown: list[Block] = [
        prose(
            f"{plural(len(result), 'image')}, codes of {plural(result.latents, 'coordinate')}, "
            f"{result.provenance['likelihood']} pixels; all values in nats per image",
            title="gaps",
        ),
        _table(result),
        prose(f"log p(x): {result.methods['log_evidence']}; seed {result.provenance['seed']}"),
        _faults(result),
    ]
    if result.generalization is not None and result.training is not None:
        value, error = result.generalization
        count = plural(len(result.training), "training image")
        shown.append(prose(f"generalization gap against {count}: {value:.3f} ± {error:.2g}"))
    return shown + (sandwich(result.sandwich) if result.sandwich is not None else [])


def sandwich(result: Sandwich) -> list[Block]:
    """Both bounds and their distance."""
    return [
        prose(
            f"annealing on {plural(result.images, 'simulated image')}, {result.temperatures} "
            f"distributions, {plural(result.chains, 'chain')}: {result.lower:.3f} ≤ mean log p(x) "
            f"≤ {result.upper:.3f}, width {result.width:.3f} ± {result.standard_error:.2g}"
        )
    ]


def _table(result: Gaps) -> Table:
    heads = ("mean", "± between images", "median", "trimmed mean", "± of sampling", "images")
    columns = (Column("rung"), *(Column(h, number=True) for h in heads))
    rows = []
    for name, one in result.summary().items():
        column = result.per_image.get(f"{name}_standard_error")
        rows.append((NAMES[name], *_numbers(one), _typical(column), str(one.images)))
    return Table(columns, tuple(rows))


def _numbers(one: Level) -> tuple[str, ...]:
    values = (one.mean, None, one.median, one.trimmed_mean)
    return tuple(short(one.standard_error) if v is None else f"{v:.3f}" for v in values)


def _typical(column: object) -> str:
    """The median standard error of an image."""
    import numpy as np

    return UNKNOWN if column is None else short(float(np.nanmedian(np.asarray(column, float))))


def _faults(result: Gaps) -> Prose:
    lines = [
        Text(f"{plural(count, 'image')}: {WRONG[name]}", "bad")
        for name, count in result.flags.items()
        if count
    ]
    if result.unconverged:
        lines.append(Text(f"{plural(result.unconverged, 'image')}: q* without certificate", "warn"))
    return prose(*(lines or [Text("no image is flagged", "good")]))
