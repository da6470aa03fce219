"""What ``--out`` leaves in a folder: the JSON, an HTML and a Markdown page, the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from avi_theory.cli.files import write

if TYPE_CHECKING:
    from avi_theory.results.base import Result
    from avi_theory.results.report import Step

FORMATS = ("svg", "pdf", "png")


def keep(
    result: Result, folder: Path, stem: str, title: str, steps: tuple[Step, ...] = ()
) -> list[Path]:
    """Write a result as JSON, as a self-contained page, as Markdown and as figures.

    Args:
        result: any answer.
        folder: made sure of before the work began.
        stem: of the file names, such as ``eight_schools.compare``.
        title: of the page.
        steps: a derivation for the page.
    """
    from avi_theory.figures import fitting, render
    from avi_theory.report import markdown, page

    contents = {f"{stem}.json": (json.dumps(result.to_dict(), ensure_ascii=False) + "\n").encode()}
    drawn, beside = [], []
    for figure in fitting(result):
        pictures = {form: render(figure, result, form) for form in FORMATS}
        contents |= {f"{stem}.{figure.name}.{form}": x for form, x in pictures.items()}
        drawn.append((figure.caption, pictures["svg"].decode()))
        beside.append((figure.caption, f"{stem}.{figure.name}.svg"))
    contents[f"{stem}.html"] = page(title, result, drawn, steps).encode()
    contents[f"{stem}.md"] = markdown(title, result, beside, steps).encode()
    return write(folder, contents)
