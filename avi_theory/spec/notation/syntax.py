"""From a statement's tokens to its parts: names, subscripts, ranges, expressions as Python syntax.

Expressions are read by Python's own grammar (`ast`, never `eval`); which of its nodes mean
something is decided in `expressions`.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from avi_theory.spec.notation.tokens import Problems, Statement, Token


class Unreadable(Exception):
    """A statement that cannot be taken apart; its problem has been reported."""


@dataclass(frozen=True)
class Code:
    """An expression as Python syntax, with the way back from a node to its place in the text."""

    node: ast.expr
    tokens: tuple[Token, ...]
    starts: tuple[int, ...]

    def place(self, node: ast.AST) -> Token:
        """The token a node begins at."""
        at = bisect_right(self.starts, getattr(node, "col_offset", 0)) - 1
        return self.tokens[max(0, min(at, len(self.tokens) - 1))]

    def at(self, node: ast.expr) -> Code:
        """The same text, read from another node."""
        return Code(node, self.tokens, self.starts)


@dataclass(frozen=True)
class RawRange:
    """``n = 1:N`` or ``t in 2:T``."""

    letter: Token
    low: Code
    high: Code


@dataclass(frozen=True)
class Item:
    """One declared thing: name, subscripts (None without brackets), dimensions after the colon."""

    name: Token
    subscripts: tuple[Code, ...] | None = None
    value: Code | None = None
    comparison: tuple[Token, Code] | None = None
    member_of: Token | None = None


@dataclass(frozen=True)
class Raw:
    """One statement, taken apart.

    Attributes:
        keyword: its first word; items: what it declares (several for ``given``).
        ranges: of ``index`` and after ``for``; over: letters after ``over``.
        inputs, output: dimensions of a network, or (output) of a variable ``: R[50]``.
        call: the density after ``~``; body: a potential's expression.
        broken: a part was unreadable; the names still count as declared.
    """

    statement: Statement
    keyword: str
    items: tuple[Item, ...] = ()
    ranges: tuple[RawRange, ...] = ()
    over: tuple[Token, ...] = ()
    inputs: tuple[Code | None, ...] = ()
    output: Code | None = None
    call: Code | None = None
    body: Code | None = None
    missing: bool = False
    broken: bool = False

    @property
    def name(self) -> str:
        """The first declared name."""
        return self.items[0].name.text


Tokens = Sequence[Token]


def read(statement: Statement, problems: Problems) -> Raw:
    """Take a statement apart; what fails is reported and the rest is kept as `broken`."""
    try:
        return _READERS[statement.keyword.text](statement, problems)
    except Unreadable:
        names = [t for t in statement.tokens[:1] if t.kind == "name"]
        return Raw(statement, statement.keyword.text, tuple(Item(n) for n in names), broken=True)


def _fail(problems: Problems, place: Token, message: str, hint: str = "") -> Unreadable:
    problems.add(place, message, hint)
    return Unreadable()


def _split(tokens: Tokens, sign: str) -> list[list[Token]]:
    """Split at a sign outside all brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in "([") - (token.text in ")]")
        if depth == 0 and token.text == sign:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _code(tokens: Tokens, after: Token, problems: Problems, what: str = "an expression") -> Code:
    """Read tokens as one Python expression."""
    if any(t.kind == "broken" for t in tokens):
        raise Unreadable
    if not tokens:
        raise _fail(problems, after, f"Expected {what} after {after.text!r}.")
    for token in tokens:
        if token.text in ("~", "->") or (token.kind == "name" and token.text in ("for", "in")):
            raise _fail(problems, token, f"Found {token.text!r} inside an expression.")
    starts, pieces, at = [], [], 0
    for token in tokens:
        starts.append(at)
        pieces.append(token.text)
        at += len(token.text.encode()) + 1
    source = " ".join(pieces)
    try:
        node = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        offset = len(source[: max(0, (error.offset or 1) - 1)].encode())
        place = tokens[max(0, min(bisect_right(starts, offset) - 1, len(tokens) - 1))]
        found = f"near {place.text!r}"
        raise _fail(
            problems, place, f"Cannot read this expression {found}.", "Check signs and commas."
        ) from None
    except (RecursionError, MemoryError, ValueError):
        raise _fail(
            problems, tokens[0], "This expression is nested too deep.", "Split it."
        ) from None
    return Code(node, tuple(tokens), tuple(starts))


