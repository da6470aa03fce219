"""One result of every kind."""

from __future__ import annotations

import pytest

from avi_theory import check, load
from avi_theory.results.comparison import Amortization, Comparison, Rung
from avi_theory.results.files import Files
from avi_theory.results.listing import Choice, Choices, Entry, Listing
from avi_theory.results.prediction import Prediction
from avi_theory.spec.portrait import portrait


def comparison(outcome="agrees", model="<b>odd & name</b>"):
    run = {
        "elbo": -31.2,
        "status": "converged",
        "gradient_norm": 1e-9,
        "iterations": 7,
        "seconds": 0.1,
    }
    return Comparison(
        model=model,
        fvi=run,
        avi={**run, "elbo": -33.2, "function": "affine", "inputs": ["s[n]", "y[n]"]},
        gaps={
            "approximation": Rung(0.5, 0.0, "upper", "measured"),
            "conditioning": Rung(0.0, 0.0, "exact", "no ties"),
            "capacity": Rung(2.0, 0.0, "exact", "least squares"),
            "training": Rung(0.0, 0.01, "exact", "measured"),
            "generalization": Rung.unknown("no data were held out"),
        },
        amortization=Amortization(2.0, 0.01, 2.0, "exact", outcome),
        log_evidence={"value": -30.7, "method": "exact", "standard_error": 0.0},
        provenance={"seed": 0, "device": "cpu", "dtype": "float64", "data": "d", "versions": {}},
    )


def prediction(kind="exact"):
    number = None if kind == "none" else 2.19632
    return Prediction(
        model="chain",
        regime="population",
        inputs=("x[t]",),
        function="affine",
        sharing="shared",
        kind=kind,
        latents=60,
        gap=number,
        gap_per_latent=number and number / 60,
        limit_per_latent=None,
        approximation_gap=3.6849,
        assumptions=("x drawn at given θ",),
        reference="Radner (1962)",
    )


CHOICES = (Choice(("x[t]",), 0.07, "exact"), Choice(("x[t]", "x[t+1]"), 0.004, "upper"))
RESULTS = {
    "check": lambda: check(load("eight_schools")),
    "check no": lambda: check(load("random_walk")),
    "choices": lambda: Choices(CHOICES, CHOICES[1], "chain", 0.01),
    "comparison": comparison,
    "contradiction": lambda: comparison("contradicts"),
    "files": lambda: Files(("a.svg",)),
    "listing": lambda: Listing((Entry("saw", "Saw", "inputs"),)),
    "no choice": lambda: Choices(CHOICES, None, "chain", 0.001),
    "portrait": lambda: portrait(load("saw")),
    "prediction": prediction,
    "prediction none": lambda: prediction("none"),
}


@pytest.fixture(scope="session")
def sample():
    """A result by its name in `RESULTS`, made once."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = RESULTS[name]()
        return made[name]

    return find


@pytest.fixture(params=RESULTS)
def result(request, sample):
    """Each of them in turn."""
    return sample(request.param)


@pytest.fixture(scope="session")
def samples(sample):
    """All of them."""
    return [sample(name) for name in RESULTS]
