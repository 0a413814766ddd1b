"""The HTML file: whole by itself, and nothing in it is taken for markup that somebody else wrote."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from rcas.report import Report, html
from rcas.report.figures import FIGURES
from rcas.report.forms import markdown
from rcas.report.plot import NARROW, WIDE, standalone, ticks
from rcas.wording import percent
from report.builders import a_store, add_seeds, report_of

EVIL = '"><script>alert(1)</script><img src=https://evil.example/x onerror=x>\x1b[31m\ud800'
VOID = {"meta", "link", "img", "br", "hr", "input"}


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(a_store())


class Reader(HTMLParser):
    """Every tag with its attributes; fails where one is left open or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open = list[tuple[str, dict[str, str | None]]](), list[str]()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_asks_for_nothing_and_runs_nothing(report: Report):
    tags = Reader(html.page(report)).tags
    names = {tag for tag, _ in tags}
    assert names.isdisjoint({"script", "img", "iframe", "object", "embed", "form", "base", "use", "image"})
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for _, attributes in tags:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attributes)
        assert re.match(r"#|data:,$", attributes.get("href") or "#")
    assert "@import" not in html.STYLE
    assert "url(" not in html.STYLE


def test_what_others_wrote_is_text(report: Report):
    evil = report.model_copy(
        update={
            "search": EVIL,
            "message": EVIL,
            "spec": EVIL,
            "phase": "Failed",
            "done": False,
            "protocol": report.protocol.model_copy(update={"versions": {EVIL: EVIL}}),
            "rcas": EVIL,
        }
    )
    tags = Reader(html.page(evil)).tags
    assert [tag for tag, _ in tags] == [tag for tag, _ in Reader(html.page(_not_done(report))).tags]


def _not_done(report: Report) -> Report:
    versions = report.protocol.model_copy(update={"versions": {"one": "1"}})
    return report.model_copy(update={"phase": "Failed", "done": False, "protocol": versions})


def test_it_is_made_for_those_who_do_not_see_it(report: Report):
    tags = Reader(html.page(report)).tags
    names = [tag for tag, _ in tags]
    assert names.count("h1") == names.count("main") == 1
    assert names.count("table") == names.count("caption") == names.count("thead")
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in tags if tag == "th")
    assert names.count("figure") == names.count("figcaption") > 4
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in tags:
        if tag == "svg" and not attributes.get("aria-hidden"):
            assert set((attributes["aria-labelledby"] or "").split()) <= set(ids)
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids
        if attributes.get("role") == "region":
            assert attributes["tabindex"] == "0", "what scrolls can be scrolled by keyboard"
    assert dict(tags)["html"]["lang"] == "en"


def test_it_begins_with_the_answer(report: Report):
    text = html.page(report)
    assert report.best
    answer = text[: text.index("<section")]
    assert percent(report.best.accuracy) in answer
    assert report.best.network in answer
    assert "% of the budget" in answer
    assert "noise" in answer


def test_what_no_decision_has_read_is_a_guess_only_at_the_end(report: Report):
    running = report_of(a_store(4))
    assert running.unread == len(running.evaluations) > 0
    text = html.main_part(running, live=True)
    assert f"{running.unread} results no decision has read yet" in text
    assert "on a guess" not in text
    assert 'id="progress" aria-live="polite"' in text
    one = report.evaluations[0].model_copy(update={"read": False})
    ended = report.model_copy(update={"evaluations": (*report.evaluations, one), "demanded": len(report.evaluations)})
    assert "1 was trained on a guess that no decision needed" in html.main_part(ended)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_it_can_be_made_at_any_moment(steps: int):
    Reader(html.page(report_of(a_store(steps))))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("steps", [0, 3, None])
def test_a_figure_is_an_image_with_words_inside_of_its_frame(name: str, width: int, steps: int | None):
    root = ET.fromstring(standalone(FIGURES[name](report_of(a_store(steps)), width)).encode())
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert root.find("svg:title", space) is not None
    assert root.find("svg:desc", space) is not None
    _, _, across, high = map(float, root.attrib["viewBox"].split())
    assert across == width
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert -5 <= float(text.attrib["x"]) <= across + 5
        assert 0 <= float(text.attrib["y"]) <= high + 1, text.text
    assert "nan" not in ET.tostring(root, "unicode")


def test_the_path_has_a_symbol_for_every_network(report: Report):
    root = ET.fromstring(FIGURES["path"](report, WIDE))
    hints = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    for rule in report.rules:
        for step in rule.path:
            assert (
                sum(hint.startswith(f"{rule.rule}: ") and hint.endswith(f"\n{step.network}") for hint in hints) == 2
            )


def test_other_seeds_are_told_beside_the_verdict():
    store = a_store()
    plain = report_of(store)
    assert plain.start
    assert plain.best
    for network in (plain.start.network, plain.best.network):
        add_seeds(store, network, 2, correct=700, correct_top5=700)
    text = html.page(report_of(store))
    assert "Trained again from 2 other seeds" in text
    assert "within the noise" in text, "equal accuracies from other seeds outweigh the search's own"


@pytest.mark.parametrize(
    ("low", "high", "most", "found"),
    [
        (0.0, 10.0, 6, [0, 2, 4, 6, 8, 10]),
        (0.941, 0.978, 6, [0.945, 0.95, 0.955, 0.96, 0.965, 0.97, 0.975]),
        (0.0, 0.9, 5, [0, 0.2, 0.4, 0.6, 0.8]),
        (-3.0, 3.0, 4, [-2, 0, 2]),
        (1.0, 1.0, 4, [1.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, found: list[float]):
    ours = ticks(low, high, most)
    if len(found) <= most:
        assert ours == pytest.approx(found)
    assert len(ours) <= most
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ours)


def test_latency_is_told_where_it_is_known(report: Report):
    assert "Latency" not in html.page(report)
    assert "Latency" not in markdown(report)
    timed = json.loads(report.model_dump_json().replace('"latency_ns":null', '"latency_ns":11300000'))
    timed["budget"]["latency_ns"] = 12_000_000
    text = html.page(Report.model_validate(timed))
    assert "94% of the budget of 12 ms" in text
    assert text.count("budget 12 ms") == 2, "in the figure for wide and for narrow screens"
    assert "11.3 ms (94% of 12 ms)" in markdown(Report.model_validate(timed))
