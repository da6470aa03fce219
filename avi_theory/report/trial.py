"""A comparison of encoders as a reader wants it: what each costs and reaches, and paired tests."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from avi_theory.report.blocks import Block, Column, Table, Text, Tone, prose
from avi_theory.report.numbers import UNKNOWN, plural
from avi_theory.results.trial import QUANTITIES

if TYPE_CHECKING:
    from avi_theory.results.trial import Arm, Contrast, Trial

LEVEL = 0.05
BETTER = {"elbo": 1, "gap": -1, "divergence": -1}


def blocks(found: Trial) -> list[Block]:
    """The whole comparison."""
    seeds = len(found.provenance["seeds"])
    names = list(found.arms[0].values)
    head = prose(
        f"{plural(len(found.arms), 'encoder')}, {plural(seeds, 'seed')} each, on "
        f"{found.data['name']}",
        title=f"{found.name}: encoders compared",
    )
    columns = (
        Column("encoder"), Column("parameters", True), Column("FLOPs", True),
        *(Column(name, True) for name in names),
    )  # fmt: skip
    rows = tuple(
        (a.name, f"{a.parameters:,}", f"{a.flops:,}", *(_spread(a, name) for name in names))
        for a in found.arms
    )
    shown: list[Block] = [head, Table(columns, rows, title="Median over seeds, least to most")]
    shown.append(prose(*(f"{name}: {QUANTITIES[name]}" for name in names)))
    if found.contrasts:
        shown.append(_tests(found.contrasts))
    return [*shown, _setup(found)]


def _setup(found: Trial) -> Table:
    """What a reader needs to run it again."""
    training = found.settings.get("training", {})
    asked = {k: training[k] for k in ("epochs", "batch", "rate", "schedule") if k in training}
    rows = {
        "images": f"{found.data['train']} to train, {found.data.get('test', UNKNOWN)} to test",
        "binarized": str(found.data["binarization"]),
        "training": ", ".join(f"{k} {v}" for k, v in asked.items()) or UNKNOWN,
        **{k: _told(v) for k, v in found.provenance.items() if k != "seeds"},
    }
    return Table((Column(""), Column("")), tuple(rows.items()), title="How it was run")


def _spread(arm: Arm, name: str) -> str:
    values = arm.values[name]
    middle = statistics.median(values)
    return f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})"


def _tests(contrasts: tuple[Contrast, ...]) -> Table:
    columns = (
        Column("encoder − control"), Column(""), Column("difference", True), Column("d", True),
        Column("p (t)", True), Column("p (W)", True), Column(""),
    )  # fmt: skip
    rows = tuple(
        (
            f"{c.arm} − {c.against}",
            c.quantity,
            f"{c.difference:+.4f} ± {c.standard_error:.2g}",
            UNKNOWN if c.effect is None else f"{c.effect:+.2f}",
            _chance(c.t),
            _chance(c.wilcoxon),
            verdict(c),
        )
        for c in contrasts
    )
    return Table(columns, rows, title="Paired over seeds (d: Cohen's, W: Wilcoxon)")


def verdict(c: Contrast) -> Text:
    """Better, worse or open, at five per cent by both tests."""
    tests = (c.t, c.wilcoxon)
    if any(p is None or p >= LEVEL for p in tests):
        return Text("open", "dim")
    tone: Tone = "good" if c.difference * BETTER[c.quantity] > 0 else "bad"
    return Text("better" if tone == "good" else "worse", tone)


def _chance(p: float | None) -> str:
    return UNKNOWN if p is None else f"{p:.2g}"


def _told(value: object) -> str:
    return (
        ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
    )
