"""`check` against brute force on random models: how many, of which kind, how many disagree.

    python benchmarks/check_oracle.py --count 5000 --seed 0

Prints the number of locals by structure and verdict, the models by family, the comparisons by
kind (verdict, inputs, optima, interacts_with, edges, unit, simple_hierarchical), and every
disagreement with its text.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from avi_theory.conditions import check
from avi_theory.results.report import Report
from avi_theory.spec.model import Model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "symbolic"))
from oracle.campaign import campaign


def decide(text: str) -> Report:
    return check(Model(text), witness=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    start = time.perf_counter()
    tally = campaign(range(wanted.seed, wanted.seed + wanted.count), decide)
    for seed, outcome in tally.troubles:
        print(f"seed {seed}\n{outcome}\n")
    print(tally)
    print(f"{time.perf_counter() - start:.0f} s on one core")
    return bool(tally.troubles)


if __name__ == "__main__":
    sys.exit(main())
