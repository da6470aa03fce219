"""What verbs write: complete or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avi_theory.cli.files import file_ready, folder_ready, write
from avi_theory.errors import InputError


def test_new_writes_a_model_that_checks(avi, tmp_path):
    path = tmp_path / "deep" / "my_model.toml"
    assert avi("new", path, "--json").json == {"files": [str(path)]}
    found = avi("check", path, "--json").json
    assert (found["model"], found["closes"]) == ("my_model", "inputs")
    assert found["locals"]["z"]["inputs"] == ["s[n]", "y[n]"]


def test_draw_writes_three_forms(avi, tmp_path):
    files = avi("draw", "saw", "--out", tmp_path, "--json").json["files"]
    assert {Path(f).suffix for f in files} == {".svg", ".pdf", ".png"}
    assert all(Path(f).stat().st_size > 1000 for f in files)


@pytest.mark.parametrize("figure", ["ladder", "window"])
def test_draw_what_has_to_be_computed(avi, tmp_path, figure):
    name = "eight_schools" if figure == "ladder" else "random_walk"
    assert avi("draw", name, "--figure", figure, "--out", tmp_path, "--json").code == 0
    assert (tmp_path / f"{name}.{figure}.svg").is_file()


def test_out_holds_json_page_and_figures(avi, tmp_path):
    run = avi("compare", "eight_schools", "--out", tmp_path / "new" / "folder", "--json")
    folder = tmp_path / "new" / "folder"
    names = {p.name.removeprefix("eight_schools.compare.") for p in folder.iterdir()}
    assert names == {"json", "html", "md", "ladder.svg", "ladder.pdf", "ladder.png"}
    assert json.loads((folder / "eight_schools.compare.json").read_text()) == run.json
    page = (folder / "eight_schools.compare.html").read_text()
    assert "<svg" in page and run.json["amortization"]["outcome"] in page
    marked = (folder / "eight_schools.compare.md").read_text()
    assert "(eight_schools.compare.ladder.svg)" in marked and "| ELBO of A-VI |" in marked


def test_saved_measurement_comes_back(avi, tmp_path):
    from avi_theory import load_measurement

    path = tmp_path / "kept.safetensors"
    run = avi("compare", "linear", "--size", "N=100", "--save", path, "--json")
    assert path.is_file()
    assert load_measurement(path).to_dict()["fvi"]["elbo"] == run.json["fvi"]["elbo"]


def test_write_is_all_or_nothing(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError):
        write(tmp_path, {"a": b"1", "b": b"2"})
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_write_replaces(tmp_path):
    write(tmp_path, {"a": b"1"})
    write(tmp_path, {"a": b"22"})
    assert (tmp_path / "a").read_bytes() == b"22"
    assert len(list(tmp_path.iterdir())) == 1


def test_asking_leaves_nothing_behind(tmp_path):
    assert folder_ready(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert file_ready(tmp_path / "c" / "d") == tmp_path / "c" / "d"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="folder"):
        file_ready(tmp_path)
