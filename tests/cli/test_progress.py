"""Progress: nothing about short work, a line at times about long work, never on stdout."""

from __future__ import annotations

from avi_theory.cli import progress


def test_short_work_leaves_no_trace(capsys):
    with progress.working("fitting") as report:
        report("F-VI", 1, -2.0, 1e-3)
    assert capsys.readouterr() == ("", "")


def test_long_work_leaves_a_line_at_times(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    with progress.working("fitting schools") as report:
        report("F-VI", 7, -2.0, 1e-3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "avi: fitting schools: F-VI, iteration 7, ELBO -2.000000, gradient 1.0e-03\n"
    )
