"""`avi reproduce`: a published experiment, run again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.files import folder_ready, write
from avi_theory.cli.progress import resumable, speaking
from avi_theory.errors import InputError, nearest

if TYPE_CHECKING:
    from avi_theory.results.reproduction import Reproduction


def reproduce(
    name: Annotated[
        str, Argument(metavar="NAME", help="Such as mb-linear; an unknown one lists all.")
    ],
    scale: Annotated[str, Option("--scale", help="small: minutes on two cores; full.")] = "small",
    seed: options.Seed = 0,
    checkpoint: options.Checkpoint = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Run a published experiment again, its printed numbers beside ours."""
    folder = folder_ready(out)
    from avi_theory.reproductions import SCALES, named

    if scale not in SCALES:
        hint = nearest(scale, SCALES) or f"Known: {', '.join(SCALES)}."
        raise InputError(f"--scale {scale} is not known. {hint}")
    experiment = named(name)
    with resumable(checkpoint), speaking(name, quiet=0) as tell:
        found = experiment.run(scale, seed, tell, checkpoint)
    if folder:
        write(folder, pages(found))
    return Answer(found, as_json)


def pages(found: Reproduction) -> dict[str, bytes]:
    """The JSON, the Markdown page and its figure, by file name."""
    from avi_theory.figures import fitting, render
    from avi_theory.report import markdown

    drawn = fitting(found)
    pictures = {f"{found.name}.svg": render(f, found, "svg") for f in drawn}
    shown = [(f.caption, name) for f, name in zip(drawn, pictures, strict=True)]
    text = json.dumps(found.to_dict(), ensure_ascii=False, indent=1) + "\n"
    return {
        f"{found.name}.json": text.encode(),
        f"{found.name}.md": markdown(found.title, found, shown).encode(),
        **pictures,
    }
