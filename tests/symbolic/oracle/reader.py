"""A second, small reader of the notation, so that the oracle shares no code with the analysis.

It covers what the generators write: scalar variables, offsets, ranges, ragged and mapped indices,
array literals, sums, edge values and potentials.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from fractions import Fraction
from types import CodeType

ROLES = ("global", "local", "observed")


@dataclass(frozen=True)
class Code:
    """An expression compiled from its text, with its decimal constants kept exact."""

    text: str
    code: CodeType = field(compare=False)
    constants: dict[str, Fraction] = field(compare=False)

    @classmethod
    def of(cls, text: str) -> Code:
        """Compile a text of the notation."""
        constants: dict[str, Fraction] = {}

        class Exact(ast.NodeTransformer):
            def visit_Constant(self, node: ast.Constant) -> ast.AST:
                name = f"_{len(constants)}"
                constants[name] = Fraction(str(node.value))
                return ast.copy_location(ast.Name(name, ast.Load()), node)

        tree = Exact().visit(ast.parse(text.strip(), mode="eval"))
        return cls(text, compile(ast.fix_missing_locations(tree), text, "eval"), constants)


@dataclass(frozen=True)
class Interval:
    """``letter in low:high``."""

    letter: str
    low: Code
    high: Code


@dataclass(frozen=True)
class Statement:
    """One density or potential at every point of its ranges.

    Attributes:
        name: the variable on the left; "" for a potential.
        subscripts: of the left side.
        ranges: outermost first.
        family: the distribution; "" for a potential.
        arguments: positional ones and named ones by name; a potential has one.
        missing: whether the data may lack cells, and the density with them.
    """

    name: str
    subscripts: tuple[Code, ...]
    ranges: tuple[Interval, ...]
    family: str
    arguments: tuple[Code, ...]
    named: tuple[tuple[str, Code], ...] = ()
    missing: bool = False


@dataclass
class Program:
    """A text, read.

    Attributes:
        letters: index letter to its interval, in the order of declaration.
        roles: variable name to its role.
        axes: name of a variable or given to its letters.
        maps: membership map to the letter of the index it points into.
        values: givens that the text tells.
        positive: covariates with ``> 0``.
        edges: value of a variable outside its range: (name, subscript texts) to the value.
    """

    letters: dict[str, Interval] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)
    values: dict[str, Code] = field(default_factory=dict)
    positive: set[str] = field(default_factory=set)
    edges: dict[tuple[str, tuple[str, ...]], Code] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    supports: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def sizes(self) -> set[str]:
        """Names that only ranges use: ``N``, and ragged ``J``."""
        declared = {*self.roles, *self.axes, *self.letters, *self.values}
        used = set()
        for interval in [*self.letters.values(), *(r for s in self.statements for r in s.ranges)]:
            for code in (interval.low, interval.high):
                used |= {n for n in code.code.co_names if n not in code.constants}
        return used - declared

    def of_role(self, role: str) -> list[str]:
        """Variables of one role."""
        return [n for n, r in self.roles.items() if r == role]


def split(text: str, at: str = ",") -> list[str]:
    """Split outside brackets."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == at and depth == 0:
            parts.append(text[start:k])
            start = k + 1
    return [p.strip() for p in (*parts, text[start:]) if p.strip()]


def reference(text: str) -> tuple[str, tuple[str, ...]]:
    """``z[t,1]`` as name and subscripts."""
    name, _, rest = text.strip().partition("[")
    return name.strip(), tuple(split(rest.rstrip()[:-1])) if rest else ()


def _interval(text: str) -> Interval:
    letter, ends = re.split(r"\s+in\s+|\s*=\s*", text.strip(), maxsplit=1)
    low, high = split(ends, ":")
    return Interval(letter.strip(), Code.of(low), Code.of(high))


def read(text: str) -> Program:
    """Read a text that the generators wrote."""
    program = Program()
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    rest: list[tuple[str, str]] = []
    for line in filter(None, lines):
        word, body = line.split(None, 1)
        if word == "index":
            for part in split(body):
                interval = _interval(part)
                program.letters[interval.letter] = interval
        elif word == "given":
            for part in split(body):
                _given(program, part)
        else:
            rest.append((word, body))
    for word, body in rest:
        if word == "potential":
            body, ranges = _ranges(body)
            program.statements.append(
                Statement("", (), _ordered(program, ranges, set()), "", (Code.of(body),))
            )
        else:
            _density(program, word, body)
    return program


def _given(program: Program, part: str) -> None:
    target = re.match(r"[\w\s]+(\[[^=<>]*?\])?(?=\s*(=|>|\bin\b|$))", part)
    assert target, part
    name, subs = reference(target.group())
    tail = part[target.end() :].strip()
    if tail.startswith("in "):
        program.maps[name] = tail[3:].strip()
    elif tail.startswith("="):
        if subs and not all(s in program.letters for s in subs):
            program.edges[name, subs] = Code.of(tail[1:])
            return
        program.values[name] = Code.of(tail[1:])
    elif tail.startswith(">"):
        program.positive.add(name)
    program.axes[name] = subs


def _ranges(body: str) -> tuple[str, list[Interval]]:
    body, _, tail = body.partition(" for ")
    return body.strip(), [_interval(p) for p in split(tail)]


def _ordered(program: Program, explicit: list[Interval], used: set[str]) -> tuple[Interval, ...]:
    bound = {r.letter for r in explicit}
    declared = [r for x, r in program.letters.items() if x in used and x not in bound]
    return (*declared, *explicit)


def _density(program: Program, role: str, body: str) -> None:
    left, _, right = body.partition("~")
    missing = right.endswith(" missing")
    right, ranges = _ranges(right.removesuffix(" missing"))
    name, subs = reference(left)
    call = ast.parse(right.strip(), mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name), right
    used = {s for s in subs if s in program.letters}
    arguments = tuple(Code.of(ast.unparse(a)) for a in call.args)
    named = tuple((k.arg or "", Code.of(ast.unparse(k.value))) for k in call.keywords)
    program.roles[name] = role
    letters = program.axes.get(name, ("",) * len(subs))
    program.axes[name] = tuple(
        s if re.fullmatch(r"[a-z]\w*", s) else old for s, old in zip(subs, letters, strict=True)
    )
    if program.supports.get(name, ("", 0))[1] == 0:
        program.supports[name] = _support(call, program)
    program.statements.append(
        Statement(
            name, tuple(Code.of(s) for s in subs), _ordered(program, ranges, used),
            call.func.id, arguments, named, missing,
        )
    )  # fmt: skip


def _support(call: ast.Call, program: Program) -> tuple[str, int]:
    family = call.func.id  # type: ignore[attr-defined]
    if family == "Categorical":
        row = call.args[0]
        while isinstance(row, ast.Subscript):
            row = row.value
        if isinstance(row, ast.Name):
            row = ast.parse(program.values[row.id].text.strip(), mode="eval").body
        while isinstance(row, ast.List) and isinstance(row.elts[0], ast.List):
            row = row.elts[0]
        return "categories", len(row.elts)  # type: ignore[attr-defined]
    return {
        "Bernoulli": ("categories", 2),
        "Poisson": ("count", 0),
        "Gamma": ("positive", 0),
        "Exponential": ("positive", 0),
        "HalfNormal": ("positive", 0),
        "LogNormal": ("positive", 0),
        "InverseGamma": ("positive", 0),
        "Beta": ("unit", 0),
    }.get(family, ("real", 0))
