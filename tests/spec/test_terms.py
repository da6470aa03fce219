"""References and positions: the quick ways give what sympy gives."""

from __future__ import annotations

import pytest
import sympy
from sympy import Indexed, IndexedBase, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.differences import gap, sign, slope

t, s, size = (terms.index_symbol(x) for x in ("t", "s", "T"))
POSITIONS = [
    sympy.Integer(0), sympy.Integer(-3), t, t - 1, t + 2, size, size - 1, 2 * t + 1, t + s,
    size - t, terms.ref("g", t), terms.ref("g", t) + 1, 2 * terms.ref("g", t) - t, s * t,
    2 * (t + s) - 3,
]  # fmt: skip


def plain(expr):
    """The same expression with sympy's own references."""
    return expr.replace(
        lambda e: isinstance(e, Indexed),
        lambda e: IndexedBase(terms.name_of(e), real=True)[tuple(map(plain, e.indices))],
    )


@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_a_reference_reads_and_behaves_as_sympys(position):
    made, theirs = terms.ref("z", position), IndexedBase("z", real=True)[plain(position)]
    assert str(made) == str(theirs) and sympy.latex(made) == sympy.latex(theirs)
    assert terms.text_of(made) == str(theirs) and terms.text_of(position) == str(position)
    assert made.is_real and made.is_commutative and made.is_positive is None
    assert {*map(str, made.free_symbols)} == {*map(str, theirs.free_symbols)}
    assert made.args == (made.base, position)
    assert made.xreplace({t: t + 1}) == terms.ref("z", position.xreplace({t: t + 1}))
    assert made == terms.ref("z", position) and hash(made) == hash(terms.ref("z", position))
    assert made != terms.ref("y", position) and made != terms.ref("z", position + 1)


def test_numbers_in_python_are_numbers_of_sympy():
    assert terms.put(terms.ref("z", t - 1), {t: 5}) == terms.ref("z", 4)
    assert all(isinstance(a, sympy.Basic) for a in terms._indexed("z", (7,)).args)


@pytest.mark.parametrize("step", [*map(sympy.Integer, (-2, 0, 1))], ids=str)
@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_a_step_is_a_sum(position, step):
    made = terms.stepped(position, step)
    assert made == position + step and str(made) == str(position + step)
    assert terms.put(t + step, {t: position}) == position + step


@pytest.mark.parametrize("left", POSITIONS, ids=str)
@pytest.mark.parametrize("right", POSITIONS, ids=str)
def test_gaps_slopes_and_signs_are_those_of_sympy(left, right):
    difference = sympy.expand(left - right)
    assert gap(left, right) == difference
    assert slope(left, t) == sympy.diff(left, t)
    found = {x: difference.coeff(x) for x in difference.free_symbols | difference.atoms(Indexed)}
    slopes = [c for c in found.values() if c != 0]
    known = bool(slopes) and all(c.is_number for c in slopes)
    if difference.is_number:
        expected = int(sympy.sign(difference))
    elif known and all(c > 0 for c in slopes):
        expected = 1
    elif known and all(c < 0 for c in slopes):
        expected = -1
    else:
        expected = None
    assert sign(difference) == expected


def test_names_are_read_off():
    assert terms.name_of(Symbol("mu", real=True)) == "mu" == terms.text_of(Symbol("mu", real=True))
