"""`avi inputs`: the smallest inputs that are good enough."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared
from avi_theory.cli.files import folder_ready


def inputs(
    model: options.ModelName,
    tolerance: Annotated[
        float, Option("--tolerance", help="The gap per latent that is good enough, in nats.")
    ] = 0.01,
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Find the smallest inputs whose predicted gap per latent stays within a tolerance."""
    question = declared(model, sets, sizes)
    folder = folder_ready(out)
    from avi_theory.pipeline import smallest_inputs

    found = smallest_inputs(question, data, tolerance=tolerance)
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(found, folder, f"{question.name}.inputs", f"{question.name}: inputs")
    return Answer(found, as_json)
