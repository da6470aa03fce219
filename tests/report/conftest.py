"""One result of every kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avi_theory import check, load
from avi_theory.results.comparison import Amortization, Comparison, Rung
from avi_theory.results.files import Files
from avi_theory.results.gaps import Gaps, Sandwich
from avi_theory.results.listing import Choice, Choices, Entry, Listing
from avi_theory.results.prediction import Prediction
from avi_theory.results.reproduction import Curve, Line, Panel, Reproduction
from avi_theory.results.training import Training
from avi_theory.results.trial import Arm, Contrast, Trial
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


def reproduction():
    curves = (
        Curve("<b>odd", (1.0, 2.0), (3.0, 4.0), (2.0, 3.0), (4.0, 5.0)),
        Curve("b", (1.0, 2.0), (4.0, 3.0)),
    )
    return Reproduction(
        name="odd",
        title="An experiment",
        about="<b>odd & ends",
        paper="A paper (2000)",
        scale="small",
        lines=(
            Line("loss (nats)", "1 | 2", "page 3", 1.5, 0.5, "same", "within its error"),
            Line("time", None, "", None, None, "new", "not measured"),
        ),
        panels=(Panel("T", "x", "y (nats)", curves, True, True, {"published": 3.5}),),
        notes=("A note.",),
        provenance={"seconds": 1.0},
    )


def trial():
    arms = tuple(
        Arm(name, 9360, 18432, False, {"elbo": values, "gap": (0.2, 0.3, 0.25)})
        for name, values in (("film", (-19.1, -19.4, -19.2)), ("plain", (-19.5, -19.6, -19.9)))
    )
    contrasts = (
        Contrast("film", "plain", "elbo", 0.43, 0.12, 2.0, 0.04, 0.25, 3),
        Contrast("film", "plain", "gap", 0.0, 0.0, None, None, None, 3),
    )
    data = {"name": "<b>odd", "train": 100, "binarization": "none"}
    return Trial("odd", arms, contrasts, data, {}, {"seeds": [0, 1, 2], "device": "cpu"})


def training(status="finished"):
    score = {
        "images": 7, "elbo": -20.5, "standard_error": 0.02, "plug_in": -19.0, "active": 2,
        "draws": 100, "seed": 0,
    }  # fmt: skip
    return Training(
        name="<toy>",
        status=status,
        epochs=2,
        seconds=1.5,
        parameters={"encoder": 1234, "decoder": 56},
        encoder_flops=2400,
        latents=3,
        scores={"train": score, "test": {**score, "plug_in": None, "active": None}},
        history=({"epoch": 1, "train": -30.0}, {"epoch": 2, "train": -21.0, "validation": -22.0}),
        data={"source": "drawn", "binarization": "none", "shape": [4, 4]},
        settings={},
        provenance={"seed": 0, "device": "cpu", "dtype": "float32", "versions": {}},
    )


def gaps(flow=False):
    """Made up: seven images, one of them flagged and one not a number."""
    rng = np.random.default_rng(0)
    evidence = -20 + rng.normal(size=7)
    approximation, amortization = rng.exponential(0.5, (2, 7))
    columns = {
        "elbo": evidence - approximation - amortization,
        "elbo_optimum": evidence - approximation,
        "log_evidence": evidence,
        "amortization_gap": amortization,
        "approximation_gap": approximation,
    }
    columns["elbo"][0] = columns["amortization_gap"][0] = np.nan
    columns |= {f"{name}_standard_error": np.full(7, 0.02) for name in list(columns)}
    if flow:
        columns["elbo_flow"] = columns["elbo_optimum"] + 0.3 * approximation
        columns["flow_gain"] = 0.3 * approximation
    columns["flag"] = np.array([4, 1, 0, 0, 0, 0, 0])
    columns["converged"] = np.arange(7) != 2
    columns["difficulty"] = amortization + 0.1 * rng.normal(size=7)
    found = Gaps(
        per_image=columns,
        latents=2,
        methods={"log_evidence": "larger of IWAE and AIS"},
        provenance={"seed": 0, "likelihood": "bernoulli"},
        sandwich=Sandwich(-20.1, -20.0, 0.1, 0.02, 50, 1000, 10, 0),
        pictures=rng.random((7, 1, 8, 8)),
        worst=(0, 3, 1, 2, 4, 5, 6),
    )
    return replace(found, training=found) if flow else found


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
    "gaps": gaps,
    "gaps with a flow": lambda: gaps(flow=True),
    "files": lambda: Files(("a.svg",)),
    "listing": lambda: Listing((Entry("saw", "Saw", "inputs"),)),
    "no choice": lambda: Choices(CHOICES, None, "chain", 0.001),
    "portrait": lambda: portrait(load("saw")),
    "prediction": prediction,
    "reproduction": reproduction,
    "sandwich": lambda: gaps().sandwich,
    "prediction none": lambda: prediction("none"),
    "training": training,
    "trial": trial,
    "training that diverged": lambda: training("diverged"),
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
