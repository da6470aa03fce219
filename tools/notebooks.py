"""Write each notebook's `.ipynb` from its py:percent source: no output, a badge on top.

Run it after a change to a source (`make notebooks`); a test compares what is committed.
"""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parents[1] / "notebooks"
REPOSITORY = "avi-theory/avi-theory"
"""Where the notebooks are published, for Colab's link."""

BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}.ipynb)\n\n"
    "*On Colab, run `%pip install git+https://github.com/{repository}` first.*"
)


def generated(source: Path) -> str:
    """The text of the `.ipynb` of a source: cells by number, nothing executed."""
    notebook = jupytext.read(source)
    badge = BADGE.format(repository=REPOSITORY, name=source.stem)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(badge))
    for k, cell in enumerate(notebook.cells):
        cell.id = f"cell-{k}"
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write them all."""
    for source in sorted(HERE.glob("*.py")):
        source.with_suffix(".ipynb").write_text(generated(source), encoding="utf-8")
        print(source.with_suffix(".ipynb").relative_to(HERE.parent))


if __name__ == "__main__":
    main()
