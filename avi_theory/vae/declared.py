r"""A VAE declared in the notation, read as codes, a decoder and a likelihood.

.. math:: z_n \sim N(0, I_d), \qquad x_n \sim p\big(x_n \mid \mathrm{decoder}(z_n)\big)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avi_theory.errors import InputError
from avi_theory.spec.model import Density, Model, Network, Variable

HIDDEN, ACTIVATION = (200, 200), "elu"
"""A network of a text without a file that says more: Cremer, Li and Duvenaud's."""
LIKELIHOODS = {"Bernoulli": ("logit", "bernoulli"), "Normal": ("mean", "gaussian")}
FORM = (
    "The laboratory fits z[n] : R[d] ~ Normal(0, 1) with x[n] : R[k] ~ Bernoulli(logit=f(z[n])) or "
    "Normal(f(z[n]), sd), f one network whose weights have no prior."
)


@dataclass(frozen=True)
class Declared:
    """What a model's text says about a VAE.

    Attributes:
        latent, observed: the variables' names; written: the latter with its index, ``x[n]``.
        codes, pixels: their dimensions d and k.
        likelihood: ``bernoulli`` or ``gaussian``; scale: of the latter, else None.
        hidden: the decoder's hidden widths; activation: between its layers.
    """

    latent: str
    observed: str
    written: str
    codes: int
    pixels: int
    likelihood: str
    scale: float | None
    hidden: tuple[int, ...]
    activation: str


def declared(model: Model) -> Declared:
    """A model's text as a VAE.

    Raises:
        InputError: the text declares something else; the message names it.
    """
    problem = next(_problems(model), None)
    if problem is not None:
        raise InputError(f"{model.name} {problem}, which is not measured here. {FORM}")
    prior, density = _statements(model)
    network = next(iter(model.networks.values()))
    _, likelihood = LIKELIHOODS[density.distribution]
    scale = float(density.arguments["sd"]) if likelihood == "gaussian" else None
    options = model.network_options.get(network.name, {})
    return Declared(
        prior.variable,
        density.variable,
        str(model.variables[density.variable]),
        _width(model, model.variables[prior.variable]),
        _width(model, model.variables[density.variable]),
        likelihood,
        scale,
        tuple(int(h) for h in options.get("hidden", HIDDEN)),
        str(options.get("activation", ACTIVATION)),
    )


def _problems(model: Model) -> Iterator[str]:
    """What keeps a text from being a VAE, most telling first."""
    if len(model.networks) != 1:
        yield f"has {len(model.networks)} networks"
        return
    network: Network = next(iter(model.networks.values()))
    if network.prior is not None:
        yield f"has a prior on the weights of {network.name}"
    if model.globals:
        yield f"has the global {model.globals[0]}"
    if len(model.locals) != 1 or len(model.observed) != 1 or model.potentials:
        yield f"has {len(model.locals)} locals and {len(model.observed)} observed variables"
        return
    if len(model.densities) != 2:
        yield "has several statements for one variable"
        return
    prior, density = _statements(model)
    if prior.distribution != "Normal" or _plain(prior.arguments) != {"mean": 0.0, "sd": 1.0}:
        yield f"says {prior.text!r}"
    if density.distribution not in LIKELIHOODS:
        yield f"says {density.text!r}"
        return
    word, _ = LIKELIHOODS[density.distribution]
    if not _is_network(density, word, network, prior):
        yield f"says {density.text!r}"
    if density.distribution == "Normal" and _number(density.arguments["sd"]) is None:
        yield f"has the standard deviation {density.arguments['sd']} in {density.text!r}"


def _statements(model: Model) -> list[Density]:
    """The local's, then the observed variable's."""
    return sorted(model.densities, key=lambda d: d.variable != model.locals[0].name)


def _is_network(density: Density, word: str, network: Network, prior: Density) -> bool:
    argument: Any = density.arguments.get(word)
    return (
        getattr(getattr(argument, "func", None), "__name__", "") == network.name
        and tuple(argument.args) == (prior.target,)
        and density.subscripts == prior.subscripts
    )


def _plain(arguments: Any) -> dict[str, float | None]:
    return {k: _number(v) for k, v in arguments.items()}


def _number(value: Any) -> float | None:
    return float(value) if getattr(value, "is_number", True) else None


def _width(model: Model, variable: Variable) -> int:
    if variable.dim is None:
        return 1
    known = {**model.default_sizes, **model.values}
    value: Any = variable.dim.subs({s: known[str(s)] for s in variable.dim.free_symbols})
    return int(value)
