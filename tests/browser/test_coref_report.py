"""coref_report.html in a browser, from disk: filters, order, keys, pictures, both themes, with and without scripts."""

import numpy as np
import pytest
from report_case import TITLE, work

from pipeline_lib.coref import report
from pipeline_lib.report.assets import Place

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[Place.INLINE, Place.FOLDER])
def page(request, tmp_path_factory):
    folder = work(tmp_path_factory.mktemp("report"))
    report.main(
        folder / "predictions.json",
        folder / "a page/coref_report.html",
        frames=folder / "frames",
        captions=folder / "captions.json",
        place=request.param,
        side=160,
        most=24,
    )
    return folder / "a page/coref_report.html"


SHOWN = "report.all('[data-item]:not([hidden])').map(report.slug)"
ENTRIES = "report.all('a.entry:not([hidden])').map(a => decodeURIComponent(a.hash.slice(4)))"
CHOSEN = """(item => [Number(item.querySelector('.clip.chosen').dataset.clip) + 1,
    Number(item.querySelector('.heat td.selected').dataset.s) + 1])(report.current())"""


def slugs(*names, protocol="without_proposals"):
    return [f"{protocol}/{name}0000001" for name in names]


def test_quiet_and_without_network(browser, page):
    tab = browser.open(page, "theme=dark")
    assert tab.problems == []
    assert {url.partition(":")[0] for url in tab.requests} == {"file"}
    assert tab.value("fetch('https://example.org').then(() => 'reached', () => 'refused')") == "refused"
    assert any("Content Security Policy" in problem for problem in tab.problems)


def test_hostile_title_is_text(browser, page):
    tab = browser.open(page)
    assert tab.value("document.querySelector('article h2').textContent.trim()") == TITLE
    assert tab.value("report.all('script').length") == 1
    assert tab.value("document.querySelector('.heat tbody tr:nth-child(2) bdi').textContent") == (
        "People marched </noscript><b>today</b>."
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", slugs("fire", "calm", "lost")),
        ("protocol=with_proposals", slugs("fire", "calm", "lost", protocol="with_proposals")),
        ("filter=false_positives", slugs("fire")),
        ("filter=false_negatives", slugs("fire", "lost")),
        ("filter=errors&split=test", slugs("lost")),
        ("filter=correct", slugs("fire", "calm")),
        ("filter=correct&type=march", slugs("calm")),  # of fire the explosion is correct, the march is not
        ("type=march", slugs("fire", "calm")),
        ("split=val", slugs("fire")),
        ("q=SHIP+sank", slugs("lost")),
        ("q=%3Cscript%3E", slugs("fire")),
        ("q=nowhere", []),
        ("sort=f1-up", slugs("lost", "fire", "calm")),
        ("sort=f1-down", slugs("calm", "fire", "lost")),
        ("sort=errors-down", slugs("fire", "lost", "calm")),
        ("filter=nonsense&split=nonsense", slugs("fire", "calm", "lost")),
    ],
)
def test_address_decides_what_shows(browser, page, state, expected):
    tab = browser.open(page, state)
    assert tab.value(SHOWN) == expected
    assert tab.value(ENTRIES) == expected
    assert tab.value("document.querySelector('[data-count]').textContent") == f"{len(expected)} of 3 videos"
    assert tab.value("document.querySelector('[data-nothing]').hidden") == bool(expected)
    assert tab.problems == []


def test_controls_change_the_address(browser, page):
    tab = browser.open(page)
    tab.value(
        "(s => { s.value = 'false_negatives'; s.dispatchEvent(new Event('input', {bubbles: true})) })"
        "(document.querySelector('[name=filter]'))"
    )
    assert tab.value("location.hash") == "#filter=false_negatives"
    tab.value("document.querySelector('[name=protocol][value=with_proposals]').click()")
    assert tab.value("location.hash") == "#filter=false_negatives&protocol=with_proposals"
    assert tab.value(SHOWN) == slugs("fire", "lost", protocol="with_proposals")
    tab.value("document.querySelector('[data-reset]').click()")
    assert tab.value("location.hash") == ""


