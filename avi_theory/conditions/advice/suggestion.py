"""One piece of advice: the sentence, the model that results, and what `check` must say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avi_theory.errors import InputError, ModelError
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis, analyse

SEPARATE = ("own", "inputs")
"""Verdicts of locals that are left alone by all others."""

BOUNDED = (*SEPARATE, "component")
"""Verdicts of locals whose component stays bounded."""


@dataclass(frozen=True)
class Suggestion:
    """Advice that can be applied.

    Attributes:
        sentence: what to do and what it gives.
        applied: the text of the model after it; "" where the model stays as it is.
        closes: the verdicts that the sentence promises.
        unit: the unit that it promises; () where it says nothing of it.
        values: values of the original model, kept where the new text still has the name.
        proved: whether the verdict follows from the construction, so that only the text is tried.
    """

    sentence: str
    applied: str = ""
    closes: tuple[str, ...] = BOUNDED
    unit: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    proved: bool = False

    def model(self) -> Model:
        """The model after the advice.

        Raises:
            ModelError: the text is none.
        """
        model = Model(self.applied)
        kept = {k: v for k, v in self.values.items() if k in model.givens}
        return model.with_values(**kept)

    def holds(self) -> bool:
        """Whether the model can be declared, and `check` agrees or must agree."""
        if not self.applied:
            return True
        try:
            model = self.model()
        except (ModelError, InputError):
            return False
        return self.proved or self.agrees(analyse(model))

    def agrees(self, found: Analysis) -> bool:
        """Whether the verdict on the model after the advice is the promised one."""
        return found.closes in self.closes and (not self.unit or found.unit == self.unit)
