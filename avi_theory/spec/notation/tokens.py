"""From a model text to statements of tokens: comments, continued lines, limits.

A statement is one line, or several while a bracket is open.  Every token knows its line and
column, so every problem can be shown at its place.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass, field

from avi_theory.errors import ModelError, Problem, nearest

KEYWORDS = ("index", "given", "network", "global", "local", "observed", "potential")
"""The words a statement may begin with."""

TAIL_WORDS = ("for", "in", "over", "missing")
"""The words that structure the end of a statement."""

MAX_TEXT = 200_000
MAX_STATEMENTS = 400
MAX_TOKENS = 20_000
MAX_DEPTH = 40
MAX_NAME = 60
MAX_PROBLEMS = 60

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<op>\*\*|->|<=|>=|[-+*/@()\[\],:~=<>])"
    r"|(?P<space>[\s\\]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_PAIRS = {")": "(", "]": "["}


@dataclass(frozen=True)
class Token:
    """A word, a number or a sign, and where it stands (counted from 1)."""

    kind: str
    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Statement:
    """One statement: its tokens without the keyword, and the text as written."""

    keyword: Token
    tokens: tuple[Token, ...]
    text: str

    @property
    def line(self) -> int:
        """The line it begins on."""
        return self.keyword.line


@dataclass
class Problems:
    """The problems found so far, at most `MAX_PROBLEMS`, none twice at one place."""

    found: dict[tuple[int, int, str], Problem] = field(default_factory=dict)

    def add(self, place: Token, message: str, hint: str = "") -> None:
        """Remember a problem at a token."""
        if len(self.found) < MAX_PROBLEMS:
            key = (place.line, place.column, message)
            self.found.setdefault(key, Problem(place.line, place.column, message, hint))

    def __bool__(self) -> bool:
        return bool(self.found)

    def raise_if_any(self) -> None:
        """Raise all problems at once, if there is one."""
        if self.found:
            raise ModelError(self.found.values())


def tokens_of_line(line: str, number: int, problems: Problems) -> list[Token] | None:
    """The tokens of one physical line, or None if it holds something unreadable."""
    tokens: list[Token] = []
    readable, end = True, -1
    for match in _TOKEN.finditer(line):
        kind, text = str(match.lastgroup), match.group()
        token = Token(kind, text, number, match.start() + 1)
        if kind == "other" and text == "#":
            break
        if kind == "space":
            continue
        if kind == "name":
            text = unicodedata.normalize("NFKC", text)
            token = Token(kind, text, number, match.start() + 1)
        problem = _unreadable(token, tokens, match.start() == end)
        if problem is not None:
            problems.add(token, *problem)
            readable = False
        tokens.append(token)
        end = match.end()
    return tokens if readable else _declaring(tokens)


def _declaring(tokens: list[Token]) -> list[Token]:
    """What is left of an unreadable line: its keyword and the name it declares."""
    marker = Token("broken", "", tokens[0].line, tokens[0].column)
    return [*tokens[:2], marker]


def _unreadable(token: Token, before: list[Token], touching: bool) -> tuple[str, str] | None:
    text = token.text
    if token.kind == "other":
        hint = {
            "^": "Write a power as a**b.",
            ";": "Put every statement on its own line.",
            '"': "A model text holds no strings.",
            "'": "A model text holds no strings.",
            "{": "Use round or square brackets.",
            "}": "Use round or square brackets.",
        }.get(text, "Use names, numbers, + - * / ** @, brackets, and the words of the notation.")
        return f"Found the character {text!r}, which the notation does not have.", hint
    if token.kind == "name":
        if before and touching and before[-1].kind == "number":
            number = before[-1].text
            return f"Found {number + text!r}.", f"Write a product as {number}*{text}."
        if len(text) > MAX_NAME:
            return f"A name of {len(text)} characters is too long.", f"At most {MAX_NAME}."
        if not text.isidentifier():
            return f"{text!r} is not a name.", "Use letters, digits and _."
        structural = text in TAIL_WORDS or (not before and text in KEYWORDS)
        if keyword.iskeyword(text) and not structural:
            return (
                f"{text!r} is a Python keyword, and Python keywords are not names.",
                f"Choose another name, for example '{text}_'.",
            )
    if token.kind == "number":
        if before and touching and before[-1].kind == "number":
            return f"Found {before[-1].text + text!r}.", "Write one number with one decimal point."
        if len(text) > 400:
            return f"A number of {len(text)} digits is too long to mean anything.", "Shorten it."
    return None


def statements_of(text: object, problems: Problems) -> list[Statement]:
    """The statements of a text.

    A line inside an open bracket continues its statement, unless it begins like a statement: then
    the bracket was forgotten, which is reported, and reading goes on with the new statement.
    """
    start = Token("name", "", 1, 1)
    if not isinstance(text, str):
        problems.add(start, f"A model is a text, not {type(text).__name__}.")
        return []
    if len(text) > MAX_TEXT:
        problems.add(
            start, f"A text of {len(text)} characters is too long.", f"At most {MAX_TEXT}."
        )
        return []
    found: list[Statement] = []
    pending: list[Token] = []
    written: list[str] = []
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        tokens = tokens_of_line(line, number, problems)
        if not tokens:
            continue
        if pending and len(tokens) > 1 and tokens[0].text in KEYWORDS and tokens[1].kind == "name":
            _close(pending, written, found, problems)
            pending, written, depth = [], [], 0
        pending += tokens
        written.append(line.split("#", 1)[0].strip())
        depth += sum((t.text in "([") - (t.text in ")]") for t in tokens if t.kind == "op")
        if len(pending) > MAX_TOKENS:
            problems.add(
                pending[0], f"This statement has more than {MAX_TOKENS} parts.", "Split it."
            )
            return found
        if depth <= 0:
            _close(pending, written, found, problems)
            pending, written, depth = [], [], 0
        if len(found) > MAX_STATEMENTS:
            problems.add(
                found[-1].keyword, f"More than {MAX_STATEMENTS} statements.", "Use indices."
            )
            return found
    if pending:
        _close(pending, written, found, problems)
    return found


def _close(
    tokens: list[Token], written: list[str], found: list[Statement], problems: Problems
) -> None:
    """Turn tokens into a statement; report unmatched brackets and an unknown first word."""
    head = tokens[0]
    if head.text not in KEYWORDS:
        hint = nearest(head.text, KEYWORDS) or f"Begin with one of {', '.join(KEYWORDS)}."
        problems.add(head, f"Found {head.text!r} where a statement begins.", hint)
        body = [t for t in tokens[1:2] if t.kind == "name"] or [head]
        known = nearest(head.text, KEYWORDS).split("'")
        guess = known[1] if len(known) > 1 else "given"
        marker = Token("broken", "", head.line, head.column)
        head = Token("name", guess, head.line, head.column)
        found.append(Statement(head, (*body, marker), " ".join(written)))
        return
    if not _balanced(tokens, problems):
        tokens = [*tokens[:2], Token("broken", "", head.line, head.column)]
    found.append(Statement(head, tuple(tokens[1:]), " ".join(w for w in written if w)))


def _balanced(tokens: list[Token], problems: Problems) -> bool:
    opened: list[Token] = []
    for token in tokens:
        if token.kind != "op":
            continue
        if token.text in "([":
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                problems.add(token, f"Brackets are nested more than {MAX_DEPTH} deep.", "Split it.")
                return False
        elif token.text in _PAIRS:
            if not opened or opened[-1].text != _PAIRS[token.text]:
                problems.add(token, f"Found {token.text!r} without its opening bracket.")
                return False
            opened.pop()
    if opened:
        problems.add(opened[-1], f"The bracket {opened[-1].text!r} is never closed.")
        return False
    return True
