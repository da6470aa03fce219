"""The command line in this process, with its three channels."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from avi_theory.cli import main


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """stdout must be one JSON object and nothing else."""
        assert self.out.endswith("\n") and self.out.count("\n") == 1
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def avi(capsys):
    """Run `avi` with arguments."""

    def run(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(avi):
    """Run `avi` on bad input: exit 2, one clear message, nothing on stdout."""

    def run(*arguments):
        found = avi(*arguments)
        assert found.code == 2, found
        assert found.out == ""
        assert found.err.startswith("avi: ") and "Traceback" not in found.err
        return found.err

    return run
