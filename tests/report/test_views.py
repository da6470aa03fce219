"""Every result has a view; every view renders as text and as HTML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from avi_theory.figures import fitting, render
from avi_theory.report import VIEWS, html, markdown, page, text


class Balanced(HTMLParser):
    """Fails on tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "path", "use", "rect", "circle", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in {"path", "use", "rect", "circle"}:
            assert self.open.pop() == tag


def test_every_view_is_tried(samples):
    assert {type(r).__name__ for r in samples} >= set(VIEWS) - {"Measurement"}


def test_text_fits_a_screen_without_colours(result):
    shown = text(result)
    assert shown.strip() and "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 100 or "Portrait" in type(result).__name__


def test_html_is_balanced_and_escaped(result):
    fragment = html(result)
    parser = Balanced()
    parser.feed(fragment)
    assert parser.open == []
    assert "<b>odd" not in fragment


def test_page_needs_nothing_else(result):
    drawn = [(f.caption, render(f, result, "svg").decode()) for f in fitting(result)]
    document = page("A page", result, drawn)
    parser = Balanced()
    parser.feed(document)
    assert parser.open == []
    assert document.count("<svg") == len(drawn)
    for foreign in ("<script", "<link", "<img", "@import", ' src="'):
        assert foreign not in document


def test_markdown_has_the_same_tables_each_time(result):
    first, second = (markdown("A page", result, [("A figure", "a.svg")]) for _ in range(2))
    assert first == second
    assert first.startswith("# A page\n")
    assert "![A figure](a.svg)" in first
    for line in first.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_products_are_no_emphasis_in_markdown():
    from avi_theory.report.blocks import Column, Table, prose
    from avi_theory.report.marked import markdown as marked

    blocks = [prose("2*a*b"), Table((Column("x|y"),), (("c**2|d",),), title="T")]
    assert marked("A", blocks).splitlines()[2:] == ["2\\*a\\*b", "", "## T", "", "| x|y |",
                                                    "|---|", "| c\\*\\*2\\|d |"]  # fmt: skip


def test_identifiers_of_two_figures_do_not_clash(sample):
    found = sample("comparison")
    svg = render(fitting(found)[0], found, "svg").decode()
    document = page("A page", found, [("one", svg), ("two", svg)])
    body = document[document.index("<svg") : document.rindex("</svg>") + 6]
    parts = [p[: p.index("</svg>") + 6] for p in body.split("<svg")[1:]]
    identifiers = [{e.get("id") for e in ET.fromstring("<svg" + p).iter()} for p in parts]
    assert not (identifiers[0] & identifiers[1]) - {None}


def test_a_contradiction_says_so(sample):
    assert "contradict" in text(sample("contradiction"))
    assert sample("contradiction").exit_code == 3
    assert sample("comparison").exit_code == 0


def test_results_show_themselves(result):
    assert str(result).strip()
