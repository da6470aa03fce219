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


def rats() -> Table:
    """Gelfand et al. (1990), table 3: weights (grams) of 30 control rats at 8, 15, …, 36 days."""
    weights = """
        151 199 246 283 320  145 199 249 293 354  147 214 263 312 328  155 200 237 272 297
        135 188 230 280 323  159 210 252 298 331  141 189 231 275 305  159 201 248 297 338
        177 236 285 350 376  134 182 220 260 296  160 208 261 313 352  143 188 220 273 314
        154 200 244 289 325  171 221 270 326 358  163 216 242 281 312  160 207 248 288 324
        142 187 234 280 316  156 203 243 283 317  157 212 259 307 336  152 203 246 286 321
        154 205 253 298 334  139 190 225 267 302  146 191 229 272 302  157 211 250 285 323
        132 185 237 286 331  160 207 257 303 345  169 216 261 295 333  157 205 248 289 316
        137 180 219 258 291  153 200 244 286 324
    """
    return ["n", "j", "y"], [(k // 5 + 1, k % 5, int(y)) for k, y in enumerate(weights.split())]


def coagulation() -> Table:
    """Box, Hunter & Hunter (1978), table 6.1: coagulation times (seconds) by diet."""
    diets = ["62 60 63 59", "63 67 71 64 65 66", "68 66 71 67 68 68", "56 62 60 61 63 64 63 59"]
    return ["g", "i", "y"], [
        (g, i, int(y))
        for g, times in enumerate(diets, 1)
        for i, y in enumerate(times.split(), 1)
    ]  # fmt: skip


LSAT = """
    3 6 2 11 1 1 3 4 1 8 0 16 0 3 2 15 10 29 14 81 3 28 15 80 16 56 21 173 11 61 28 298
"""
"""How many of 1,000 candidates gave each of the 32 answer patterns 00000, 00001, …, 11111."""


def item_response() -> Table:
    """Bock & Lieberman (1970): section 6 of the LSAT, every tenth candidate in pattern order."""
    patterns = np.repeat(np.arange(32), [int(c) for c in LSAT.split()])[9::10]
    rows = [
        (person, item, pattern >> (5 - item) & 1)
        for person, pattern in enumerate(patterns, 1)
        for item in range(1, 6)
    ]
    return ["person", "item", "y"], rows


def strikes() -> Table:
    """Kennan (1985): log durations of strikes and their year's production; statsmodels' copy."""
    from statsmodels.datasets import strikes as source

    table = source.load_pandas().data
    labels = {u: k for k, u in enumerate(dict.fromkeys(table["iprod"]), 1)}
    rows = [
        (labels[u], labels[u], u, f"{np.log(d):.6f}")
        for d, u in zip(table["duration"], table["iprod"], strict=True)
    ]
    return ["year", "of", "u", "y"], rows


def coal_mining() -> Table:
    """Jarrett (1979): British coal-mining disasters a year, 1851-1962, 191 in all."""
    counts = """
        4 5 4 1 0 4 3 4 0 6 3 3 4 0 2 6 3 3 5 4 5 3 1 4 4 1 5 5 3 4 2 5 2 2 3 4 2 1 3 2
        2 1 1 1 1 3 0 0 1 0 1 1 0 0 3 1 0 3 2 2 0 1 1 1 0 1 0 1 0 0 0 2 1 0 0 0 1 1 0 2
        3 3 1 1 2 1 1 1 1 2 3 3 0 0 0 1 4 0 0 0 1 0 0 0 0 0 1 0 0 1 0 1
    """
    return ["y"], [(int(y),) for y in counts.split()]


def lattice() -> Table:
    """The first of scikit-learn's digits, a zero: 1 where a pixel is at least half dark."""
    from sklearn.datasets import load_digits

    image = load_digits().images[0] >= 8
    return ["i", "j", "x"], [(i + 1, j + 1, int(image[i, j])) for i, j in np.ndindex(8, 8)]


def gaussian_process() -> Table:
    """Urban share and log rate of violent crime, 51 states, standardised; statsmodels' copy."""
    from statsmodels.datasets import statecrime

    table = statecrime.load_pandas().data
    s, y = table["urban"].to_numpy(), np.log(table["violent"].to_numpy())
    columns = ((v - v.mean()) / v.std() for v in (s, y))
    return ["s", "y"], [(f"{a:.6f}", f"{b:.6f}") for a, b in zip(*columns, strict=True)]


def co2() -> Table:
    """The first 110 weeks of carbon dioxide at Mauna Loa; statsmodels' copy."""
    from statsmodels.datasets import co2 as source

    weeks = source.load_pandas().data["co2"].to_numpy()[:110]
    return ["t", "x"], [(t, "" if np.isnan(x) else f"{x:.1f}") for t, x in enumerate(weeks, 1)]


def copper() -> Table:
    """World consumption of copper, 1951-1975, in million metric tons; statsmodels' copy."""
    from statsmodels.datasets import copper as source

    return ["x"], [(f"{x / 1000:.4f}",) for x in source.load_pandas().data["WORLDCONSUMPTION"]]


def varieties() -> Table:
    """Fisher's irises: species and petal length in cm, from scikit-learn's copy."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    return ["kind", "x"], [
        (k + 1, f"{x:.1f}") for k, x in zip(iris.target, iris.data[:, 2], strict=True)
    ]


def recessions() -> Table:
    """Quarterly growth of real US GDP, 1959-2009, per cent; statsmodels' copy."""
    from statsmodels.datasets import macrodata

    output = macrodata.load_pandas().data["realgdp"].to_numpy()
    return ["x"], [(f"{v:.6f}",) for v in 100 * np.diff(np.log(output))]


def newcomb() -> Table:
    """Newcomb's passage times of light, nanoseconds less 24,800 (Stigler 1977, table 5)."""
    times = """
        28 26 33 24 34 -44 27 16 40 -2 29 22 24 21 25 30 23 29 31 19 24 20 36 32 36 28 25 21 28 29
        37 25 28 26 30 32 36 26 30 22 36 23 27 27 28 27 31 27 26 33 26 32 32 24 39 28 24 25 32 25
        29 27 28 29 16 23
    """
    return ["x"], [(int(x),) for x in times.split()]


def pumps() -> Table:
    """Failures of ten pumps and their operating times (Gaver & O'Muircheartaigh 1987, table 3)."""
    failures = [5, 1, 5, 14, 3, 19, 1, 1, 4, 22]
    hours = [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]
    return ["t", "x"], zip(hours, failures, strict=True)


def inflation() -> Table:
    """Quarterly US inflation from the second quarter of 1959 on; statsmodels' copy."""
    from statsmodels.datasets import macrodata

    return ["x"], [(f"{v:.2f}",) for v in macrodata.load_pandas().data["infl"][1:]]


def digits() -> dict[str, np.ndarray]:
    """1,797 digits of 8 by 8 pixels (Alpaydin & Kaynak 1998), dark from 8 of 16 on."""
    from sklearn.datasets import load_digits

    return {"x": (load_digits().data >= 8).astype(np.uint8)}


ARRAYS: dict[str, Callable[[], dict[str, np.ndarray]]] = {f.__name__: f for f in (digits,)}
"""Vectors do not fit into CSV: these become NPZ files."""
FILES: dict[str, Callable[[], Table]] = {
    f.__name__: f
    for f in (
        eight_schools, local_level, linear, saw, mixture, logistic_groups, poisson_exposure,
        stochastic_volatility, rats, coagulation, item_response, strikes, coal_mining, lattice,
        gaussian_process, co2, copper, varieties, recessions, newcomb, inflation, pumps,
    )
}  # fmt: skip


def text(name: str) -> str:
    """The CSV text of one file."""
    header, rows = FILES[name]()
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n"


def main(names: list[str]) -> None:
    """Write the named files, or all."""
    for name in names or (*FILES, *ARRAYS):
        if name in ARRAYS:
            np.savez_compressed(FOLDER / f"{name}.npz", **ARRAYS[name]())
        else:
            (FOLDER / f"{name}.csv").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
