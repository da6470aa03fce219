"""A trained inference function: applied to new data, and judged on held-out data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.families import Family, families
from avi_theory.numeric.functions import FunctionName, function_named
from avi_theory.numeric.layout import Layout
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import Amortized, Parametrisation
from avi_theory.numeric.posterior import summarise
from avi_theory.numeric.semi import checked, climb
from avi_theory.numeric.solve import Options
from avi_theory.results.measurement import Posterior
from avi_theory.spec.bound import Bound, bind
from avi_theory.spec.model import Model


@dataclass(frozen=True, eq=False)
class Head:
    """The function of one local variable.

    Attributes:
        texts: its inputs.
        values: the inputs it was fitted on, ``[M, F]``; they fix how inputs are standardised.
        function: built on them; parameters: ``[n]``.
        name: of the function's kind, which knows how it sees its inputs; layout: of the values.
    """

    texts: tuple[str, ...]
    values: np.ndarray
    function: Any
    parameters: Tensor
    name: FunctionName
    layout: Layout


@dataclass(frozen=True, eq=False)
class Trained:
    """All inference functions of a model.

    Attributes:
        model: with its values, without the sizes of the data it was fitted on.
        heads: by local variable.
        globals: tables of the factors that A-VI fitted beside them.
        where: device and dtype.
        factors: the kinds of factors that were chosen.
    """

    model: Model
    heads: Mapping[str, Head]
    globals: Mapping[str, Tensor]
    where: Where
    factors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        bound: Bound,
        parameters: Parametrisation,
        p: Tensor,
        function: str,
        where: Where,
        factors: Mapping[str, str] | None = None,
    ) -> Trained:
        """The functions inside a fitted parametrisation."""
        kind = function_named(function)
        heads, shared = {}, {}
        for name, block in parameters.blocks.items():
            if not isinstance(block, Amortized):
                shared[name] = block.table(parameters.part(p, name)).detach()
            else:
                own = parameters.part(p, name)[: block.function.size].detach()
                sees = block.inputs
                heads[name] = Head(sees.texts, sees.fitted, block.function, own, kind, sees.layout)
        return cls(without_sizes(bound.model), heads, shared, where, dict(factors or {}))

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The inputs by local variable."""
        return {name: h.texts for name, h in self.heads.items()}

    def tables(self, bound: Bound, kinds: Mapping[str, Family]) -> dict[str, Tensor]:
        """Tables of the locals on other data; NaN where inputs are incomplete or never seen."""
        found = {}
        for name, head in self.heads.items():
            sees = head.name.look(bound, bound.model.variables[name], head.texts)
            values = sees.rows
            if not head.layout.tokens and values.shape[1] != head.values.shape[1]:
                raise InputError(
                    f"The function of {name} was fitted on {head.values.shape[1]} numbers per "
                    f"latent, and these data have {values.shape[1]}: sets of other lengths. Fit "
                    "one that reads sets of any length: set:32."
                )
            table = torch.full(
                kinds[name].shape, torch.nan, dtype=self.where.dtype, device=self.where.device
            )
            inner = self.where.index(np.flatnonzero(sees.complete))
            with torch.no_grad():
                rows = head.function.apply(head.parameters, values[sees.complete])
            found[name] = table.index_copy(0, inner, rows)
        return found

    def infer(self, data: Any, refine: int = 0) -> Posterior:
        """The locals' factors on new data, after so many steps of F-VI's solver on them."""
        bound = data if isinstance(data, Bound) else bind(
            self.model, data, require_data=bool(refine)
        )  # fmt: skip
        kinds = families(bound, self.factors)
        tables = self.tables(bound, kinds)
        if checked(refine):
            elbo = elbo_of(bound, self.where, factors=self.factors)
            start = {**self.globals, **{n: torch.nan_to_num(t) for n, t in tables.items()}}
            tables, _ = climb(elbo, start, list(tables), Options(iterations=refine))
        return summarise(bound, kinds, tables)

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved to build the functions again."""
        found = {f"shared.{name}": t.cpu().numpy() for name, t in self.globals.items()}
        for name, head in self.heads.items():
            found[f"function.{name}.parameters"] = head.parameters.cpu().numpy()
            found[f"function.{name}.inputs"] = head.values
            found[f"function.{name}.layout"] = head.layout.to_array()
            unit = getattr(head.function, "unit", None)
            if unit is not None:
                found[f"function.{name}.unit"] = unit.cpu().numpy()
        return found

    @classmethod
    def restored(
        cls,
        model: Model,
        kinds: Mapping[str, Family],
        arrays: Mapping[str, np.ndarray],
        texts: Mapping[str, tuple[str, ...]],
        function: str,
        where: Where,
        seed: int,
        factors: Mapping[str, str],
    ) -> Trained:
        """The functions from what `arrays` kept."""
        name_of = function_named(function)
        heads = {}
        for name, own in texts.items():
            values = arrays[f"function.{name}.inputs"]
            layout = Layout.from_array(arrays[f"function.{name}.layout"])
            built: Any = name_of.build(kinds[name], values, layout, where, seed)
            if f"function.{name}.unit" in arrays:
                built.unit = where.tensor(arrays[f"function.{name}.unit"])
            p = where.tensor(arrays[f"function.{name}.parameters"])
            heads[name] = Head(tuple(own), values, built, p, name_of, layout)
        shared = {
            k.removeprefix("shared."): where.tensor(v)
            for k, v in arrays.items() if k.startswith("shared.")
        }  # fmt: skip
        return cls(model, heads, shared, where, factors)


def without_sizes(model: Model) -> Model:
    """The model without explicit sizes, so that new data tell theirs."""
    return model.replace(values={k: v for k, v in model.values.items() if k not in model.sizes})


def held_out(
    trained: Trained, data: Any, tables: Mapping[str, Tensor], options: Options
) -> dict[str, Any]:
    """The amortization gap on held-out data, globals kept as they were fitted.

    Args:
        trained: the inference functions.
        data: the held-out data.
        tables: of the fitted factors, for the globals.
        options: of the solver that fits the free locals.

    Returns:
        ``gap`` in nats, ``latents`` it covers, ``status`` of the free locals' fit.  Points whose
        inputs are incomplete keep their free factors in both.
    """
    bound = data if isinstance(data, Bound) else bind(trained.model, data, require_data=True)
    elbo = elbo_of(bound, trained.where, factors=trained.factors)
    amortized = trained.tables(bound, elbo.families)
    start = {**tables, **{n: torch.nan_to_num(t) for n, t in amortized.items()}}
    free, run = climb(elbo, start, list(amortized), options)
    filled = {n: torch.where(torch.isnan(t), free[n], t) for n, t in amortized.items()}
    gap = float(elbo({**start, **free}) - elbo({**start, **filled}))
    return {"gap": gap, "latents": bound.latents, "status": run.status.name}
