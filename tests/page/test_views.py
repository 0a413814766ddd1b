"""However many look, each page is made once per change, and never so often that it takes the machine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller.harness import FixedClock, run_to_end
from page.site import FickleStore, begun
from rcas.clock import SystemClock
from rcas.errors import Unavailable
from rcas.page.once import Once
from rcas.page.source import StoreSource
from rcas.page.views import Views
from rcas.state import Head


def test_a_page_is_made_once_per_committed_state_for_any_number_of_browsers() -> None:
    store, clock = FickleStore(), FixedClock()
    controller = begun(store, steps=3)
    made = list[int]()

    def render(head: Head, _name: str) -> str:
        made.append(head.seq)
        return f"<p>{head.seq}</p>"

    views = Views(StoreSource(store, clock), render, clock, 2.0)
    with ThreadPoolExecutor(16) as pool:
        pages = list(pool.map(lambda _: views.search("tiny"), range(200)))
    assert len(made) == 1
    assert len(set(pages)) == 1
    asked = store.asked
    clock.now_s += 3
    views.search("tiny")
    assert len(made) == 1, "nothing was committed"
    assert store.asked <= asked + 2
    controller.step()
    assert views.search("tiny") == pages[0], "it was looked at just now"
    clock.now_s += 3
    assert views.search("tiny") != pages[0]
    assert len(made) == 2
    assert made[1] > made[0]


def test_what_is_added_to_a_search_that_has_ended_is_seen() -> None:
    store, clock, made = FickleStore(), FixedClock(), list[int]()
    run_to_end(begun(store))
    views = Views(StoreSource(store, clock), lambda *_: f"{made.append(1)}{len(made)}", clock, 2.0)
    first = views.search("tiny")
    clock.now_s += 50
    assert views.search("tiny") == first
    clock.now_s += 20
    assert views.search("tiny") != first


def test_addresses_of_nothing_cost_nothing() -> None:
    store, clock = FickleStore(), FixedClock()
    views = Views(StoreSource(store, clock), lambda *_: "", clock, 2.0)
    views.search("x")
    asked = store.asked
    assert [views.search(f"x{number}") for number in range(1000)] == [None] * 1000
    assert store.asked == asked


def test_while_one_thread_makes_it_the_others_get_the_one_before() -> None:
    go_on, makes = threading.Event(), threading.Event()
    values = iter([1, 2])

    def make() -> int:
        value = next(values)
        if value == 2:
            makes.set()
            assert go_on.wait(20)
        return value

    once = Once(make, SystemClock(), keep_s=0.0)
    assert once.get() == 1
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(once.get)
        assert makes.wait(20)
        assert once.get() == 1
        go_on.set()
        assert slow.result(20) == 2


def test_what_costs_a_second_is_made_every_ten() -> None:
    clock, made = FixedClock(), list[float]()

    def make() -> int:
        made.append(clock.now_s)
        clock.now_s += 1.0
        return len(made)

    once = Once(make, clock, keep_s=2.0)
    assert once.get() == 1
    clock.now_s = 10.5
    assert once.get() == 1
    clock.now_s = 11.5
    assert once.get() == 2
    clock.now_s = 0.0
    assert once.get() == 3, "the clock was put back"


def test_a_failure_is_not_repeated_for_everybody() -> None:
    clock, tries = FixedClock(), list[int]()

    def make() -> int:
        tries.append(1)
        raise Unavailable("away")

    once = Once(make, clock, keep_s=2.0)
    for _ in range(100):
        with pytest.raises(Unavailable, match="away"):
            once.get()
    assert len(tries) == 1
