"""moments_report.html in a browser, from disk: filters, order, keys, the chosen window, pictures, with and without scripts."""

import json

import moments_case
import numpy as np
import pytest

from pipeline_lib.moments import report
from pipeline_lib.report.assets import Place

pytestmark = pytest.mark.slow

SHOWN = "report.all('[data-item]:not([hidden])').map(report.slug)"
ENTRIES = "report.all('a.entry:not([hidden])').map(a => decodeURIComponent(a.hash.slice(4)))"
CHOSEN = "report.all('tr.selected', report.current()).map(row => Number(row.dataset.window))"
PRESSED = "report.all('button[aria-pressed=true]', report.current()).map(one => Number(one.dataset.window))"


def write(folder, **given):
    found, gold = moments_case.write(folder)
    out = folder / "a page/moments_report.html"
    report.main(found, gold, out, **({"place": Place.AUTO, "every": 1.0, "count": 4, "side": 64, "shown": 5} | given))
    return out


@pytest.fixture(scope="module", params=[Place.INLINE, Place.FOLDER])
def page(request, tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("report")
    (folder / "videos").mkdir()
    make_video(folder / "videos/calm_0.0_4.0.mp4")
    return write(folder, videos=folder / "videos", place=request.param)


def test_quiet_and_without_network(browser, page):
    tab = browser.open(page, "theme=dark")
    assert tab.problems == []
    assert {url.partition(":")[0] for url in tab.requests} == {"file"}
    assert tab.value("fetch('https://example.org').then(() => 'reached', () => 'refused')") == "refused"


def test_hostile_sentence_is_text(browser, page):
    tab = browser.open(page, "at=2")
    wanted = moments_case.SENTENCE.replace("\u202e", "\ufffd")
    assert tab.value("report.current().querySelector('h2').textContent") == wanted
    assert tab.value("report.all('script').length") == 1
    assert tab.value("report.all('b', report.current().querySelector('h2')).length") == 0


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", "12345"),
        ("first=hit", "1"),
        ("first=strict", "1"),
        ("first=miss", "2345"),
        ("first=later", "2"),
        ("first=none", "45"),
        ("iou=0", "345"),
        ("iou=0-0.3", "2"),
        ("iou=0.9-1", "1"),
        ("length=short", "1245"),
        ("length=middle", "23"),
        ("length=middle&first=later", "2"),
        ("moments=several", "2"),
        ("q=it", "34"),
        ("q=CALM_0.0", "15"),
        ("q=%3Cscript%3E", "2"),
        ("q=nowhere", ""),
        ("sort=iou-down", "12345"),
        ("sort=iou-up", "34521"),
        ("sort=precision-up", "34521"),
        ("sort=score-down", "13245"),
        ("sort=length-up", "14532"),
        ("sort=length-down", "23" + "45" + "1"),
        ("first=nonsense", "12345"),
    ],
)
def test_address_decides_what_shows(browser, page, state, expected):
    tab = browser.open(page, state)
    assert "".join(tab.value(SHOWN)) == expected
    assert "".join(tab.value(ENTRIES)) == expected
    assert tab.value("document.querySelector('[data-count]').textContent") == f"{len(expected)} of 5 queries"
    assert tab.problems == []


def test_keys(browser, page):
    tab = browser.open(page)
    tab.press("j", "j")
    assert tab.value("report.slug(report.current())") == "2"
    assert tab.value(CHOSEN) == tab.value(PRESSED) == [1]
    tab.press("ArrowRight")
    assert tab.value(CHOSEN) == tab.value(PRESSED) == [2]
    assert "window=2" in tab.value("location.hash")
    tab.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert tab.value(CHOSEN) == [3]
    tab.press("j")
    assert tab.value(CHOSEN) == [1] and "window" not in tab.value("location.hash")
    tab.press("k")
    assert tab.value(CHOSEN) == [3]  # as it was left
    tab.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert tab.value(CHOSEN) == [1]
    tab.press("j", "j", "ArrowRight")  # 4 has no windows
    assert tab.value(CHOSEN) == []
    tab.press("/", "r", "a", "i", "n", "Escape")
    assert tab.value(SHOWN) == ["3"]
    assert tab.problems == []


