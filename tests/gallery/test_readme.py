"""The README's gallery table lists every model, with its verdict."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from avi_theory.gallery import gallery_names, gallery_path

README = Path(__file__).resolve().parents[2] / "README.md"


def _rows() -> dict[str, str]:
    text = README.read_text(encoding="utf-8")
    table = text[text.index("## The gallery") : text.index("## How to choose")]
    rows = [r.strip("| ").split(" | ") for r in table.splitlines() if r.startswith("| `")]
    return {r[0].strip("`"): r[-1] for r in rows}


def test_every_model_is_listed_with_its_verdict():
    rows = _rows()
    assert sorted(rows) == sorted(gallery_names())
    for name, verdict in rows.items():
        expected = tomllib.loads(gallery_path(name).read_text(encoding="utf-8"))["expect"]
        assert verdict.split(":")[0] == expected["closes"], name
        named = set(re.findall(r"`([^`]+)`", verdict))
        if expected["closes"] == "inputs":
            assert named == {i for inputs in expected["inputs"].values() for i in inputs}, name
