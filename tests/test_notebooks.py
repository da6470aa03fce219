"""Every notebook runs from top to bottom; its last cell asserts its lesson."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_and_ends_in_an_assertion(path, monkeypatch):
    import jupytext
    from nbclient import NotebookClient

    monkeypatch.setenv("AVI_SMALL", "1")
    notebook = jupytext.read(path)
    assert "assert " in notebook.cells[-1].source
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(cwd=str(path.parent))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_short_and_its_ipynb_is_up_to_date(path):
    import jupytext

    spec = spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    tool = module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert 10 <= len(jupytext.read(path).cells) <= 20
    committed = path.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert committed == tool.generated(path), "run `make notebooks`"
