"""The options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

ModelName = Annotated[
    str, Argument(metavar="MODEL", help="A model of the gallery, or the path of a TOML file.")
]
Json = Annotated[bool, Option("--json", help="One JSON object on stdout, nothing else there.")]
Sets = Annotated[
    list[str] | None,
    Option("--set", metavar="NAME=VALUE", help="A given, or the value of a global. Repeatable."),
]
Sizes = Annotated[
    list[str] | None, Option("--size", metavar="N=1000", help="The size of an index. Repeatable.")
]
Factors = Annotated[
    list[str] | None,
    Option("--factor", metavar="NAME=KIND", help="The factor of a latent, as z=gamma. Repeatable."),
]
Data = Annotated[Path | None, Option("--data", metavar="FILE", help="Data: CSV, Parquet or NPZ.")]
Seed = Annotated[int, Option("--seed", min=0, help="Of everything random.")]
Device = Annotated[str, Option("--device", help="cpu, cuda, cuda:1.")]
Out = Annotated[
    Path | None,
    Option("--out", metavar="DIR", help="Also write JSON, HTML, Markdown and figures there."),
]
Save = Annotated[Path | None, Option("--save", metavar="PATH", help="Keep the fitted measurement.")]
Batch = Annotated[
    int | None,
    Option("--batch", metavar="UNITS", help="Hold so many units in memory at once: large data."),
]
Checkpoint = Annotated[
    Path | None,
    Option(
        "--checkpoint",
        metavar="DIR",
        help="Keep the state of the runs here; after an interruption the same command goes on.",
    ),
]
Holdout = Annotated[
    float | None,
    Option("--holdout", metavar="FRACTION", help="Hold units out, for the generalization gap."),
]
Regime = Annotated[
    str | None, Option("--regime", help="population, dataset or reuse. Default: dataset with data.")
]
Window = Annotated[
    int | None, Option("--window", metavar="K", help="Inputs: the observations within K positions.")
]
Inputs = Annotated[
    str | None,
    Option("--inputs", metavar="LIST", help="Inputs by name, as in 'x[t-1],x[t]'."),
]
Function = Annotated[
    str | None,
    Option(
        "--function",
        help="constant, affine, polynomial:D, table, mlp:32x32, set:32, recurrent:16, "
        "attention:16x16, conv:2:16x16, hyper:16x16, gp:32; to predict: any.",
    ),
]
Sharing = Annotated[
    str, Option("--sharing", help="shared: one function; per-position: one for each position.")
]
Refine = Annotated[
    int,
    Option("--refine", metavar="K", help="Then K steps of F-VI's solver; the gap after each."),
]
Free = Annotated[
    list[str] | None,
    Option(
        "--free",
        metavar="WHICH",
        help="Locals that keep their own factors: cover, z, or 'z[t] at t mod 2 = 0'. Repeatable.",
    ),
]
