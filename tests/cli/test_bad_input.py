"""Bad input: exit 2, one message that names the culprit and the mend, nothing half-written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from avi_theory.cli.interruption import listening
from avi_theory.cli.progress import speaking

BAD = '''title = "bad"
model = """
index n = 1:N
local z[n] ~ Norml(muu, 1)
observed x[n] ~ Normal(z[n], 1)
"""
'''
MODEL_VERBS = ("show", "check", "predict", "measure", "compare", "inputs", "draw")


@pytest.fixture
def data(tmp_path):
    """Write a CSV for eight_schools."""

    def write(text, name="d.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("verb", MODEL_VERBS)
def test_malformed_model_reports_every_problem(refused, tmp_path, verb):
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    message = refused(verb, path)
    assert "Norml" in message and "Normal" in message and "muu" in message
    assert "line 4" in message


@pytest.mark.parametrize("content", [b"", b"title = ", b"\xff\xfe\x00", b"model = 3"])
def test_file_that_is_no_model(refused, tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    assert "bad.toml" in refused("check", path)


@pytest.mark.parametrize("verb", MODEL_VERBS)
def test_unknown_model_names_the_nearest(refused, verb):
    assert "eight_schools" in refused(verb, "eight_school")


def test_absent_file(refused, tmp_path):
    assert "absent.toml" in refused("check", tmp_path / "absent.toml")


@pytest.mark.parametrize("verb", ["check", "predict", "measure", "compare"])
@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("y\n1\n2\n", "s"),  # a missing column
        ("s,y\n1,2\n1,\n1,3\n", "y"),  # NaN
        ("s,y\n1,2\n1,abc\n", "abc"),  # a wrong type
        ("s,y\n-1,2\n1,3\n", "s"),  # outside the domain
        ("s,s,y\n1,1,2\n", "s"),  # a column twice
        ("", ""),  # an empty file
        ("a,b\n1,2\n", "y"),  # nothing of the model
    ],
)
def test_data_that_do_not_fit(refused, data, verb, text, culprit):
    assert culprit in refused(verb, "eight_schools", "--data", data(text))


@pytest.mark.parametrize("verb", ["check", "predict", "measure", "compare"])
def test_data_of_the_wrong_length(refused, tmp_path, verb):
    path = tmp_path / "d.npz"
    np.savez(path, s=np.ones(5), y=np.ones(4))
    assert "N=5" in refused(verb, "eight_schools", "--data", path)


def test_data_file_that_is_absent_or_of_an_unknown_kind(refused, data, tmp_path):
    assert "absent.csv" in refused("compare", "saw", "--data", tmp_path / "absent.csv")
    assert ".csv" in refused("compare", "saw", "--data", data("x", "d.xlsx"))


@pytest.mark.parametrize("verb", ["measure", "compare"])
def test_cuda_without_cuda(refused, verb):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    message = refused(verb, "eight_schools", "--device", "cuda")
    assert "cuda" in message and "cpu" in message


@pytest.mark.parametrize("verb", ["measure", "compare"])
def test_device_of_no_kind(refused, verb):
    assert "abacus" in refused(verb, "eight_schools", "--device", "abacus")


@pytest.mark.parametrize("verb", ["predict", "measure", "compare"])
@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (("--inputs", "q[n]"), "q"),
        (("--inputs", "y["), "y["),
        (("--inputs", "y[n]", "--window", "1"), "--window"),
        (("--window", "-1"), "-1"),
        (("--function", "spline"), "spline"),
        (("--function", "mlp:0x"), "mlp:0x"),
        (("--function", "polynomial:x"), "polynomial:x"),
    ],
)
def test_impossible_inputs_and_functions(refused, verb, options, culprit):
    assert culprit in refused(verb, "eight_schools", *options)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (("--free", "z at"), "z at"),
        (("--free", "w"), "'w'"),
        (("--free", "z[n] at n mod two = 0"), "n mod two = 0"),
        (("--free", "z"), "nothing is amortized"),
        (("--free", "cover"), "no locals are tied"),
        (("--refine", "-1"), "-1"),
    ],
)
def test_impossible_free_locals_and_steps(refused, options, culprit):
    assert culprit in refused("measure", "eight_schools", *options)


def test_window_wider_than_the_series(refused):
    assert "500" in refused("predict", "local_level", "--window", "500")


@pytest.mark.parametrize("tolerance", ["0", "-1", "nan", "inf", "x"])
def test_tolerance_that_cannot_be_met(refused, tolerance):
    assert "tolerance" in refused("inputs", "random_walk", "--tolerance", tolerance)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (("--regime", "datset"), "dataset"),
        (("--sharing", "none"), "none"),
    ],
)
def test_unknown_regime_and_sharing(refused, options, culprit):
    assert culprit in refused("predict", "eight_schools", *options)


@pytest.mark.parametrize("fraction", ["0", "1", "-0.1", "2", "0.001", "x"])
def test_holdout_that_leaves_nothing(refused, fraction):
    message = refused("compare", "eight_schools", "--holdout", fraction)
    assert "held-out" in message or "holdout" in message or "Holding" in message


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (("--set", "tau"), "tau"),
        (("--set", "tauu=2"), "tau"),
        (("--set", "tau=two"), "two"),
        (("--set", "tau=1", "--set", "tau=2"), "twice"),
        (("--size", "M=3"), "M"),
        (("--size", "N=0"), "N=0"),
        (("--size", "N=1.5"), "1.5"),
        (("--size", "N=99999"), "N=99999"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_values_that_cannot_be_set(refused, options, culprit):
    verb = "compare" if "--seed" in options or "N=99999" in options else "check"
    assert culprit in refused(verb, "linear", *options)


def test_unknown_verb_and_option(refused):
    assert "check" in refused("chek", "saw")
    assert "--windw" in refused("predict", "saw", "--windw", "1")
    assert "MODEL" in refused("check")


OUT_VERBS = ("check", "predict", "measure", "compare", "inputs", "draw")


@pytest.mark.parametrize("verb", OUT_VERBS)
def test_out_that_is_a_file(refused, tmp_path, verb):
    path = tmp_path / "taken"
    path.write_text("precious")
    assert "taken" in refused(verb, "linear", "--out", path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("verb", OUT_VERBS)
def test_out_below_a_file(refused, tmp_path, verb):
    path = tmp_path / "taken"
    path.write_text("precious")
    assert "taken" in refused(verb, "linear", "--out", path / "below")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no file system known to refuse all writes")
@pytest.mark.parametrize("verb", OUT_VERBS)
def test_out_that_cannot_be_written(refused, verb):
    assert "/proc/nowhere" in refused(verb, "linear", "--out", "/proc/nowhere")


@pytest.mark.parametrize("verb", ["measure", "compare"])
def test_save_that_cannot_be_written(refused, tmp_path, verb):
    assert "--save" in refused(verb, "linear", "--save", tmp_path)
    (tmp_path / "taken").write_text("precious")
    assert "--save" in refused(verb, "linear", "--save", tmp_path / "taken" / "below")


def test_bad_input_leaves_no_folder_behind(refused, tmp_path):
    refused("compare", "eight_schools", "--inputs", "q[n]", "--out", tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_new_keeps_what_is_there(refused, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    assert "mine.toml" in refused("new", path)
    assert path.read_text() == "precious"
    assert ".toml" in refused("new", tmp_path / "mine")


def test_interruption_is_130_and_no_traceback():
    # A background shell hands its children an ignored SIGINT; a user's terminal does not.
    code = (
        "import signal, sys; from avi_theory.cli import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "print('ready', file=sys.stderr, flush=True); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "compare", "poisson_exposure", "--seed", "1"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr.readline() == "ready\n"
        time.sleep(1)
        os.kill(process.pid, signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert out == "" and "interrupted" in err and "Traceback" not in err


def swallowed():
    with contextlib.suppress(KeyboardInterrupt):  # as an import of a library may
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_an_interruption_that_a_library_swallows_ends_the_work_at_the_next_word():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    told = []
    try:
        with pytest.raises(KeyboardInterrupt), listening(), speaking("work", 0) as tell:
            tell("begun")
            told.append("begun")
            swallowed()
            tell("going on")
            told.append("going on")
        with pytest.raises(KeyboardInterrupt), listening():
            swallowed()
            told.append("ended")
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["begun", "ended"]


@pytest.mark.parametrize("verb", ["predict", "measure", "compare"])
@pytest.mark.parametrize(
    ("factor", "culprit"),
    [("w", "z=gamma"), ("w=gama", "gamma"), ("v=gamma", "no latent"), ("w=beta", "positive")],
)
def test_factors_that_cannot_be(refused, verb, factor, culprit):
    assert culprit in refused(verb, "newcomb", "--factor", factor)
