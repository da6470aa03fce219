"""`avi check`: can amortization be lossless?"""

from __future__ import annotations

from typing import Annotated

from typer import Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared
from avi_theory.cli.files import folder_ready


def check(
    model: options.ModelName,
    explain: Annotated[bool, Option("--explain", help="Add the derivation, step by step.")] = False,
    no_witness: Annotated[
        bool, Option("--no-witness", help="Skip the numbers that prove a no.")
    ] = False,
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Decide whether amortization can be lossless, from which inputs, and why.

    The verdict holds for every data set; --data only makes sure that a file fits the model.
    """
    question = declared(model, sets, sizes)
    folder = folder_ready(out)
    if data is not None:
        from avi_theory.spec.bound import bind

        bind(question, data, require_data=True)
    from avi_theory.pipeline import check as decide

    report = decide(question, witness=not no_witness)
    steps = report.steps if explain else ()
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(report, folder, f"{report.model}.check", f"{report.model}: check", steps)
    return Answer(report, as_json, steps=steps)
