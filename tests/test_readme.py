"""The README's own code runs, from top to bottom, as a newcomer would type it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)


def newcomer():
    """`tools/newcomer.py`, which walks the README's path from an empty environment."""
    path = README.parent / "tools" / "newcomer.py"
    spec = importlib.util.spec_from_file_location("newcomer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_newcomer_reaches_verdict_and_gap_of_a_model_of_their_own(tmp_path):
    """As the script does it, but for the installation."""
    path = newcomer()
    told = path.walk(path.own(), tmp_path, str(Path(sys.executable).parent))
    assert path.missing(told) == []
    assert "s[n], y[n]" in told and "agrees" in told
    assert (tmp_path / "mine" / "mine.compare.html").is_file()
    assert path.missing("") == ["check", "compare"]
    with pytest.raises(RuntimeError, match="ended with 2"):
        path.walk(["avi check nothing.toml"], tmp_path, str(Path(sys.executable).parent))


@pytest.fixture
def known():
    """What the blocks take as given: a user's own encoder, decoder and images."""
    import torch

    generator = torch.Generator().manual_seed(0)
    weights = torch.randn((6, 2), generator=generator)
    images = (torch.rand((5, 6), generator=generator) < 0.5).float()
    return {
        "my_encoder": lambda x: (0.3 * x @ weights, torch.full((len(x), 2), -0.5)),
        "my_decoder": lambda z: z @ weights.T,
        "images": images,
    }


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.splitlines()[0][:40])
def test_code_runs(block, known, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), known)
    assert capsys.readouterr().out.strip()


def test_what_the_blocks_say_is_what_comes_out(known, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = next(b for b in BLOCKS if "eight_schools" in b)
    exec(compile(first, "README.md", "exec"), known)
    assert known["check"](known["schools"]).closes == "inputs"
    assert known["check"](known["chain"]).closes == "no"
    assert known["compare"](known["schools"]).amortization.outcome == "agrees"
    own = next(b for b in BLOCKS if "vae_gaps" in b)
    assert len(own.strip().splitlines()) < 10
    exec(compile(own, "README.md", "exec"), known)
    assert known["gaps"].per_image["amortization_gap"].shape == (5,)
    assert np.all(known["gaps"].per_image["flag"] == 0)
    assert (tmp_path / "gaps.parquet").exists()
