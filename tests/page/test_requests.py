"""What a request gets: who may ask, what is told to a browser, and how little an unchanged page costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from controller.memory_store import MemoryStore
from page.site import FickleStore, Site, begun, served
from rcas.state import head_name

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    store = MemoryStore()
    begun(store, steps=5)
    with served(store, hosts=("Rcas.example",)) as site:
        yield site


def put_head(store: MemoryStore, name: str, **changes: str) -> None:
    """The state of `tiny` under another name, with other texts in it."""
    stored = store.get(head_name("tiny"))
    assert stored
    head = json.loads(stored.data)
    head["name"] = name
    head["state"] |= changes
    store.put(head_name(name), json.dumps(head).encode(), expected=None)


def eventually(site: Site, path: str, words: str) -> str:
    """The page as soon as it says this."""
    deadline = time.monotonic() + 20
    while words not in (text := site.ask(path).text):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    return text


def test_the_list_leads_to_the_search(site: Site) -> None:
    listed, shown = site.ask("/"), site.ask("/searches/tiny")
    assert (listed.status, shown.status) == (200, 200)
    assert 'href="searches/tiny"' in listed.text
    assert "<h1" in shown.text
    assert 'href="../"' in shown.text


@pytest.mark.parametrize("path", ["/searches/other", "/searches/", "/nothing", "/searches/tiny/state.json", "/../x"])
def test_what_there_is_not_is_a_page_that_says_so(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert answer.status == 404
    assert "There is no such search" in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/searches/tiny", "/nothing"])
def test_it_can_only_be_read(site: Site, method: str, path: str) -> None:
    answer = site.ask(path, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_is_get_without_the_body(site: Site) -> None:
    head, get = site.ask("/searches/tiny", "HEAD"), site.ask("/searches/tiny")
    assert head.body == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "rcas", "[x]"]
)
def test_a_foreign_name_is_refused(site: Site, host: str) -> None:
    answer = site.ask("/searches/tiny", Host=host)
    assert answer.status == 421
    assert "tiny" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:8765", "LOCALHOST", "127.0.0.1", "10.0.0.7:80", "[::1]:80", "rcas.example"]
)
def test_a_name_that_cannot_be_foreign_is_answered(site: Site, host: str) -> None:
    assert site.ask("/searches/tiny", Host=host).status == 200


@pytest.mark.parametrize("path", ["/", "/searches/tiny", "/nothing"])
def test_a_browser_is_told_to_trust_nothing(site: Site, path: str) -> None:
    for method in ("GET", "POST"):
        headers = site.ask(path, method).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["connect-src"] == "'self'"
        assert policy["script-src"].startswith("'sha256-")
        assert "unsafe" not in policy["script-src"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_an_unchanged_page_is_not_sent_again_and_a_changed_one_is() -> None:
    store = MemoryStore()
    controller = begun(store, steps=3)
    with served(store) as site:
        first = site.ask("/searches/tiny")
        again = site.ask("/searches/tiny", If_None_Match=first.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        for _ in range(5):
            controller.step()
        deadline = time.monotonic() + 20
        while site.ask("/searches/tiny", If_None_Match=first.headers["ETag"]).status == 304:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert site.ask("/searches/tiny").headers["ETag"] != first.headers["ETag"]


def test_names_and_messages_are_text() -> None:
    store = MemoryStore()
    begun(store, steps=3)
    for name in (EVIL, "a'b\"c&d", "ns/name/uid", "ü €"):
        put_head(store, name, message=f"{EVIL} said", phase="LimitReached")
    with served(store) as site:
        listed = site.ask("/").text
        assert "<img" not in listed
        for name in (EVIL, "a'b\"c&d", "ü €"):
            address = f"searches/{quote(name)}"
            assert f'href="{address}"' in listed
            shown = site.ask(f"/{address}")
            assert shown.status == 200, name
            assert "<img" not in shown.text
        assert 'href="../../../"' in site.ask("/searches/ns/name/uid").text


def test_one_unreadable_search_leaves_the_others_as_they_are() -> None:
    store = MemoryStore()
    begun(store, steps=3)
    store.put(head_name("broken"), b"{}", expected=None)
    put_head(store, "foreign")
    store.objects[head_name("foreign")] = store.objects[head_name("tiny")]
    with served(store) as site:
        assert "unreadable" in site.ask("/").text
        assert "cannot be read" in site.ask("/searches/broken").text
        assert "belongs to another search" in site.ask("/searches/foreign").text
        assert "cannot be read" not in site.ask("/searches/tiny").text


def test_while_the_store_is_away_the_page_says_how_old_it_is() -> None:
    store = FickleStore()
    begun(store, steps=5)
    with served(store) as site:
        before = {path: site.ask(path).text for path in ("/", "/searches/tiny")}
        store.away = True
        for path, text in before.items():
            found = eventually(site, path, "the bucket does not answer")
            assert "This is how it was at 20" in found
            assert text.partition("<main>")[2] == found.partition("<main>")[2]
        tag = site.ask("/searches/tiny").headers["ETag"]
        time.sleep(0.5)
        assert site.ask("/searches/tiny", If_None_Match=tag).status == 304, "an outage is told once"
        store.away = False
        for path, text in before.items():
            eventually(site, path, text[-2000:])
            assert "does not answer" not in eventually(site, path, 'class="notice" hidden')


def test_a_store_that_never_answered_gives_a_page_that_says_so() -> None:
    store = FickleStore()
    store.away = True
    with served(store) as site:
        for path in ("/", "/searches/tiny"):
            answer = site.ask(path)
            assert answer.status == 503
            assert "the bucket does not answer" in answer.text


def test_a_search_that_has_no_state_yet_is_there(site: Site) -> None:
    with served(MemoryStore(), begun="soon") as early:
        assert 'href="searches/soon"' in early.ask("/").text
        assert "Nothing is decided yet" in early.ask("/searches/soon").text
    assert site.ask("/searches/soon").status == 404