def test_keys(browser, page):
    tab = browser.open(page)
    tab.press("j")
    assert tab.value("report.slug(report.current())") == slugs("fire")[0]
    assert tab.value("document.activeElement === report.current()")
    tab.press("j", "j", "j")  # stays at the last
    assert tab.value("report.slug(report.current())") == slugs("lost")[0]
    tab.press("k", "k")
    assert tab.value("report.slug(report.current())") == slugs("fire")[0]
    assert tab.value(CHOSEN) == [1, 1]
    tab.press("ArrowRight")
    assert tab.value(CHOSEN) == [2, 1]
    tab.press("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert tab.value(CHOSEN) == [1, 1]
    tab.press("/", "s", "h", "i", "p")
    assert tab.value(SHOWN) == slugs("lost")
    tab.press("Escape", "t")
    assert tab.value("document.documentElement.dataset.theme") == "light"
    tab.press("?")
    assert tab.value("document.querySelector('dialog').open")
    tab.press("Escape")
    assert not tab.value("document.querySelector('dialog').open")
    assert tab.problems == []


def test_keys_in_the_table(browser, page):
    tab = browser.open(page, "at=without_proposals%2Ffire0000001")
    tab.value("report.current().querySelector('.heat td.selected').focus()")
    tab.press("ArrowDown", "ArrowRight")
    assert tab.value(CHOSEN) == [2, 2]
    assert tab.value("document.activeElement.matches('.heat td.selected')")
    assert "clip=2&sentence=2" in tab.value("location.hash")


def test_address_scrolls_to_its_video(browser, page):
    tab = browser.open(page, "at=without_proposals/calm0000001", height=500)
    _, bar, _, height = tab.box("form.filters")
    _, top, _, _ = tab.box("[data-current]")
    assert bar == 0 and 0 <= top - height < 20  # though the video above it grew when it was parsed
    tab.press("k")
    assert 0 <= tab.box("[data-current]")[1] - height < 20


def test_tab_reaches_everything(browser, page):
    tab = browser.open(page)
    reached = []
    for _ in range(30):
        tab.press("Tab")
        reached.append(
            tab.value("(e => [e.className, e.name ?? '', getComputedStyle(e).outlineStyle])(document.activeElement)")
        )
    names = {name for _, name, _ in reached}
    assert {"protocol", "filter", "type", "split", "sort", "q"} <= names
    classes = " ".join(classes for classes, _, _ in reached)
    assert "skip" in classes and "entry" in classes and "strip" in classes and "span" in classes
    assert all(outline != "none" or name == "protocol" for _, name, outline in reached)  # its label shows it


def test_chosen_sentence_decides_the_boxes(browser, page):
    strengths = """report.all('.clip-frames.chosen rect', report.current())
        .map(r => Number(r.style.getPropertyValue('--strength')))"""
    drivers = "report.all('.clip-frames.chosen [data-driver]', report.current()).map(b => b.textContent)"
    tab = browser.open(page, "at=without_proposals/fire0000001&clip=1")
    assert tab.value(strengths) == [0.25, 1, 0.5]
    assert tab.value(drivers) == ["class 7 0.40", "<i>smoke</i> 0.20"]
    tab = browser.open(page, "at=without_proposals/fire0000001&clip=1&sentence=2")
    assert tab.value(strengths) == [1, 0, 0]
    assert tab.value(drivers) == ["person 0.30", "<i>smoke</i> 0.0"]


def test_filters_choose_and_dim(browser, page):
    tab = browser.open(page, "filter=false_negatives&at=without_proposals/fire0000001")
    assert tab.value(CHOSEN) == [2, 2]
    assert tab.value("report.all('.heat td:not(.off)', report.current()).map(c => Number(c.textContent))") == [0.3]


def test_without_scripts_all_is_there(browser, page):
    scripted = browser.open(page)
    shown = scripted.value("report.all('article').length")
    tab = browser.open(page, scripts=False)
    document = tab.ask("DOM.getDocument")["root"]["nodeId"]

    def count(selector: str) -> int:
        return len(tab.ask("DOM.querySelectorAll", nodeId=document, selector=selector)["nodeIds"])

    assert count("article") == shown == 6
    assert (count("article .clip"), count("article .heat"), count(".timeline")) == (8, 6, 6)
    assert count("article img") == 10
    bar = tab.ask("DOM.querySelector", nodeId=document, selector="form.filters")["nodeId"]
    tab.ask("CSS.enable")
    style = {one["name"]: one["value"] for one in tab.ask("CSS.getComputedStyleForNode", nodeId=bar)["computedStyle"]}
    assert style["display"] == "none"  # controls that would do nothing
    panel = tab.ask("DOM.querySelectorAll", nodeId=document, selector=".clip")["nodeIds"][1]
    style = {one["name"]: one["value"] for one in tab.ask("CSS.getComputedStyleForNode", nodeId=panel)["computedStyle"]}
    assert style["display"] == "block"


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
@pytest.mark.parametrize("width", [1200, 420])
def test_screenshot(browser, page, scheme, bright, width):
    tab = browser.open(page, "at=without_proposals/fire0000001", width=width, height=1100, scheme=scheme)
    picture = tab.picture()
    assert picture.shape == (1100, width, 3)
    assert (np.median(picture) > 128) == bright
    x, y, w, h = tab.box(".boxed img")
    frame = picture[y : y + h, x : x + w].astype(float)
    assert frame.shape[0] >= 60 and frame.shape[1] >= 100
    # The test's frames brighten in red from left to right and in green from top to bottom.
    assert np.corrcoef(frame[..., 0].mean(axis=0), np.arange(frame.shape[1]))[0, 1] > 0.9
    assert np.corrcoef(frame[..., 1].mean(axis=1), np.arange(frame.shape[0]))[0, 1] > 0.9
    yellow = (frame[..., 0] > 200) & (frame[..., 1] > 170) & (frame[..., 2] < 110)
    assert yellow.sum() > 50  # the box that matters
    assert tab.value("document.documentElement.scrollWidth") <= width


def test_print(browser, page):
    tab = browser.open(page)
    printed = tab.ask("Page.printToPDF", printBackground=True)
    assert len(printed["data"]) > 20_000
    assert tab.value("report.all('[data-item]:not([hidden]) [data-lazy]').length") == 0
