"""Model files: a TOML file declares a model and what is known about it, and computes nothing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avi_theory.errors import InputError, ModelError, Problem, nearest
from avi_theory.spec.model import Model
from avi_theory.spec.notation import examine

MAX_BYTES = 2_000_000
SECTIONS = ("sizes", "data", "typical", "networks", "expect")
KEYS = ("title", "about", "references", "model", *SECTIONS)
VERDICTS = ("own", "inputs", "component", "no", "unknown")


@dataclass(frozen=True)
class Complaint:
    """A problem at a key of a section."""

    section: str
    key: str
    message: str
    hint: str = ""


def load_file(path: str | Path) -> Model:
    """Read a model file.

    Args:
        path: a TOML file; its name without ``.toml`` becomes the model's name.

    Returns:
        The model, with title, references, default sizes, data file, typical ranges, network
        options and expectations.

    Raises:
        InputError: there is no such readable file.
        ModelError: every problem of the file, with its line.
    """
    path = Path(path)
    source = _source(path)
    content = _content(path, source)
    text = content.get("model")
    lines = _Lines(source)
    complaints = list(_shape_complaints(content))
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    if isinstance(text, str):
        fields, kinds, found = examine(text)
        problems += [lines.of_text(text, p) for p in found]
        complaints += _name_complaints(content, kinds, fields)
    problems += [lines.of_key(c) for c in complaints]
    if problems:
        raise ModelError(problems, source=str(path))
    return _built(path, content, fields)


def _built(path: Path, content: Mapping[str, Any], fields: Mapping[str, Any]) -> Model:
    model = object.__new__(Model)
    for key, declared in Model.__dataclass_fields__.items():
        if key not in fields and callable(declared.default_factory):
            model._fill({key: declared.default_factory()})
        elif key not in fields:
            model._fill({key: declared.default})
    model._fill(fields)
    typical = {n: (float(r[0]), float(r[1])) for n, r in content.get("typical", {}).items()}
    return model.replace(
        name=path.stem,
        title=content.get("title", ""),
        about=content.get("about", "").strip(),
        references=tuple(content.get("references", ())),
        default_sizes=dict(content.get("sizes", {})),
        data_file=content.get("data", {}).get("file"),
        folder=str(path.parent.resolve()),
        typical=typical,
        network_options=dict(content.get("networks", {})),
        expect=dict(content.get("expect", {})),
    )


def _source(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"The file {path} is larger than a model. Pass a TOML model file.")
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The file {path} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The model file {path} cannot be read: {reason}. Give the path of a .toml file."
        ) from None


def _content(path: Path, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", message)
        line, column = (int(place[1]), int(place[2])) if place else (source.count("\n") + 1, 1)
        what = message.split(" (at ")[0]
        problem = Problem(line, column, f"This is not TOML: {what}.", "Check quotes and brackets.")
        raise ModelError([problem], source=str(path)) from None
    except (RecursionError, ValueError):
        problem = Problem(1, 1, "This TOML is nested too deep.", "A model file is flat.")
        raise ModelError([problem], source=str(path)) from None


# -- what each key must hold -------------------------------------------------------------------


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TOP: dict[str, tuple[Callable[[Any], bool], str]] = {
    "title": (lambda v: isinstance(v, str), "a text"),
    "about": (lambda v: isinstance(v, str), "a text"),
    "references": (_strings, "a list of texts"),
    "model": (lambda v: isinstance(v, str), "a text in the notation"),
    **{s: (lambda v: isinstance(v, dict), "a section") for s in SECTIONS},
}


def _shape_complaints(content: Mapping[str, Any]) -> Iterator[Complaint]:
    """Unknown keys, missing keys and wrong types."""
    if "model" not in content:
        hint = nearest("model", content) or 'Add model = """…""" with the statements.'
        yield Complaint("", "", "The file declares no model.", hint)
    for key, value in content.items():
        if key not in _TOP:
            hint = nearest(key, KEYS) or f"Known: {', '.join(KEYS)}."
            yield Complaint("", key, f"The key {key!r} is unknown.", hint)
        elif not _TOP[key][0](value):
            found = type(value).__name__
            yield Complaint("", key, f"{key!r} must be {_TOP[key][1]}, not {found}.")
    for section, check in _ENTRIES.items():
        table = content.get(section, {})
        if isinstance(table, dict):
            for key, value in table.items():
                yield from check(key, value)


def _size_entry(key: str, value: Any) -> Iterator[Complaint]:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10**12:
        message = f"The size {key!r} must be a whole number from 1 to 10**12, but is {value!r}."
        yield Complaint("sizes", key, message, f"Write {key} = 100.")


def _data_entry(key: str, value: Any) -> Iterator[Complaint]:
    if key != "file":
        yield Complaint("data", key, f"The key {key!r} of [data] is unknown.", "Known: file.")
    elif not isinstance(value, str) or not value:
        hint = 'For example file = "data/x.csv".'
        yield Complaint("data", key, "'file' must be a path as a text.", hint)


def _typical_entry(key: str, value: Any) -> Iterator[Complaint]:
    pair = isinstance(value, list) and len(value) == 2 and all(_number(v) for v in value)
    if not pair or not value[0] < value[1]:
        message = f"The typical range of {key!r} must be [low, high], but is {value!r}."
        yield Complaint("typical", key, message, f"For example {key} = [0.3, 2.0].")


def _network_entry(key: str, value: Any) -> Iterator[Complaint]:
    section = f"networks.{key}"
    if not isinstance(value, dict):
        yield Complaint("networks", key, f"The options of {key!r} must be a section.")
        return
    for option, setting in value.items():
        if option == "hidden":
            whole = isinstance(setting, list) and all(
                isinstance(w, int) and not isinstance(w, bool) and w > 0 for w in setting
            )
            if not whole:
                message = "'hidden' must be a list of widths."
                yield Complaint(section, option, message, "For example hidden = [200, 200].")
        elif option == "activation":
            if not isinstance(setting, str):
                message = "'activation' must be a text."
                yield Complaint(section, option, message, 'For example activation = "elu".')
        else:
            hint = nearest(option, ("hidden", "activation")) or "Known: hidden, activation."
            yield Complaint(section, option, f"The option {option!r} is unknown.", hint)


def _expect_entry(key: str, value: Any) -> Iterator[Complaint]:
    if key == "closes" and value not in VERDICTS:
        message = f"'closes' must be one of {', '.join(VERDICTS)}, but is {value!r}."
        yield Complaint("expect", key, message)
    elif key == "simple_hierarchical" and not isinstance(value, bool):
        yield Complaint("expect", key, "'simple_hierarchical' must be true or false.")
    elif key == "inputs" and not (
        isinstance(value, dict) and all(_strings(v) for v in value.values())
    ):
        hint = 'For example inputs.z = ["y[n]"].'
        yield Complaint("expect", key, "'inputs' holds a list of texts per local.", hint)
    elif key not in _EXPECTED:
        hint = nearest(key, _EXPECTED) or f"Known: {', '.join(_EXPECTED)}."
        yield Complaint("expect", key, f"The key {key!r} of [expect] is unknown.", hint)


_EXPECTED = ("closes", "simple_hierarchical", "inputs", "unit", "edges", "interacts_with")
_ENTRIES: dict[str, Callable[[str, Any], Iterator[Complaint]]] = {
    "sizes": _size_entry,
    "data": _data_entry,
    "typical": _typical_entry,
    "networks": _network_entry,
    "expect": _expect_entry,
}


def _name_complaints(
    content: Mapping[str, Any], kinds: Mapping[str, str], fields: Mapping[str, Any]
) -> Iterator[Complaint]:
    """Names in the sections that the model text does not declare."""
    integers = [n for n, k in kinds.items() if k in ("size", "given")]
    expected = content.get("expect")
    inputs = expected.get("inputs", {}) if isinstance(expected, dict) else {}
    wanted: tuple[tuple[str, Any, list[str]], ...] = (
        ("sizes", content.get("sizes", {}), integers),
        ("typical", content.get("typical", {}), _of(kinds, "given", "global", "size")),
        ("networks", content.get("networks", {}), _of(kinds, "network")),
        ("expect", inputs, _of(kinds, "local")),
    )
    for section, table, valid in wanted:
        for key in table if isinstance(table, dict) else ():
            if key not in valid:
                hint = nearest(key, valid) or f"Known: {', '.join(valid) or 'none'}."
                message = f"[{section}] names {key!r}, which the model does not declare."
                name = f"inputs.{key}" if section == "expect" else key
                yield Complaint(section, name, message, hint)


def _of(kinds: Mapping[str, str], *wanted: str) -> list[str]:
    return [n for n, k in kinds.items() if k in wanted]


class _Lines:
    """Where things stand in the file."""

    def __init__(self, source: str) -> None:
        self.source = source

    def of_text(self, text: str, problem: Problem) -> Problem:
        """A problem of the model text, moved to its place in the file."""
        at = self.source.find(text) if text.strip() else -1
        if at < 0:
            message = f"In the model text: {problem.message}"
            return Problem(problem.line, problem.column, message, problem.hint)
        before = self.source[:at]
        first = len(before) - (before.rfind("\n") + 1) if problem.line == 1 else 0
        line = before.count("\n") + problem.line
        return Problem(line, problem.column + first, problem.message, problem.hint)

    def of_key(self, complaint: Complaint) -> Problem:
        """A complaint with the line of its key."""
        section = ""
        found = 1
        key = re.escape(complaint.key)
        inside = False
        for number, line in enumerate(self.source.split("\n"), start=1):
            if line.count('"""') == 1 or line.count("'''") == 1:
                opening = not inside
                inside = not inside
                if not opening:
                    continue
            elif inside:
                continue
            header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
            if header:
                section = header[1]
                if section in (complaint.key, f"{complaint.section}.{complaint.key}"):
                    found = number
                continue
            here = bool(complaint.key) and section == complaint.section
            if here and re.match(rf"\s*[\"']?{key}[\"']?\s*[=.]", line):
                return Problem(number, 1, complaint.message, complaint.hint)
        return Problem(found, 1, complaint.message, complaint.hint)
