"""`avi list`: the gallery."""

from __future__ import annotations

from avi_theory.cli import options
from avi_theory.cli.answer import Answer


def list_models(as_json: options.Json = False) -> Answer:
    """List the models of the gallery, with the verdict that each declares."""
    import tomllib

    from avi_theory.gallery import gallery_names, gallery_path
    from avi_theory.results.listing import Entry, Listing

    entries = []
    for name in gallery_names():
        file = tomllib.loads(gallery_path(name).read_text(encoding="utf-8"))
        closes = str(file.get("expect", {}).get("closes", "unknown"))
        entries.append(Entry(name, str(file.get("title", name)), closes))
    return Answer(Listing(tuple(entries)), as_json)
