"""Every notebook runs from top to bottom; its last cell asserts its lesson."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_and_ends_in_an_assertion(path):
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    assert "assert " in notebook.cells[-1].source
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(cwd=str(path.parent))
