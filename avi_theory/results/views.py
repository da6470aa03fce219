"""How an answer shows itself: as text, as HTML, as a figure.

The answers stand below the views and must not import them; they only know that views exist.  A view
is looked up by name when somebody asks for it, so that a result stays plain data until then.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def as_text(result: Any) -> str:
    """The result as a readable screen, without colours."""
    return str(import_module("avi_theory.report").text(result))


def as_html(result: Any) -> str:
    """The result as an HTML fragment, for notebooks."""
    return str(import_module("avi_theory.report").html(result))


def as_figure(result: Any, name: str | None = None) -> Any:
    """The result as a matplotlib figure; `name` chooses among the figures that accept it.

    Raises:
        InputError: no figure draws this kind of result, or none of that name.
    """
    return import_module("avi_theory.figures").draw(result, name)
