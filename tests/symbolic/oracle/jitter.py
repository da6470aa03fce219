"""The same text with other numbers: what cancels by coincidence no longer does."""

from __future__ import annotations

import ast
import random
from fractions import Fraction


def jittered(text: str, seed: int = 0) -> str:
    """The text with every number of its densities changed a little, zeros and subscripts kept.

    Args:
        text: a model; tables of givens stay as they are.
        seed: of the changes.
    """
    rng = random.Random(seed)
    return "\n".join(_line(line, rng) for line in text.splitlines())


def _line(line: str, rng: random.Random) -> str:
    word, _, body = line.partition(" ")
    if word not in {"local", "observed", "potential"}:
        return line
    left, tilde, right = body.rpartition("~")
    body, where, tail = right.partition(" for ")
    missing = " missing" if body.endswith(" missing") else ""
    tree = _Jitter(rng).visit(ast.parse(body.removesuffix(missing).strip(), mode="eval"))
    changed = ast.unparse(ast.fix_missing_locations(tree))
    return f"{word} {left}{tilde} {changed}{missing}{where}{tail}"


class _Jitter(ast.NodeTransformer):
    """Changes constants outside of subscripts and exponents."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left = self.visit(node.left)
        if not isinstance(node.op, ast.Pow):
            node.right = self.visit(node.right)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = Fraction(str(node.value)) * Fraction(self.rng.randint(90, 110), 100)
        return ast.parse(f"({value.numerator}/{value.denominator})", mode="eval").body
