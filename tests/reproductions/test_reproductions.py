"""Published experiments: registered, documented, and right where the answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avi_theory.errors import InputError
from avi_theory.reproductions import EXPERIMENTS, laboratory, named
from avi_theory.reproductions.climb import Common, climb

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_its_page_is_kept_and_every_published_number_has_a_source(experiment):
    kept = json.loads((RESULTS / f"{experiment.name}.json").read_text("utf-8"))
    page = (RESULTS / f"{experiment.name}.md").read_text("utf-8")
    assert (kept["name"], kept["title"]) == (experiment.name, experiment.title)
    assert page.startswith(f"# {experiment.title}")
    assert kept["lines"] and kept["panels"]
    for line in kept["lines"]:
        assert bool(line["published"]) <= bool(line["source"]), line["quantity"]
        assert line["why"]
        assert line["quantity"].replace("|", "\\|").replace("*", "\\*") in page


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="mb-linear"):
        named("mb-linaer")


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    """The first training is taken as it is, the second begins; without a folder nothing is kept."""
    monkeypatch.setattr(laboratory, "EPOCHS", 3)
    monkeypatch.setattr(laboratory, "COUNTS", {"small": 4})
    experiment, told = named("cld-encoder"), []

    def until(stop):
        def tell(words):
            told.append(words)
            if words.startswith(stop):
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        experiment.run("small", 5, until("training width 64"), tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.name == "cld-encoder-small-5"
    assert [p.name for p in folder.iterdir()] == ["width-16"]
    before = {p: p.read_bytes() for p in (folder / "width-16").iterdir()}
    found = experiment.run("small", 5, until("never"), tmp_path)
    again = experiment.run("small", 5, until("never"))
    assert before == {p: p.read_bytes() for p in (folder / "width-16").iterdir()}
    assert [line.ours for line in found.lines] == [line.ours for line in again.lines]
    assert len(list(tmp_path.iterdir())) == 1


def problem() -> Common:
    draw = np.random.default_rng(3)
    x = draw.normal(size=40)
    return Common(1.4, 0.3, 40 * 0.5, 0.7 * x, 0.4 * float(x.sum()), np.stack([np.ones(40), x], 1))


@pytest.mark.parametrize("amortized", [False, True])
def test_adam_climbs_to_the_optimum_that_is_known(amortized):
    """An affine f is ideal here, so both families end at the closed form, never beyond."""
    run = climb(problem(), amortized=amortized, rate=0.02, starts=3, most=20_000, near=1e-6)
    assert np.isfinite(run.steps).all()
    assert run.trace[-1] > -1e-9
    step = int(run.steps[0])
    assert run.trace[step] <= 1e-6 < run.trace[step - 1]
    assert run.trace[0] > 1


def test_steps_that_are_not_enough_are_told():
    run = climb(problem(), amortized=False, rate=1e-3, starts=2, most=5, near=1e-6)
    assert np.isnan(run.steps).all()
    assert run.median == np.inf
