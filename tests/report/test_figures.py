"""Figures: every one draws something, the same twice, and leaves matplotlib as it was."""

from __future__ import annotations

import matplotlib
import pytest

from avi_theory import Model, check, load
from avi_theory.errors import InputError
from avi_theory.figures import FIGURES, draw, fitting, named, render
from avi_theory.figures.layout import positions, rows
from avi_theory.gallery import gallery_names
from avi_theory.spec.portrait import portrait

SUBJECTS = {
    "ladder": "comparison",
    "gap": "prediction",
    "window": "choices",
    "graph": "portrait",
    "witness": "check no",
    "image_ladder": "gaps with a flow",
    "image_gaps": "gaps",
    "worst_images": "gaps",
    "difficulty": "gaps",
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_figure_renders_in_every_form_and_changes_nothing(name, sample):
    before = dict(matplotlib.rcParams)
    result, figure = sample(SUBJECTS[name]), named(name)
    assert figure in fitting(result)
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for form, head in heads.items():
        assert render(figure, result, form).startswith(head)
    assert render(figure, result, "svg") == render(figure, result, "svg")
    assert dict(matplotlib.rcParams) == before


def test_a_notebook_shows_a_figure_without_pyplot(sample):
    for figure in (draw(sample("prediction")), load("saw").plot()):
        assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", ["ladder", "gap", "window", "image_ladder", "image_gaps", "difficulty"]
)
def test_axes_of_numbers_say_nats(name, sample):
    drawn = draw(sample(SUBJECTS[name]), name)
    labels = [a.get_xlabel() + a.get_ylabel() for a in drawn.axes if a.axison]
    assert labels and all("nats" in text for text in labels)


def test_names_are_unique_and_asked_for(sample):
    assert len({f.name for f in FIGURES}) == len(FIGURES)
    with pytest.raises(InputError, match="graph"):
        named("grph")
    with pytest.raises(InputError, match="Listing"):
        draw(sample("listing"))


@pytest.mark.parametrize("name", gallery_names())
def test_no_two_nodes_of_a_graph_overlap(name):
    found = portrait(load(name))
    at = list(positions(found).values())
    for i, (x, y) in enumerate(at):
        for u, v in at[i + 1 :]:
            assert max(abs(x - u), abs(y - v)) > 0.7


def test_rows_go_from_globals_to_observations():
    found = portrait(
        Model(
            """
            index n = 1:N
            index i = 1:I
            global mu ~ Normal(0, 1)
            local a[n] ~ Normal(mu, 1)
            local z[n,i] ~ Normal(a[n], 1)
            observed y[n,i] ~ Normal(z[n,i], 1)
            """
        )
    )
    depth = rows(found)
    assert depth["mu"] < depth["a[n]"] < depth["z[n,i]"] < depth["y[n,i]"]


def test_a_verdict_without_witness_has_no_figure():
    assert fitting(check(load("saw"))) == ()
