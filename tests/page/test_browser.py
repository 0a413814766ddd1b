"""The page in a real Chromium, as a reader has it before them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import RCASCTL, environment
from cli.conftest import folder as folder
from controller.harness import run_to_end
from controller.memory_store import MemoryStore
from page.chromium import Browser, Tab
from page.look import look
from page.site import FickleStore, Site, begun, served
from rcas.controller.step import Controller

CONNECTION = "document.getElementById('connection').textContent"
FOCUSED = "document.activeElement.outerHTML.slice(0, 200)"


class Live:
    """A served search that a test brings forward, and how its page says so."""

    def __init__(self, site: Site, store: FickleStore, controller: Controller) -> None:
        self.site, self.store, self.controller = site, store, controller
        self.page = f"{site.url}/searches/tiny"

    def advance(self, tab: Tab, steps: int = 6) -> None:
        """Some steps on, and the page has seen them."""
        tab.run("window.before = document.querySelector('main').innerHTML; 0")
        for _ in range(steps):
            self.controller.step()
        tab.wait("document.querySelector('main').innerHTML !== window.before")


@pytest.fixture
def live() -> Iterator[Live]:
    store = FickleStore()
    controller = begun(store, steps=8, budget={"params": "12k"})
    with served(store) as site:
        yield Live(site, store, controller)


def fine(tab: Tab, site: Site) -> None:
    assert tab.settled_errors() == []
    assert tab.outside(site.url) == []


@pytest.mark.parametrize("path", ["/", "/searches/tiny", "/searches/nothing"])
def test_both_themes_and_widths_without_an_error_or_a_request_elsewhere(
    browser: Browser, tmp_path: Path, path: str
) -> None:
    store = MemoryStore()
    run_to_end(begun(store))
    begun(store, "a-search-whose-name-is-so-long-that-it-needs-lines", steps=3)
    with served(store) as site:
        wrong = look(browser, tmp_path, site.url + path)
    assert [words for words in wrong if "404" not in words] == []
    assert len(list(tmp_path.iterdir())) == 4
    pictures = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert pictures["page-1280-dark.png"] != pictures["page-1280-light.png"]


def test_it_updates_by_itself_and_disturbs_nobody(browser: Browser, live: Live) -> None:
    tab = browser.tab(height=400)
    tab.go(live.page)
    tab.run(
        """
        window.folds = [...document.querySelectorAll('details')];
        for (const one of folds) one.open = !one.open;
        const heading = document.querySelector('h1').firstChild;
        getSelection().setBaseAndExtent(heading, 0, heading, 3);
        const places = [...document.querySelectorAll('main summary, main a, main [tabindex]')];
        window.focused = places.at(-1);
        focused.focus({preventScroll: true});
        scrollTo(0, 120);
        window.unfolded = folds.map(one => one.open).join();
        window.high = scrollY; 0
        """
    )
    for _ in range(3):
        live.advance(tab)
    assert tab.run("document.activeElement === window.focused")
    assert tab.run("getSelection().toString()") == tab.run("document.querySelector('h1').textContent.slice(0, 3)")
    assert tab.run("scrollY === window.high")
    assert tab.run("folds.every(one => one.isConnected) && folds.map(one => one.open).join() === unfolded")
    assert "Updates by itself" in tab.run(CONNECTION)
    fine(tab, live.site)


def test_after_updates_it_is_what_a_reload_gives(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.go(live.page)
    for _ in range(3):
        live.advance(tab)
    run_to_end(live.controller)
    tab.wait("document.documentElement.dataset.over === 'yes'")
    tab.wait(
        """fetch(location.href).then(answer => answer.text()).then(text => new DOMParser()
        .parseFromString(text, 'text/html').querySelector('main').isEqualNode(document.querySelector('main')))"""
    )
    assert "Has ended" in tab.run(CONNECTION)
    fine(tab, live.site)


def test_the_list_follows_a_search_that_begins(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.go(live.site.url + "/")
    tab.run("document.querySelector('a[href$=tiny]').focus()")
    begun(live.store, "a-new-one", steps=2)
    tab.wait("document.querySelector('a[href$=a-new-one]')")
    assert "searches/tiny" in tab.run(FOCUSED)
    fine(tab, live.site)


def test_with_the_keyboard_alone(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.go(live.site.url + "/")
    for _ in range(20):
        tab.press("Tab")
        if "searches/tiny" in tab.run(FOCUSED):
            break
    outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus must be seen"
    tab.press("Enter")
    tab.wait("location.pathname === '/searches/tiny' && document.readyState === 'complete'")
    reached = list[str]()
    for _ in range(60):
        tab.press("Tab")
        reached.append(tab.run(FOCUSED))
        if reached[-1].startswith("<body"):
            break
    summaries = tab.run("document.querySelectorAll('summary').length")
    assert sum(one.startswith("<summary") for one in reached) == summaries > 0
    tab.run("document.querySelector('summary').focus()")
    before = tab.run("document.activeElement.parentElement.open")
    tab.press("Enter")
    assert tab.run("document.activeElement.parentElement.open") is not before
    tab.run("document.querySelector('nav a').focus()")
    tab.press("Enter")
    tab.wait("location.pathname === '/'")
    fine(tab, live.site)


def test_a_lost_connection_is_told_and_so_is_its_return(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.go(live.page)
    tab.wait(f"{CONNECTION} === 'Updates by itself'")
    live.site.stop()
    tab.wait(f"{CONNECTION}.startsWith('No connection')")
    assert "tiny" in tab.text()
    live.site.start()
    tab.wait(f"{CONNECTION} === 'Updates by itself'")
    live.advance(tab)
    assert [error for error in tab.settled_errors() if "ERR_CONNECTION_" not in error] == []


def test_what_another_server_sends_is_not_shown(browser: Browser, live: Live) -> None:
    from rcas import serving

    def foreign(_environ: object, start: object) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/html")])  # type: ignore[operator]
        return [b"<h1>Log in</h1>"]

    tab = browser.tab()
    tab.go(live.page)
    live.site.stop()
    other = serving.serve("127.0.0.1", live.site.port, foreign, "other")
    tab.wait(f"{CONNECTION}.startsWith('No connection')")
    assert "Log in" not in tab.text()
    other.shutdown()
    other.server_close()
    live.site.start()
    tab.wait(f"{CONNECTION} === 'Updates by itself'")


def test_a_store_that_is_away_is_told(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.go(live.page)
    live.store.away = True
    tab.wait("document.getElementById('notice').innerText.includes('the bucket does not answer')")
    assert "tiny" in tab.text()
    live.store.away = False
    tab.wait("document.getElementById('notice').innerText === ''")
    fine(tab, live.site)


def test_without_javascript_a_link_reloads_it(browser: Browser, live: Live) -> None:
    tab = browser.tab()
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.call("Page.navigate", url=live.page)
    found = ""
    for _ in range(100):
        tree = tab.call("Accessibility.getFullAXTree")["nodes"]
        found = " ".join(str(node.get("name", {}).get("value", "")) for node in tree)
        if "reload" in found:
            break
    assert "it does not update by itself" in found
    assert "tiny" in found


def test_a_script_in_a_name_does_not_run(browser: Browser) -> None:
    from page.test_requests import EVIL, put_head

    store = MemoryStore()
    begun(store, steps=3)
    put_head(store, EVIL, message="</p><script>document.title='owned'</script>", phase="Failed")
    with served(store) as site:
        tab = browser.tab()
        tab.go(f"{site.url}/searches/%3Cimg%20src=x%20onerror=alert(1)%3E")
        assert EVIL in tab.text()
        assert "owned" not in tab.run("document.title")
        fine(tab, site)


@pytest.mark.timeout(240)
def test_a_real_local_search_from_its_first_second_to_its_end(browser: Browser, folder: Path) -> None:
    command = [str(RCASCTL), "run", "tiny.yaml", "--page", "0"]
    run = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert run.stderr
        said = ""
        while not (address := re.search(r"http://127\.0\.0\.1:\d+/searches/tiny", said)):
            line = run.stderr.readline()
            assert line, said
            said += line
        tab = browser.tab()
        tab.go(address[0])
        tab.run("window.same = true; 0")
        tab.wait("document.querySelector('main').innerText.includes('%')", within_s=120)
        tab.wait("document.documentElement.dataset.over === 'yes'", within_s=180)
        assert tab.run("window.same"), "it was loaded once"
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0
        best = re.search(r"accuracy\s+([\d.]+%)", output)
        assert best
        assert best[1] in tab.text()
        tab.wait(f"{CONNECTION}.startsWith('This is how it ended')", within_s=30)
        assert [error for error in tab.settled_errors() if "ERR_CONNECTION_" not in error] == []
        assert tab.outside(address[0].removesuffix("/searches/tiny")) == []
    finally:
        run.kill()
        run.wait(20)
