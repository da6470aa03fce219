"""Interrupted measurements go on to bitwise the same answer; nothing is ever half written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from avi_theory import InputError, Model
from avi_theory.cli import main
from avi_theory.numeric import measure, measure_in_batches, parameters
from avi_theory.numeric.batches import amortized as batched
from avi_theory.numeric.checkpoint import FILE, Checkpoint
from avi_theory.numeric.solve import Options, Problem, newton, quasi_newton
from avi_theory.spec.read import read
from avi_theory.spec.units import Units

TEXT = """
index n = 1:N
global mu ~ Normal(0, 5)
global tau ~ HalfNormal(2)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Poisson(log_rate=z[n])
"""
DATA = {"y": np.random.default_rng(0).poisson(3.0, 25).astype(float)}
OPTIONS = {"inputs": ["y[n]"], "evidence": False, "iterations": 60, "starts": 1}
MIXTURE = """
index n = 1:N
index k = 0:1
global mu[k] ~ Normal(0, 3)
local c[n] ~ Categorical([0.5, 0.5])
observed y[n] ~ Normal(mu[c[n]], 1)
"""


def answer(found):
    """Everything but the time it took."""
    plain = found.to_dict()
    for run in ("fvi", "avi"):
        (plain[run] or {}).pop("seconds", None)
    arrays = {k: v.tobytes() for k, v in found.saved.arrays.items()}
    return plain, arrays, dict(found.traces)


@pytest.fixture
def interrupted(monkeypatch):
    """Measure, and stop as Ctrl-C would as soon as the state after some iterations is written."""

    def run(folder, after, work, part="p"):
        keep, seen, stopped = Checkpoint.keep, [], {}

        def counted(self, state):
            if part in state:
                seen.append(1)
            if len(seen) == after:
                self._every = 0.0
                keep(self, state)
                stopped.update(state)
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoint, "keep", counted)
        try:
            work(folder)
        except KeyboardInterrupt:
            return stopped
        finally:
            monkeypatch.setattr(Checkpoint, "keep", keep)
        return stopped

    return run


@pytest.mark.parametrize(
    ("text", "function", "limit"),
    [(TEXT, "affine", ""), (TEXT, "mlp:4", ""), (MIXTURE, "affine", ""),
     (TEXT, "mlp:4", "MOST_WEIGHTS"),  # Adam, then L-BFGS
     (TEXT, "mlp:4", "MOST_STEPPED")],  # L-BFGS in the metric of a curvature
)  # fmt: skip
def test_an_interrupted_measurement_goes_on_to_the_same_answer(
    text, function, limit, tmp_path, interrupted, monkeypatch
):
    model, options = Model(text), {**OPTIONS, "function": function}
    if limit:
        monkeypatch.setattr(parameters, limit, 1)
        options["iterations"] = 6
    whole = answer(measure(model, DATA, **options))

    def work(folder):
        measure(model, DATA, checkpoint=folder, **options)

    for after in (3, 30, 302):
        folder = tmp_path / str(after)
        stopped = interrupted(folder, after, work)
        assert stopped or after > 3
        assert answer(measure(model, DATA, checkpoint=folder, **options)) == whole
        assert answer(measure(model, DATA, checkpoint=folder, **options)) == whole


def test_many_interruptions_of_one_measurement(tmp_path, interrupted):
    model, options = Model(TEXT), {**OPTIONS, "function": "mlp:4"}
    whole = answer(measure(model, DATA, **options))
    stops = 0

    def work(folder):
        measure(model, DATA, checkpoint=folder, **options)

    while interrupted(tmp_path, 9, work):
        stops += 1
        assert stops < 100
    assert stops > 2
    assert answer(measure(model, DATA, checkpoint=tmp_path, **options)) == whole


KILLED = """
import sys, time, numpy as np
sys.path.insert(0, sys.argv[2])
import test_checkpoints as t
from avi_theory import Model
from avi_theory.numeric import checkpoint, measure
checkpoint.SECONDS = 0.0
measure(Model(t.TEXT), t.DATA, function="affine", checkpoint=sys.argv[1],
        progress=lambda *state: time.sleep(0.05), **t.OPTIONS)
