"""Pages: hostile text stays text, nothing points to the network, the one script is the one that the policy allows."""

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from pipeline_lib.report import page

HOSTILE = "<script>alert(1)</script> \"quoted\" 'single' & $x$ {{ 7*7 }} \x00\x1b[31m \u202egnp.exe \ud800 </noscript></style>"

TEMPLATE = """{% extends "base.html.j2" %}
{% import "macros.html.j2" as ui %}
{% block filters %}{{ ui.search() }}{{ ui.select("split", "Split", [("", "all"), (words, words)]) }}{% endblock %}
{% block index %}{% call ui.entry("a b", words) %}{{ words }}{% endcall %}{% endblock %}
{% block content %}
<article {{ ui.item("a b", words, {"split": [words]}, {"f1": 0.5}) }}>
{% call ui.lazy() %}
{{ ui.timeline(10.0, [{"label": words, "spans": [{"start": 2.5, "end": 5.0, "text": words, "title": words, "kind": 12,
   "classes": "x", "data": {"clip": words}}]}]) }}
{% endcall %}
{{ ui.boxed("data:image/png;base64,", words, 64, 48, boxes) }}
{{ ui.table([words], [[words, 3]], words) }}
{{ ui.figure(words, src="data:image/png;base64,") }}
</article>
{% endblock %}
"""

BOXES = [{"box": [1, 2, 11, 22], "title": HOSTILE, "strength": 1.0, "data": {"t": HOSTILE}}]


class Parsed(HTMLParser):
    """Start tags with their attributes; the inside of noscript as a browser without scripts reads it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [values[name] for _, values in self.tags if name in values]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "hostile_page"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "templates/page.html.j2").write_text(TEMPLATE)
    (folder / "templates/more.js").write_text("report.count = (n) => `${n} {{ not a template }}`;\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hostile_page", raising=False)  # of another test's folder, which is gone by now
    return "hostile_page"


@pytest.fixture
def html(package):
    return page.render(
        "page.html.j2",
        package=package,
        title=HOSTILE,
        lead=HOSTILE,
        notes=[HOSTILE],
        provenance={HOSTILE: {"commit": HOSTILE}},
        scripts=["more.js"],
        words=HOSTILE,
        boxes=BOXES,
    )


def test_hostile_text_is_text(html):
    html.encode("utf-8")
    parsed = Parsed(html)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert "alert(1)" not in "".join(re.findall(r"<script>(.*?)</script>", html, re.DOTALL))
    assert html.count("<noscript>") == html.count("</noscript>") == 1
    assert not re.search("[\x00\x1b\u202e\ud800]", html)
    assert any("<script>alert(1)</script>" in text for text in parsed.text + parsed.attributes("title"))
    assert any("{{ 7*7 }}" in text for text in parsed.text)
    assert not [name for _, values in parsed.tags for name in values if name.startswith("on")]


def test_nothing_points_to_the_network(html):
    parsed = Parsed(html)
    for name in ("src", "href", "action", "poster", "srcset"):
        assert not [one for one in parsed.attributes(name) if not one.startswith(("#", "data:"))]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket", html)


def test_policy_allows_this_script_only(html):
    policy = next(values["content"] for tag, values in Parsed(html).tags if tag == "meta" and "http-equiv" in values)
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "http" not in policy


def test_same_values_same_bytes(package):
    values = {"title": "t", "words": "w", "boxes": BOXES, "package": package}
    assert page.render("page.html.j2", **values) == page.render("page.html.j2", **values)


def test_a_value_that_was_forgotten_is_an_error(package):
    with pytest.raises(UndefinedError, match="words"):
        page.render("page.html.j2", package=package, title="t")


def test_places_on_the_timeline(html):
    span = next(values for tag, values in Parsed(html).tags if values.get("class", "").startswith("span"))
    assert span["class"] == "span k2 x"
    assert span["style"] == "left:25%;width:25%"
    assert span["title"].endswith("(0:02.5–0:05.0)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (75.25, "1:15.2"), (3600, "1:00:00.0"), (7325.5, "2:02:05.5"), (-1, "0:00.0")],
)
def test_clock(seconds, text):
    assert page.clock(seconds) == text


def test_clock_without_fractions():
    assert page.clock(61.6, 0) == "1:02"
    assert page.clock(3599.9, 0) == "1:00:00"


@pytest.mark.parametrize(
    ("part", "whole", "css"), [(1, 4, "25%"), (1, 3, "33.33%"), (9, 4, "100%"), (-1, 4, "0%"), (1, 0, "0%")]
)
def test_percent(part, whole, css):
    assert page.percent(part, whole) == css