def _range(letter: Token, tokens: Tokens, problems: Problems) -> RawRange:
    ends = _split(tokens, ":")
    if len(ends) != 2:
        raise _fail(problems, letter, "Expected a range.", f"For example {letter.text} = 1:N.")
    low = _code(ends[0], letter, problems, "the first index")
    high = _code(ends[1], tokens[len(ends[0])], problems, "the last index")
    return RawRange(letter, low, high)


def _name(tokens: Tokens, after: Token, problems: Problems) -> Token:
    if any(t.kind == "broken" for t in tokens[:1]):
        raise Unreadable
    if not tokens or tokens[0].kind != "name":
        found = f"found {tokens[0].text!r}" if tokens else "the line ends"
        place = tokens[0] if tokens else after
        raise _fail(problems, place, f"Expected a name after {after.text!r}, but {found}.")
    return tokens[0]


def _item(tokens: Tokens, after: Token, problems: Problems) -> Item:
    """A name with or without subscripts, and nothing else."""
    name = _name(tokens, after, problems)
    if len(tokens) == 1:
        return Item(name)
    if tokens[1].kind == "broken":
        raise Unreadable
    if tokens[1].text != "[" or tokens[-1].text != "]":
        hint = f"Write {name.text} or {name.text}[n] before '~', '=', ':' or '>'."
        raise _fail(problems, tokens[1], f"Found {tokens[1].text!r} after {name.text!r}.", hint)
    code = _code(tokens, after, problems)
    if not isinstance(code.node, ast.Subscript) or not isinstance(code.node.value, ast.Name):
        hint = f"Write {name.text}[a, b] with all subscripts in one bracket."
        raise _fail(problems, name, "This is not a name with subscripts.", hint)
    inner = code.node.slice
    subscripts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    return Item(name, tuple(code.at(s) for s in subscripts))


def _dimension(tokens: Tokens, after: Token, problems: Problems) -> Code | None:
    """``R[50]`` to the code of 50; ``R`` to None."""
    name = _name(tokens, after, problems)
    if name.text != "R":
        raise _fail(problems, name, f"Found {name.text!r}.", "A space is written R or R[50].")
    item = _item(tokens, after, problems)
    if item.subscripts is None:
        return None
    if len(item.subscripts) != 1:
        raise _fail(problems, name, "A space has one dimension.", "For example R[784].")
    return item.subscripts[0]


def _tail(
    tokens: Tokens, problems: Problems
) -> tuple[list[Token], dict[str, Tokens], Token | None]:
    """Split off ``for …``, ``over …`` and ``missing`` at the end."""
    head: list[Token] = []
    tails: dict[str, list[Token]] = {}
    missing: Token | None = None
    current = head
    depth = 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in "([") - (token.text in ")]")
        if depth == 0 and token.kind == "name" and token.text in ("for", "over"):
            if token.text in tails:
                hint = "Separate several ranges by commas."
                raise _fail(problems, token, f"A second {token.text!r}.", hint)
            current = tails[token.text] = [token]
        elif depth == 0 and token.kind == "name" and token.text == "missing":
            missing = token
        else:
            if missing is not None:
                hint = "Write 'missing' after the density."
                raise _fail(problems, token, f"Found {token.text!r} after 'missing'.", hint)
            current.append(token)
    return head, dict(tails), missing


def _for(tokens: Tokens, problems: Problems) -> tuple[RawRange, ...]:
    ranges: list[RawRange] = []
    for part in _split(tokens[1:], ","):
        letter = _name(part, tokens[0], problems)
        if len(part) < 2 or part[1].text != "in":
            hint = f"Write 'for {letter.text} in 1:N'."
            raise _fail(problems, letter, f"Expected 'in' after {letter.text!r}.", hint)
        ranges.append(_range(letter, part[2:], problems))
    return tuple(ranges)


def _read_index(statement: Statement, problems: Problems) -> Raw:
    tokens = statement.tokens
    name = _name(tokens, statement.keyword, problems)
    if len(tokens) < 2 or tokens[1].text not in ("=", "in"):
        if len(tokens) > 1 and tokens[1].kind == "broken":
            raise Unreadable
        hint = f"For example 'index {name.text} = 1:N'."
        raise _fail(problems, name, f"Expected '=' after {name.text!r}.", hint)
    return Raw(statement, "index", (Item(name),), (_range(name, tokens[2:], problems),))