"""


def test_kill_9_leaves_the_last_good_state(tmp_path):
    options = {**OPTIONS, "function": "affine"}
    folder = tmp_path / "kept"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        file = folder / FILE
        if file.exists() and json.loads(file.read_text())["count"] >= 5:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = json.loads((folder / FILE).read_text())
    assert kept["live"] is not None
    resumed = []
    found = measure(
        Model(TEXT), DATA, checkpoint=folder, progress=lambda *state: resumed.append(state),
        **options,
    )  # fmt: skip
    assert resumed[0][1] >= 4, "it started again from the beginning"
    assert answer(found) == answer(measure(Model(TEXT), DATA, **options))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, ["seed was 0 and is 1"]),
        ({"function": "polynomial:2"}, ["function was 'affine'", "polynomial:2"]),
        ({"data": {"y": DATA["y"][::-1].copy()}}, ["data was"]),
        ({"text": TEXT.replace("HalfNormal(2)", "HalfNormal(3)")}, ["the model differs"]),
        ({"tolerance": 1e-6, "iterations": 7}, ["tolerance", "iterations was 60 and is 7"]),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(change, words, tmp_path):
    measure(Model(TEXT), DATA, checkpoint=tmp_path, function="affine", **OPTIONS)
    options = {**OPTIONS, "function": "affine", **change}
    text, data = options.pop("text", TEXT), options.pop("data", DATA)
    with pytest.raises(InputError) as caught:
        measure(Model(text), data, checkpoint=tmp_path, **options)
    for word in ("another measurement", "Repeat the command", *words):
        assert word in str(caught.value)


def test_folders_that_are_no_checkpoint(tmp_path):
    options = {**OPTIONS, "function": "affine"}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / FILE).write_text('{"format": ')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_text("{}")
    for name, word in (
        ("full", "not empty"), ("file", "cannot be used"), ("torn", "no checkpoint"),
        ("other", "no checkpoint of this version"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=word):
            measure(Model(TEXT), DATA, checkpoint=tmp_path / name, **options)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_a_damaged_state_is_named(tmp_path):
    options = {**OPTIONS, "function": "affine"}
    measure(Model(TEXT), DATA, checkpoint=tmp_path, **options)
    next(tmp_path.glob("run-0000*")).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"run-0000.*Delete the folder"):
        measure(Model(TEXT), DATA, checkpoint=tmp_path, **options)


@pytest.mark.parametrize(
    ("function", "part"),
    [
        ("affine", "store"),  # F-VI's locals
        pytest.param("mlp:4", "rate", marks=pytest.mark.long),  # Adam's learning rate
    ],
)
def test_a_measurement_in_batches_goes_on_to_the_same_answer(
    function, part, tmp_path, interrupted, monkeypatch
):
    monkeypatch.setattr(batched, "STEPS", 40)
    model = Model(TEXT)
    options = {"inputs": ["y[n]"], "function": function, "iterations": 30, "batch": 9, "pilot": 10}

    def work(folder):
        units = Units.of(model, read(DATA), "n")
        return measure_in_batches(units, checkpoint=folder, **options)

    whole = answer(work(None))
    assert interrupted(tmp_path, 4, work, part)
    assert answer(work(tmp_path)) == whole
    options["batch"] = 8
    with pytest.raises(InputError, match="batch was 9 and is 8"):
        work(tmp_path)


def banana(p):
    """Rosenbrock's valley, in which steps are cut and line searches bend."""
    return (100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()


@pytest.mark.parametrize(
    ("solve", "size", "afters"),
    [(newton, 2, (2, 5, 11)), (newton, 200, (3, 12)), (quasi_newton, 80, (4, 7, 9))],
)
def test_every_part_of_a_solvers_state_is_kept(solve, size, afters, tmp_path, interrupted):
    problem = Problem(banana, torch.ones_like)
    start = torch.linspace(-1.9, 2.0, size, dtype=torch.float64)
    settings = {"adam": 5} if solve is quasi_newton else {}

    def run(memory):
        options = Options(1e-9, 300, memory=memory)
        found = options.run(lambda: solve(problem, start, options, **settings))
        return found.parameters.numpy().tobytes(), found.trace, found.iterations, found.status

    whole = run(None)
    for after in afters:
        folder = tmp_path / str(after)
        assert interrupted(folder, after, lambda f: run(Checkpoint(f, {})))
        assert run(Checkpoint(folder, {})) == whole


def test_ctrl_c_at_the_command_line_says_where_the_state_is(tmp_path):
    """`avi measure --checkpoint DIR`, interrupted, goes on when it is repeated."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from avi_theory.numeric import checkpoint\n"
        "from avi_theory.numeric.checkpoint import Checkpoint\n"
        "checkpoint.SECONDS, keep = 0.0, Checkpoint.keep\n"
        "Checkpoint.keep = lambda self, state: (keep(self, state), time.sleep(0.2))\n"
        "from avi_theory.cli import main\n"
        "sys.exit(main(['measure', 'eight_schools', '--checkpoint', sys.argv[1], '--json']))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        file = tmp_path / FILE
        if file.exists() and json.loads(file.read_text())["count"] >= 3:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and out == ""
    assert f"the state is in {tmp_path}" in err and "interrupted" in err
    assert main(["measure", "eight_schools", "--checkpoint", str(tmp_path), "--json"]) == 0
    assert main(["measure", "saw", "--checkpoint", str(tmp_path), "--json"]) == 2
