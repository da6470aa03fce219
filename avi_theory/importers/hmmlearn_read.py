r"""hmmlearn's models written in the notation.

.. math:: z_1 \sim \pi,\quad z_t \sim A[z_{t-1}],\quad x_t \sim p(\cdot \mid z_t)

hmmlearn itself is not imported: a fitted model's parameters are attributes with public names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avi_theory.errors import DataError, InputError, nearest
from avi_theory.spec.model import Model

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("GaussianHMM", "CategoricalHMM", "PoissonHMM")


def from_hmmlearn(model: Any, lengths: Sequence[int] | None = None) -> Model:
    """A hidden Markov model of hmmlearn as a declared `Model`, its parameters as givens.

    One feature is observed as ``x[t]``, several as ``x0[t]``, ``x1[t]``, ….  A covariance matrix is
    written as the chain of regressions that its Cholesky factor is: x1 given x0 and the state, and
    so on.  `hmmlearn_data` brings observations into these columns.

    Args:
        model: a `GaussianHMM` of any covariance type, a `CategoricalHMM` or a `PoissonHMM` with
            its parameters set or fitted.
        lengths: of several sequences, as in hmmlearn; then the index ``s`` counts sequences and
            ``t`` runs from 1 to ``T[s]``.

    Returns:
        The model; evidence and posteriors are those of hmmlearn.

    Raises:
        InputError: a model of another kind, or one without parameters.

    Example:
        >>> from hmmlearn.hmm import PoissonHMM
        >>> quakes = PoissonHMM(2)
        >>> quakes.startprob_, quakes.transmat_ = [1.0, 0.0], [[0.9, 0.1], [0.2, 0.8]]
        >>> quakes.lambdas_ = [[15.0], [26.0]]
        >>> print(from_hmmlearn(quakes))
        # PoissonHMM with 2 states, from hmmlearn
        index t = 1:T
        given start = [1.0, 0.0]
        given A = [[0.9, 0.1], [0.2, 0.8]]
        given rate = [15.0, 26.0]
        local z[1] ~ Categorical(start)
        local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
        observed x[t] ~ Poisson(rate[z[t]])
    """
    kinds = [c.__name__ for c in type(model).__mro__ if c.__name__ in KINDS]
    if not kinds:
        name = type(model).__name__
        raise InputError(
            f"A {name} cannot be written in the notation. {nearest(name, KINDS)} "
            f"Use one of hmmlearn's {', '.join(KINDS)}."
        )
    start, moves = _attribute(model, "startprob_"), _attribute(model, "transmat_")
    several = lengths is not None
    at, end = ("s,t", "T[s]") if several else ("t", "T")
    first, before = at.replace("t", "1"), at.replace("t", "t-1")
    z = f"z[{at}]"
    givens, observed = _EMISSIONS[kinds[0]](model, z, at)
    lines = [
        *(["index s = 1:S"] if several else []),
        f"index t = 1:{end}",
        f"given start = {_literal(start)}",
        f"given A = {_literal(moves)}",
        *(f"given {name} = {_literal(value)}" for name, value in givens.items()),
        f"local z[{first}] ~ Categorical(start)",
        f"local {z} ~ Categorical(A[z[{before}]]) for t in 2:{end}",
        *observed,
    ]
    sizes = {} if lengths is None else {"S": len(lengths), "T": [int(n) for n in lengths]}
    title = f"{kinds[0]} with {len(start)} states, from hmmlearn"
    return Model("\n".join(lines), **sizes).replace(name="hmm", title=title)


def hmmlearn_data(
    observations: Any, lengths: Sequence[int] | None = None
) -> dict[str, np.ndarray] | pd.DataFrame:
    """Observations ``[steps, features]`` in the columns of `from_hmmlearn`'s model.

    Args:
        observations: all sequences one after the other, as hmmlearn takes them.
        lengths: of the sequences; None for one.

    Raises:
        DataError: lengths that do not add up.

    Example:
        >>> hmmlearn_data([[3], [1], [2]])
        {'x': array([3, 1, 2])}
        >>> hmmlearn_data([[3], [1], [2]], [2, 1]).to_dict("list")
        {'s': [1, 1, 2], 't': [1, 2, 1], 'x': [3, 1, 2]}
    """
    rows = np.asarray(observations)
    rows = rows[:, None] if rows.ndim == 1 else rows
    columns = dict(zip(_names(rows.shape[1]), rows.T, strict=True))
    if lengths is None:
        return columns
    counts = np.asarray(lengths, int)
    if counts.sum() != len(rows) or np.any(counts < 1):
        raise DataError(
            f"The lengths add up to {counts.sum()}, but there are {len(rows)} rows. "
            "Give one positive length per sequence."
        )
    import pandas as pd

    where = {"s": np.repeat(np.arange(len(counts)) + 1, counts),
             "t": np.concatenate([np.arange(n) + 1 for n in counts])}  # fmt: skip
    return pd.DataFrame({**where, **columns})


def _attribute(model: Any, name: str) -> np.ndarray:
    value = getattr(model, name, None)
    if value is None:
        raise InputError(
            f"The {type(model).__name__} has no {name}. Fit it, or set the parameter first."
        )
    return np.asarray(value, float)


def _names(features: int) -> list[str]:
    return ["x"] if features == 1 else [f"x{k}" for k in range(features)]


def _literal(value: np.ndarray) -> str:
    """A number or nested list, each number in the shortest form that reads back the same."""
    if value.ndim == 0:
        return repr(float(value))
    return "[" + ", ".join(_literal(v) for v in value) + "]"


def _squeezed(values: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of ``[states, features]`` by the suffix of their feature."""
    if values.shape[1] == 1:
        return {"": values[:, 0]}
    return {str(k): column for k, column in enumerate(values.T)}


