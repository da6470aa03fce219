"""`avi draw`: one figure, as SVG, PDF and PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.artifacts import FORMATS
from avi_theory.cli.declared import declared
from avi_theory.cli.files import folder_ready, write
from avi_theory.cli.progress import working
from avi_theory.errors import InputError, nearest

if TYPE_CHECKING:
    from avi_theory.spec.model import Model


def draw(
    model: options.ModelName,
    figure: Annotated[
        str, Option("--figure", help="graph: the model; ladder: its gaps; window: gap by inputs.")
    ] = "graph",
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    data: options.Data = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    out: Annotated[Path, Option("--out", metavar="DIR", help="Where the files go.")] = Path(),
    as_json: options.Json = False,
) -> Answer:
    """Draw a figure of a model and write it as SVG, PDF and PNG."""
    if figure not in SUBJECTS:
        hint = nearest(figure, SUBJECTS) or f"Known: {', '.join(SUBJECTS)}."
        raise InputError(f"--figure {figure} is not known. {hint}")
    question = declared(model, sets, sizes)
    folder = folder_ready(out)
    assert folder is not None
    with working(f"drawing {question.name}"):
        result = SUBJECTS[figure](question, data, seed, device)
        from avi_theory.figures import named, render
        from avi_theory.results.files import Files

        drawing = named(figure)
        contents = {
            f"{question.name}.{figure}.{form}": render(drawing, result, form) for form in FORMATS
        }
    written = write(folder, contents)
    return Answer(Files(tuple(str(p) for p in written)), as_json)


def _graph(model: Model, data: Any, seed: int, device: str) -> Any:
    from avi_theory.spec.portrait import portrait

    return portrait(model)


def _ladder(model: Model, data: Any, seed: int, device: str) -> Any:
    from avi_theory.pipeline import compare

    return compare(model, data, seed=seed, device=device)


def _window(model: Model, data: Any, seed: int, device: str) -> Any:
    from avi_theory.pipeline import smallest_inputs

    return smallest_inputs(model, data)


SUBJECTS: dict[str, Callable[[Model, Any, int, str], Any]] = {
    "graph": _graph,
    "ladder": _ladder,
    "window": _window,
}
