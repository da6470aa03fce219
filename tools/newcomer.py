"""The README's path from nothing to the verdict and the gap of one's own model, timed.

    python tools/newcomer.py [--torch 'torch==2.13.0'] [--most 600]

Makes an environment in a temporary folder, runs the commands of the README's bash blocks there as
they stand (installation, then a model of one's own), and fails where one fails, where an answer
does not show up, or where it took longer than ten minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIGNS = {"check": "Amortization can be lossless", "compare": "amortization gap: measured"}
"""What the answers of the last block must hold."""


def blocks(readme: Path = ROOT / "README.md") -> list[list[str]]:
    """The lines of each bash block, without comments."""
    found = re.findall(r"```bash\n(.*?)```", readme.read_text("utf-8"), re.S)
    return [[re.sub(r"\s+# .*", "", line) for line in b.splitlines() if line] for b in found]


def own() -> list[str]:
    """The block about a model of one's own."""
    return next(lines for lines in blocks() if any(line.startswith("avi new") for line in lines))


def walk(lines: list[str], folder: Path, path: str) -> str:
    """Run shell lines in a folder; returns what they printed.

    Raises:
        RuntimeError: a line failed.
    """
    told = ""
    for line in lines:
        print(f"$ {line}", flush=True)
        run = subprocess.run(
            line, shell=True, cwd=folder, capture_output=True, text=True,
            env={**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        if run.returncode:
            raise RuntimeError(f"{line} ended with {run.returncode}: {run.stderr.strip()}")
        told += run.stdout
    return told


def missing(told: str) -> list[str]:
    """The verbs whose answer is not there."""
    return [verb for verb, sign in SIGNS.items() if sign not in told]


def main() -> int:
    """Walk the path; 0 if it was short enough and ended in an answer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--torch", help="pip's words for PyTorch instead of the README's")
    parser.add_argument("--most", type=float, default=600.0, help="seconds")
    asked = parser.parse_args()
    install = next(lines for lines in blocks() if lines[0].startswith("pip install torch"))
    if asked.torch:
        install[0] = f"pip install {asked.torch}"
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        path = str(folder / "env" / ("Scripts" if os.name == "nt" else "bin"))
        walk(install, ROOT, path)
        installed = time.perf_counter() - begin
        told = walk(own(), folder, path)
    spent = time.perf_counter() - begin
    print(told)
    print(f"{spent:.0f} s, {installed:.0f} of them for the installation")
    if gone := missing(told):
        print(f"no answer of {', '.join(gone)}", file=sys.stderr)
    return int(bool(gone) or spent > asked.most)


if __name__ == "__main__":
    sys.exit(main())
