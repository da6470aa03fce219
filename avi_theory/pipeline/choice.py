"""Which inputs and which function a question is asked with, where the user did not say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from avi_theory.errors import InputError
from avi_theory.results.report import Report
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import at_commas
from avi_theory.spec.model import Model
from avi_theory.spec.variational import fits, named_family, unlike_default
from avi_theory.spec.windows import ordered, widest

Inputs = str | Sequence[str] | None
DEFAULT_WINDOW = 1
"""For a model that no bounded inputs close: the own observations and those of the next neighbours,
where there are any."""
DEFAULTS = {
    0: "the own observations of each latent are this package's default (--inputs adds others)",
    DEFAULT_WINDOW: "the window of one neighbour on each side is this package's default "
    "(--window K widens it)",
}
DEFAULT_NETWORK = "mlp:32x32"
DEFAULT_OF_A_SET, DEFAULT_OF_A_SERIES = "set:32", "recurrent:16"
"""For a local that needs its whole unit: blind to the order inside it, or along it."""
MEASURED_AS_THEY_ARE = {"Normal", "Categorical", "Bernoulli"}
"""Families of optimal factors whose natural parameters are affine in the measured ones."""


@dataclass(frozen=True)
class Choice:
    """What the inference function is given, and what it is.

    Attributes:
        inputs: named inputs, or None where `window` says them.
        window: the half-width, or None.
        function: the class.
        remark: why this choice, where the verdict alone did not make it, and what a window means.
        sufficient: whether the verdict says that this class of these inputs holds the optimum.
        default: whether the window is this package's own choice, and narrows to fit a short series.
        factors: of the latents whose factor is not the one that goes with their support.
    """

    inputs: tuple[str, ...] | None
    window: int | None
    function: str
    remark: str = ""
    sufficient: bool = False
    default: bool = False
    factors: Mapping[str, str] = field(default_factory=dict)

    def within(self, bound: Bound) -> Choice:
        """The same, a default window no wider than the series."""
        if not self.default or self.window is None:
            return self
        return replace(self, window=widest(bound, self.window))


def choose(
    model: Model,
    report: Report,
    inputs: Inputs,
    window: int | None,
    function: str | None,
    factors: Mapping[str, str] | None = None,
) -> Choice:
    """The user's inputs, function and factors, completed by the verdict's.

    Without a choice of inputs a closing model gets its own sufficient inputs; one that does not
    close gets a window of one neighbour on each side, since whole arrays are no usable input, or
    the own observations where no index has an order.

    Raises:
        InputError: both inputs and a window, or a factor that a latent cannot have.
    """
    if inputs is not None and window is not None:
        raise InputError("--inputs and --window exclude each other. Give one of them.")
    listed = _listed(inputs)
    remark, default = "", False
    if function == "constant" and listed is None and window is None:
        listed = ()
    if listed is None and window is None:
        whole = any(
            set(i.partition("[")[2]) <= set(":,]") and "[" in i
            for local in report.locals.values()
            for i in local.inputs
        )
        if report.closes == "no" or (whole and report.closes != "component"):
            default = True
            window = DEFAULT_WINDOW if any(ordered(model, v) for v in model.locals) else 0
            remark = f"no bounded inputs close this model; {DEFAULTS[window]}"
        else:
            listed = tuple(sorted({i for local in report.locals.values() for i in local.inputs}))
    optimal = _default_function(model, report)
    needed = {i for local in report.locals.values() for i in local.inputs}
    closed = report.closes in {"own", "inputs"} and is_closed_class(optimal)
    sufficient = closed and needed <= set(listed or ()) and function in {None, optimal}
    remarks = [r for r in (remark, _unordered(model, window)) if r]
    kinds = factors_of(model, report, factors)
    remark = "; ".join(remarks)
    return Choice(listed, window, function or optimal, remark, sufficient, default, kinds)


def _unordered(model: Model, window: int | None) -> str:
    """For which locals a window is no wider than the own observations."""
    names = [str(v) for v in model.locals if v.letters and not ordered(model, v)] if window else []
    if not names:
        return ""
    return (
        f"the points of {', '.join(names)} have no neighbours in this model, so that a window of "
        "any width is their own observations (--inputs adds others)"
    )


def factors_of(
    model: Model, report: Report, factors: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The user's factors; for other locals, the family of the optimal factor where it is known.

    Only those that differ from the factor that goes with the latent's support.
    """
    said = {n.strip() for names in factors or {} for n in names.split(",")}
    named = {
        name: named_family(local.optimal_factor.family)
        for name, local in report.locals.items()
        if local.optimal_factor is not None and name not in said
    }
    default = {
        name: kind for name, kind in named.items() if kind is not None and fits(model, name, kind)
    }
    return unlike_default(model, {**default, **(factors or {})})


def _listed(inputs: Inputs) -> tuple[str, ...] | None:
    if inputs is None:
        return None
    if isinstance(inputs, str):
        return split_inputs(inputs)
    return tuple(inputs)


def split_inputs(text: str) -> tuple[str, ...]:
    """Comma-separated inputs, commas inside brackets kept: ``y[g,:],s[g]``.

    Example:
        >>> split_inputs("y[g,:], s[g]")
        ('y[g,:]', 's[g]')
    """
    return tuple(p.strip() for p in at_commas(text) if p.strip())


def _default_function(model: Model, report: Report) -> str:
    """The optimal factor's class where it holds for all inputs, else a small network.

    The class speaks of observations at given covariates, and of the natural parameters: with a
    covariate, or a set of observations whose size varies, among the inputs only a general function
    will do, and so it is for a family whose measured parameters are others (the logarithms of mean
    and shape of a Gamma factor).  Log-linear means affine logits of a discrete factor.  A function
    that needs its whole unit knows its position inside it: no polynomial of the observations does,
    networks over units do.
    """
    inputs = [i for local in report.locals.values() for i in local.inputs]
    if report.closes == "component":
        return DEFAULT_OF_A_SERIES if _stepping(report) else DEFAULT_OF_A_SET
    if not all(_same_for_every_unit(model, i) for i in inputs):
        return DEFAULT_NETWORK
    factors = [local.optimal_factor for local in report.locals.values()]
    if any(f is not None and f.family not in MEASURED_AS_THEY_ARE for f in factors):
        return DEFAULT_NETWORK
    classes = {
        local.optimal_factor.function_class if local.optimal_factor else "none"
        for local in report.locals.values()
    }
    only = next(iter(classes)) if len(classes) == 1 else "none"
    return "affine" if only == "log-linear" else only if is_closed_class(only) else DEFAULT_NETWORK


def _stepping(report: Report) -> bool:
    """Whether locals of a unit are tied to those a step away, so that their order matters."""
    tied = (t for local in report.locals.values() for t in local.interacts_with)
    return any(re.search(r"[+-]\d", t) for t in tied)


def _same_for_every_unit(model: Model, text: str) -> bool:
    """Whether an input is observed and has the same shape at every unit: no ragged set, no gap."""
    variable = model.variables.get(text.partition("[")[0])
    if variable is None or variable.role != "observed" or variable.missing:
        return False
    ragged = any(a.letter in model.indices and model.indices[a.letter].parents
                 for a in variable.axes)  # fmt: skip
    return ": " not in text and not ragged


def is_closed_class(function: str) -> bool:
    """Whether theory may know the best function of this class: constants and polynomials."""
    return function in {"constant", "affine"} or function.startswith("polynomial")
