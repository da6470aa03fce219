"""A comparison as a reader wants it: the verdict, the two runs, the ladder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from avi_theory.report.blocks import Block, Column, Table, Text, Tone, prose
from avi_theory.report.numbers import listed, nats, short

if TYPE_CHECKING:
    from avi_theory.results.comparison import Comparison

OUTCOMES: Mapping[str, tuple[Tone, str]] = {
    "agrees": ("good", "theory and measurement agree"),
    "bound_respected": ("good", "the measured gap respects the predicted bound"),
    "contradicts": ("bad", "the numbers contradict the theory"),
    "inconclusive": ("warn", "the runs do not decide"),
}

LADDER = (
    ("approximation", "what the factorized family costs"),
    ("conditioning", "what the inputs cannot tell"),
    ("capacity", "what the function class cannot express"),
    ("training", "what the optimiser left"),
)


def blocks(result: Comparison) -> list[Block]:
    """The whole comparison."""
    found = result.to_dict()
    return [verdict(found), runs(found), ladder(found), provenance(found)]


def verdict(found: Mapping[str, Any]) -> Block:
    """One line that answers the question."""
    gap = found["amortization"]
    tone, words = OUTCOMES[gap["outcome"]]
    theory = nats(gap["predicted"], kind=gap["kind"])
    return prose(
        (Text(gap["outcome"], tone), f": {words}"),
        (
            "amortization gap: measured ",
            Text(nats(gap["measured"], gap["standard_error"]), "strong"),
            ", predicted ",
            Text(theory, "strong"),
            f" ({gap['kind']}), in nats",
        ),
        title=found["model"],
    )


def runs(found: Mapping[str, Any]) -> Table:
    """The two fits side by side (also the heart of a measurement)."""
    columns = (
        Column(""),
        Column("ELBO", True),
        Column("status"),
        Column("gradient", True),
        Column("iterations", True),
        Column("seconds", True),
        Column("q(z) is a function of"),
    )
    rows = [("F-VI", *_run(found["fvi"]), Text("each latent its own factor", "dim"))]
    if found["avi"] is not None:
        seen = f"{listed(found['avi']['inputs'])} ({found['avi']['function']})"
        rows.append(("A-VI", *_run(found["avi"]), Text(seen)))
    return Table(columns, tuple(rows), title="The two fits")


def _run(run: Mapping[str, Any]) -> tuple[str | Text, ...]:
    converged = run["status"] == "converged"
    return (
        nats(run["elbo"]),
        Text(str(run["status"]), "plain" if converged else "warn"),
        short(run["gradient_norm"]),
        short(run["iterations"]),
        short(run["seconds"]),
    )


def ladder(found: Mapping[str, Any]) -> Table:
    """From log p(x) down to the amortized ELBO, rung by rung."""
    evidence, gaps = found["log_evidence"], found["gaps"]
    rows: list[tuple[str | Text, ...]] = [
        (
            Text("log p(x)", "strong"),
            nats(evidence["value"], evidence["standard_error"]),
            "",
            Text(str(evidence["method"]), "dim"),
        )
    ]
    for name, words in LADDER:
        rows.append(_rung(name, words, gaps[name]))
        if name == "approximation":
            rows.append((Text("ELBO of F-VI", "strong"), nats(found["fvi"]["elbo"]), "", ""))
    rows.append((Text("ELBO of A-VI", "strong"), nats(found["avi"]["elbo"]), "", ""))
    rows.append(_rung("generalization", "per latent, on held-out data", gaps["generalization"]))
    columns = (Column("gap"), Column("nats", True), Column("kind"), Column("what, and how known"))
    return Table(columns, tuple(rows), title="The ladder of gaps")


def _rung(name: str, words: str, rung: Mapping[str, Any]) -> tuple[str | Text, ...]:
    number = nats(rung["value"], rung["standard_error"], rung["kind"])
    return (f"  {name}", number, rung["kind"], Text(f"{words}: {rung['how']}", "dim"))


def provenance(found: Mapping[str, Any]) -> Block:
    """Where the numbers come from."""
    source = found["provenance"]
    versions = ", ".join(f"{k} {v}" for k, v in (source.get("versions") or {}).items())
    where = f"seed {source.get('seed')}, {source.get('device')}, {source.get('dtype')}"
    data = f"data: {source.get('data')}"
    return prose(Text("; ".join(x for x in (data, where, versions) if x), "dim"))
