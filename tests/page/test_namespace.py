"""The page that the controller serves: of its namespace's searches, and of no others."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from page.site import Answer, Site
from rcas.controller.config import Config, PageConfig, read_config
from rcas.controller.operator import _serve
from rcas.controller.page import NamespaceSource
from rcas.errors import InvalidSpec
from rcas.page.render import Renderer
from rcas.page.views import Views
from rcas.state import head_name
from security.lab import NAMESPACE, URL, Lab, a_search_spec


@pytest.fixture(scope="module")
def lab() -> Lab:
    lab = Lab()
    lab.submit("search", a_search_spec())
    lab.run("search")
    stored = lab.store.get(head_name(f"lab/search/{lab.search('search')['metadata']['uid']}"))
    assert stored
    lab.store.put(head_name("other/secret/1"), stored.data, expected=None)
    lab.submit("refused", a_search_spec() | {"pod": {"env": [{"name": "RCAS_JOB"}]}})
    lab.turn()
    lab.submit("new", a_search_spec() | {"pause": True})
    lab.turn()
    return lab


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    source = NamespaceSource(lambda: lab.operator.searches, lab.store)
    site = Site(Views(source, Renderer(lab.store, lab.clock), lab.clock, keep_s=0.0), ("rcas.lab.svc",))
    yield site
    site.stop()


def shown(answer: Answer) -> str:
    assert answer.status == 200
    return answer.text


def test_the_list_is_what_the_resources_say(site: Site, lab: Lab) -> None:
    text = shown(site.ask("/", Host="rcas.lab.svc:8081"))
    assert lab.status("search")["best"] in text
    assert "complete" in text
    assert "RCAS_JOB" in text, "why a search failed"
    assert "paused" in text
    assert "secret" not in text


def test_a_search_is_its_state_as_committed(site: Site, lab: Lab) -> None:
    text = shown(site.ask("/searches/search"))
    assert "<h1>search</h1>" in text
    assert lab.status("search")["best"] in text
    assert lab.search("search")["metadata"]["uid"] not in text.partition("<main>")[2].partition("<pre")[0]


def test_a_search_without_a_state_says_why(site: Site) -> None:
    assert "RCAS_JOB" in shown(site.ask("/searches/refused"))
    assert "Nothing is decided yet" in shown(site.ask("/searches/new"))


@pytest.mark.parametrize("path", ["/searches/other/secret/1", "/searches/secret", "/searches/lab/search", "/metrics"])
def test_there_is_no_way_to_anything_else(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert answer.status == 404
    assert "%" not in answer.text.partition("<main>")[2]


def free_port() -> int:
    with socket.create_server(("", 0)) as one:
        return one.getsockname()[1]


def test_the_controller_serves_it_on_a_port_of_its_own(lab: Lab) -> None:
    config = Config(store=URL, port=free_port(), page=PageConfig(port=free_port(), hosts=("rcas.lab.svc",)))
    servers = list(_serve(config, lab.operator, lab.metrics, lab.store, lab.clock))
    try:
        metrics, page = (server.server_port for server in servers)
        assert asked(page, "/searches/search") == 200
        assert asked(page, "/metrics") == 404
        assert asked(page, f"/state/{NAMESPACE}/search") == 404
        assert asked(metrics, "/searches/search") == 404
        again = config.model_copy(update={"port": free_port()})
        with pytest.raises(InvalidSpec, match=r"config\.page\.port: got '?\d+'?, allowed: a free port"):
            list(_serve(again, lab.operator, lab.metrics, lab.store, lab.clock))
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def asked(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_one_port_cannot_be_both(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"store: {URL}\nport: 8081\npage: {{}}\n")
    with pytest.raises(InvalidSpec, match=r"config\.page\.port"):
        read_config(path)
