"""The verbs of `avi`, one file each; a new one is a new file and a line in `VERBS`."""

from __future__ import annotations

from collections.abc import Callable

from avi_theory.cli.answer import Answer
from avi_theory.cli.verbs.check import check
from avi_theory.cli.verbs.compare import compare
from avi_theory.cli.verbs.draw import draw
from avi_theory.cli.verbs.inputs import inputs
from avi_theory.cli.verbs.list import list_models
from avi_theory.cli.verbs.measure import measure
from avi_theory.cli.verbs.new import new
from avi_theory.cli.verbs.predict import predict
from avi_theory.cli.verbs.reproduce import reproduce
from avi_theory.cli.verbs.show import show

VERBS: tuple[tuple[str, Callable[..., Answer]], ...] = (
    ("list", list_models),
    ("show", show),
    ("check", check),
    ("predict", predict),
    ("measure", measure),
    ("compare", compare),
    ("inputs", inputs),
    ("draw", draw),
    ("new", new),
    ("reproduce", reproduce),
)
