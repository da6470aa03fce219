"""Model files and the gallery: what a file may hold, and where its problems are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from avi_theory.errors import DataError, InputError, ModelError
from avi_theory.gallery import data_path, gallery_names, gallery_path, load
from avi_theory.spec.files import load_file
from avi_theory.spec.latex import model_graph, model_latex

GOOD = '''title = "Two levels"
about = """
Why.
"""
references = ["Somebody (1900)"]
model = """
index n = 1:N
given tau = 2
network f : R[1] -> R[2]
global mu ~ Normal(0, 1)
local z[n] ~ Normal(mu, tau)
observed x[n] : R[2] ~ Normal(f(z[n]), 1)
"""

[sizes]
N = 10

[typical]
tau = [0.3, 2]

[networks.f]
hidden = [20, 20]
activation = "elu"

[expect]
closes = "own"
simple_hierarchical = true
inputs.z = ["x[n]"]
'''


def written(folder: Path, text: str) -> Path:
    path = folder / "levels.toml"
    path.write_text(text)
    return path


def test_a_file_becomes_a_model(tmp_path: Path) -> None:
    m = load_file(written(tmp_path, GOOD))
    assert (m.name, m.title, m.about, m.references) == (
        "levels", "Two levels", "Why.", ("Somebody (1900)",),
    )  # fmt: skip
    assert m.default_sizes == {"N": 10}
    assert m.typical == {"tau": (0.3, 2.0)}
    assert m.network_options == {"f": {"hidden": [20, 20], "activation": "elu"}}
    assert m.expect["inputs"] == {"z": ["x[n]"]}
    assert m.values == {}
    assert [v.name for v in m.locals] == ["z"]
    assert m.folder == str(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("mu, tau)", "muu, tau)", 11, "'muu' is not declared.*'mu'"),
        ("title", "titel", 1, "'titel' is unknown.*'title'"),
        ('title = "Two levels"', "title = 3", 1, "'title' must be a text, not int"),
        ("N = 10", 'N = "ten"', 16, "size 'N'"),
        ("N = 10", "M = 10", 16, r"\[sizes\] names 'M'"),
        ("tau = [0.3, 2]", "taw = [0.3, 2]", 19, r"\[typical\] names 'taw'.*'tau'"),
        ("tau = [0.3, 2]", "tau = [2, 0.3]", 19, "low, high"),
        ("[networks.f]", "[networks.g]", 21, r"\[networks\] names 'g'"),
        ("hidden", "hiden", 22, "'hiden' is unknown.*'hidden'"),
        ("[20, 20]", "[20, -1]", 22, "widths"),
        ('"own"', '"always"', 26, "'closes' must be one of"),
        ("simple_hierarchical = true", "simple_hierarchical = 1", 27, "true or false"),
        ("inputs.z", "inputs.y", 28, r"\[expect\] names 'y'"),
        ('closes = "own"', 'close = "own"', 26, "'close'.*'closes'"),
    ],
)
def test_problems_name_line_and_culprit(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ModelError) as caught:
        load_file(written(tmp_path, GOOD.replace(old, new, 1)))
    assert "levels.toml" in str(caught.value)
    assert any(
        p.line == line and re.search(message, f"{p.message} {p.hint}")
        for p in caught.value.problems
    ), str(caught.value)


def test_problems_of_all_sections_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("mu, tau)", "muu, tau)").replace("tau = [0.3, 2]", "taw = [0, 1]")
    with pytest.raises(ModelError) as caught:
        load_file(written(tmp_path, text.replace("title", "titel", 1)))
    assert {p.line for p in caught.value.problems} >= {1, 11, 19}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "line 1.*not TOML"),
        ('title = "x"\nmodel = """\n', "not TOML"),
        ('title = "x"', "declares no model"),
        ('modell = "global a ~ Flat()"', "'modell' is unknown"),
        ("model = 3", "'model' must be a text"),
        ('model = ""', "no variable"),
        ("sizes = 3\n" + GOOD.replace("[sizes]\nN = 10\n", ""), "'sizes' must be a section"),
        ("a = " + "[" * 5000, "TOML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load_file(written(tmp_path, text))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.toml"):
        load_file(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_file(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_file(binary)


def test_names_and_paths(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert load(path).name == load(str(path)).name == "levels"
    assert load("eight_schools").name == "eight_schools"
    with pytest.raises(InputError, match="'eight_schools'"):
        load("eight_school")
    with pytest.raises(InputError, match="No model"):
        gallery_path("../pyproject")
    with pytest.raises(InputError, match="absent"):
        load("./absent.toml")
    with pytest.raises(InputError, match="No model"):
        load("")


def test_data_lie_beside_the_model(tmp_path: Path) -> None:
    assert data_path(load_file(written(tmp_path, GOOD))) is None
    named = GOOD.replace("[sizes]", '[data]\nfile = "x.csv"\n\n[sizes]')
    model = load_file(written(tmp_path, named))
    with pytest.raises(DataError, match=r"x\.csv"):
        data_path(model)
    (tmp_path / "x.csv").write_text("x\n1\n")
    assert data_path(model) == tmp_path / "x.csv"


@pytest.mark.parametrize("name", gallery_names())
def test_every_gallery_model_loads_and_shows(name: str) -> None:
    model = load(name)
    assert model.title
    assert model.references
    assert model_latex(model).count(r"\sim") == len(model.densities)
    assert len(model_graph(model)) == len(model.densities) + len(model.potentials)