def test_chosen_window_covers_frames_and_a_band(browser, page):
    tab = browser.open(page, "at=1")
    off = "report.all('.film img', report.current()).map(img => img.classList.contains('off'))"
    assert tab.value(off) == [False, False, True, True]  # window 1 is the first half
    style = "report.current().querySelector('.timeline').style"
    band = f"[{style}.getPropertyValue('--from'), {style}.getPropertyValue('--to')]"
    assert tab.value(band) == ["0", "0.5"]
    tab.value("report.current().querySelector('tr[data-window=\"2\"]').click()")
    assert tab.value(off) == [False] * 4 and tab.value(band) == ["0", "1"]
    tab.value("report.current().querySelector('button[data-window=\"1\"]').click()")
    assert tab.value(CHOSEN) == [1]
    assert tab.value("report.all('.film img', report.current()).every(img => img.naturalWidth === 64)")


def test_address_names_a_window(browser, page):
    tab = browser.open(page, "at=2&window=2")
    assert tab.value(CHOSEN) == [2]
    assert tab.value("report.current().querySelector('button[aria-pressed=true]').classList.contains('correct')")
    assert browser.open(page, "at=2&window=99").value(CHOSEN) == [3]
    assert browser.open(page, "at=2&window=x").value(CHOSEN) == [1]


def test_gold_prediction_and_saliency_are_drawn_in_their_places(browser, page):
    tab = browser.open(page, "at=2")
    lefts = "report.all('.gold', report.current()).map(one => one.style.left + ' ' + one.style.width)"
    assert tab.value(lefts) == ["0% 10%", "25% 50%"]
    line = tab.box("[data-current] .curve")
    picture = tab.picture()
    x, y, width, height = line
    part = picture[y : y + height, x : x + width].astype(int)
    ground = part[2, 2]
    filled = (np.abs(part - ground).sum(axis=2) > 40).mean(axis=0)
    assert filled[width * 9 // 10] > 0.7 > 0.4 > filled[width // 10]  # saliency rises from left to right


def test_without_scripts_everything_is_there(browser, page):
    tab = browser.open(page, scripts=False)
    height = tab.ask("Page.getLayoutMetrics")["cssContentSize"]["height"]
    assert height > 1500
    tree = tab.ask("DOM.getDocument", depth=-1)
    text = json.dumps(tree)
    assert text.count("Nothing was predicted for this query") == 2


def test_narrow_window_does_not_scroll_sideways(browser, page):
    tab = browser.open(page, "at=2", width=360, height=700)
    assert tab.value("document.documentElement.scrollWidth") <= 360


def test_thousands_of_queries(browser, tmp_path):
    queries = [one | {"qid": 5 * n + one["qid"]} for n in range(800) for one in moments_case.annotations()]
    found = [one | {"qid": 5 * n + one["qid"]} for n in range(800) for one in moments_case.predictions()]
    for name, lines in (("gold.jsonl", queries), ("found.jsonl", found)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "page.html"
    report.main(
        tmp_path / "found.jsonl", tmp_path / "gold.jsonl", out, place=Place.AUTO, every=1.0, count=4, side=64, shown=5
    )
    tab = browser.open(out, "first=later")
    assert tab.value("document.querySelector('[data-count]').textContent") == "800 of 4000 queries"
    assert tab.value("report.all('table.windows').length") < 60  # only what is near the window is parsed
    tab.press("j", "j", "ArrowRight")
    assert tab.value(CHOSEN) == [2]
    tab.value("report.go(report.items[3001])")
    tab.settle()
    height = tab.box("form.filters")[3]
    assert 0 <= tab.box("[data-current]")[1] - height < 20
    assert tab.problems == []
