"""What a fresh process imports, and how soon it answers."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "matplotlib", "pandas")
SECONDS = 2.0
"""Of processor time, which other work on the machine does not stretch."""


def fresh(code, *arguments):
    """Run Python code in a process of its own; returns stdout and the processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


LOADED = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


@pytest.mark.parametrize(
    "code",
    [
        "import avi_theory",
        "import avi_theory.cli.app",
        "from avi_theory import check, load; check(load('eight_schools'))",
        "from avi_theory import check, load; check(load('random_walk'))",
        "from avi_theory import load, predict; predict(load('random_walk'), window=1)",
    ],
)
def test_neither_torch_nor_matplotlib(code):
    out, _ = fresh(f"{code}\n{LOADED}")
    assert not {"torch", "matplotlib"} & set(json.loads(out))


@pytest.mark.parametrize("name", ["eight_schools", "random_walk"])
def test_check_answers_soon_and_lean(name):
    code = (
        "import sys\nfrom avi_theory.cli import main\n"
        "code = main(sys.argv[1:])\n"
        f"assert not set(sys.modules) & set({HEAVY})\n"
        "sys.exit(code)"
    )
    seconds = min(fresh(code, "check", name, "--json")[1] for _ in range(3))
    assert seconds < SECONDS


def test_main_verb_is_not_shadowed_by_a_package():
    code = (
        "import avi_theory.comparison, avi_theory.report, avi_theory.figures, avi_theory.theory\n"
        "import avi_theory.conditions, avi_theory.numeric, avi_theory.cli.app\n"
        "import avi_theory\n"
        "for name in avi_theory.__all__:\n"
        "    assert callable(getattr(avi_theory, name)), name"
    )
    fresh(code)


def test_console_output_survives_a_narrow_locale():
    code = "import sys; from avi_theory.cli import main; sys.exit(main(['check', 'saw', '--json']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("ascii"))["model"] == "saw"