def _read_given(statement: Statement, problems: Problems) -> Raw:
    items: list[Item] = []
    broken = False
    for part in _split(statement.tokens, ","):
        try:
            items.append(_given_item(part, statement.keyword, problems))
        except Unreadable:
            broken = True
            items += [Item(t) for t in part[:1] if t.kind == "name"]
    return Raw(statement, "given", tuple(items), broken=broken)


def _given_item(tokens: Tokens, after: Token, problems: Problems) -> Item:
    depth = 0
    for i, token in enumerate(tokens):
        if token.kind == "op":
            depth += (token.text in "([") - (token.text in ")]")
        if depth or token.text not in ("=", ">", "<", ">=", "<=", "in"):
            continue
        item = _item(tokens[:i], after, problems)
        rest = tokens[i + 1 :]
        if token.text == "in":
            target = _name(rest, token, problems)
            if len(rest) > 1:
                hint = f"For example '{item.name.text}[i] in {target.text}'."
                raise _fail(problems, rest[1], f"Found {rest[1].text!r}.", hint)
            return Item(item.name, item.subscripts, member_of=target)
        code = _code(rest, token, problems)
        if token.text == "=":
            return Item(item.name, item.subscripts, value=code)
        return Item(item.name, item.subscripts, comparison=(token, code))
    return _item(tokens, after, problems)


def _read_network(statement: Statement, problems: Problems) -> Raw:
    tokens = statement.tokens
    name = _name(tokens, statement.keyword, problems)
    if len(tokens) < 2 or tokens[1].text != ":":
        if len(tokens) > 1 and tokens[1].kind == "broken":
            raise Unreadable
        hint = f"For example 'network {name.text} : R[2] -> R[10]'."
        raise _fail(problems, name, f"Expected ':' after {name.text!r}.", hint)
    density = _split(tokens[2:], "~")
    arrow = _split(density[0], "->")
    if len(arrow) != 2 or len(density) > 2:
        hint = f"For example 'network {name.text} : R[2] -> R[10]'."
        raise _fail(problems, name, "Expected one '->' between two spaces.", hint)
    inputs = tuple(_dimension(p, tokens[1], problems) for p in _split(arrow[0], ","))
    output = _dimension(arrow[1], tokens[1], problems)
    call = _code(density[1], tokens[-1], problems) if len(density) == 2 else None
    return Raw(statement, "network", (Item(name),), (), (), inputs, output, call)


def _read_variable(statement: Statement, problems: Problems) -> Raw:
    keyword = statement.keyword
    head, tails, missing = _tail(statement.tokens, problems)
    density = _split(head, "~")
    if len(density) > 2:
        raise _fail(problems, keyword, "A statement has one '~'.", "Put each on its own line.")
    typed = _split(density[0], ":")
    if len(typed) > 2:
        raise _fail(problems, keyword, "A statement has one ':'.", "For example ': R[50]'.")
    item = _item(typed[0], keyword, problems)
    output = _dimension(typed[1], item.name, problems) if len(typed) == 2 else None
    tilde = head[len(density[0])] if len(density) == 2 else item.name
    call = _code(density[1], tilde, problems, "a distribution") if len(density) == 2 else None
    ranges = _for(tails["for"], problems) if "for" in tails else ()
    over: list[Token] = []
    for part in _split(tails["over"][1:], ",") if "over" in tails else ():
        over.append(_name(part, tails["over"][0], problems))
        if len(part) > 1:
            hint = "For example 'over n, m'."
            raise _fail(problems, part[1], f"Found {part[1].text!r} after a letter.", hint)
    if missing is not None and keyword.text != "observed":
        raise _fail(problems, missing, "Only observed variables can be missing.", "Remove it.")
    return Raw(
        statement, keyword.text, (item,), ranges, tuple(over), (), output, call,
        missing=missing is not None,
    )  # fmt: skip


def _read_potential(statement: Statement, problems: Problems) -> Raw:
    head, tails, missing = _tail(statement.tokens, problems)
    for place in [missing] if missing else tails.get("over", [])[:1]:
        raise _fail(problems, place, f"A potential has no {place.text!r}.", "Remove it.")
    body = _code(head, statement.keyword, problems)
    ranges = _for(tails["for"], problems) if "for" in tails else ()
    return Raw(statement, "potential", (), ranges, body=body)


_READERS: dict[str, Callable[[Statement, Problems], Raw]] = {
    "index": _read_index,
    "given": _read_given,
    "network": _read_network,
    "global": _read_variable,
    "local": _read_variable,
    "observed": _read_variable,
    "potential": _read_potential,
}