Emission = tuple[dict[str, np.ndarray], list[str]]


def _categorical(model: Any, z: str, at: str) -> Emission:
    table = _attribute(model, "emissionprob_")
    return {"B": table}, [f"observed x[{at}] ~ Categorical(B[{z}])"]


def _poisson(model: Any, z: str, at: str) -> Emission:
    rates = _squeezed(_attribute(model, "lambdas_"))
    givens = {f"rate{k}": v for k, v in rates.items()}
    return givens, [f"observed x{k}[{at}] ~ Poisson(rate{k}[{z}])" for k in rates]


def _gaussian(model: Any, z: str, at: str) -> Emission:
    means, covs = _attribute(model, "means_"), _attribute(model, "covars_")
    if covs.ndim == 2:  # one matrix for all states
        covs = np.broadcast_to(covs, (len(means), *covs.shape))
    givens: dict[str, np.ndarray] = {}
    observed = []
    for k, mean in _squeezed(means).items():
        j = int(k or 0)
        slopes = np.stack([np.linalg.solve(c[:j, :j], c[:j, j]) for c in covs])
        rest = np.stack([c[j, j] - w @ c[:j, j] for c, w in zip(covs, slopes, strict=True)])
        if np.any(rest <= 0):
            raise InputError("A covariance of the GaussianHMM is not positive definite.")
        givens |= {f"m{k}": mean, f"sd{k}": np.sqrt(rest)}
        given_before = ""
        for i in range(j):
            if np.any(slopes[:, i] != 0):
                givens[f"w{j}_{i}"] = slopes[:, i]
                given_before += f" + w{j}_{i}[{z}]*(x{i}[{at}] - m{i}[{z}])"
        observed.append(f"observed x{k}[{at}] ~ Normal(m{k}[{z}]{given_before}, sd{k}[{z}])")
    return givens, observed


_EMISSIONS = {"GaussianHMM": _gaussian, "CategoricalHMM": _categorical, "PoissonHMM": _poisson}
