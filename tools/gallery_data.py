"""Write the gallery's data files: where each comes from, and how to make it again.

    python tools/gallery_data.py            # all of them
    python tools/gallery_data.py saw        # one

Every function below is one file of `models/data/`; a test makes each again and compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

Table = tuple[list[str], Iterable[tuple[object, ...]]]
FOLDER = Path(__file__).resolve().parent.parent / "models" / "data"


def eight_schools() -> Table:
    """Rubin (1981): estimated effects and their standard errors, schools A to H."""
    effects = [28, 8, -3, 7, -1, 1, 18, 12]
    errors = [15, 10, 16, 11, 9, 11, 10, 18]
    return ["y", "s"], zip(effects, errors, strict=True)


def local_level() -> Table:
    """Annual flow of the Nile at Aswan, 1871-1970, in 10⁸ cubic metres."""
    flow = """
        1120 1160  963 1210 1160 1160  813 1230 1370 1140  995  935 1110  994 1020  960 1180  799
         958 1140 1100 1210 1150 1250 1260 1220 1030 1100  774  840  874  694  940  833  701  916
         692 1020 1050  969  831  726  456  824  702 1120 1100  832  764  821  768  845  864  862
         698  845  744  796 1040  759  781  865  845  944  984  897  822 1010  771  676  649  846
         812  742  801 1040  860  874  848  890  744  749  838 1050  918  986  797  923  975  815
        1020  906  901 1170  912  746  919  718  714  740
    """
    return ["x"], [(int(v),) for v in flow.split()]


def linear() -> Table:
    """Margossian & Blei's design: N = 10,000 draws of Normal(0, sqrt(τ² + σ²)), NumPy seed 2307."""
    scale = np.hypot(1.155, 2.43)
    draws = scale * np.random.default_rng(2307).standard_normal(10_000)
    return ["x"], [(f"{v:.6f}",) for v in draws]


def saw() -> Table:
    """Margossian & Blei's own series: torch's CPU generator, seed 2012, single precision.

    Each step draws twice; the first draw, which would make the latent, is not used, because the
    published generator carries the observation on in the latent's place.
    """
    import torch

    generator = torch.Generator().manual_seed(2012)
    a, theta, x = 0.75, 3.4159, torch.zeros(1)
    rows = []
    for _ in range(1000):
        torch.randn(1, generator=generator)
        x = torch.randn(1, generator=generator) + a * (theta + x)
        rows.append((f"{x.item():.9g}",))  # nine digits name a single-precision number uniquely
    return ["x"], rows


def mixture() -> Table:
    """Fisher's irises: the petal length in cm, from scikit-learn's copy."""
    from sklearn.datasets import load_iris

    return ["x"], [(f"{v:.1f}",) for v in load_iris().data[:, 2]]


def logistic_groups() -> Table:
    """Efron & Morris (1975), table 1: hits in the first 45 times at bat, 18 players."""
    hits = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]
    rows = [(g, i, int(i <= h)) for g, h in enumerate(hits, 1) for i in range(1, 46)]
    return ["g", "i", "y"], rows


def poisson_exposure() -> Table:
    """Deaths from breast cancer and population at risk of 301 counties, from statsmodels' copy."""
    from statsmodels.datasets import cancer

    table = cancer.load_pandas().data
    counts = zip(table["cancer"], table["population"], strict=True)
    return ["y", "e"], [(int(y), int(e)) for y, e in counts]


def stochastic_volatility() -> Table:
    """Quarterly growth of real US GDP, 1959-2009, per cent, mean removed; statsmodels' copy."""
    from statsmodels.datasets import macrodata

    output = macrodata.load_pandas().data["realgdp"].to_numpy()
    growth = 100 * np.diff(np.log(output))
    return ["x"], [(f"{v:.6f}",) for v in growth - growth.mean()]


FILES: dict[str, Callable[[], Table]] = {
    f.__name__: f
    for f in (
        eight_schools, local_level, linear, saw, mixture, logistic_groups, poisson_exposure,
        stochastic_volatility,
    )
}  # fmt: skip


def text(name: str) -> str:
    """The CSV text of one file."""
    header, rows = FILES[name]()
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n"


def main(names: list[str]) -> None:
    """Write the named files, or all."""
    for name in names or FILES:
        (FOLDER / f"{name}.csv").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
