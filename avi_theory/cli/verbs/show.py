"""`avi show`: a model's text, equation and graph."""

from __future__ import annotations

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared


def show(
    model: options.ModelName,
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    as_json: options.Json = False,
) -> Answer:
    """Show what a model says: its text, its equation, its graph."""
    from avi_theory.spec.portrait import portrait

    return Answer(portrait(declared(model, sets, sizes)), as_json)
