import gc

from rcas_trainer.timing import measure


def test_calls_take_turns_and_the_warm_up_is_not_timed() -> None:
    made = list[str]()
    rounds = list[int]()
    found = measure([lambda: made.append("a"), lambda: made.append("b")], runs=3, warm_up=2, done=rounds.append)
    assert "".join(made) == "ab" * 5
    assert rounds == [1, 2, 3]
    assert [timing.runs for timing in found] == [3, 3]


def test_each_call_gets_its_own_times_in_nanoseconds() -> None:
    told = iter([0, 5, 10, 30, 100, 107, 200, 240])
    quick, slow = measure([lambda: None, lambda: None], runs=2, warm_up=1, clock=lambda: next(told))
    assert (quick.fastest_ns, quick.slowest_ns) == (5, 7)
    assert (slow.fastest_ns, slow.slowest_ns) == (20, 40)


def test_no_garbage_is_collected_while_calls_are_timed() -> None:
    during = list[bool]()
    measure([lambda: during.append(gc.isenabled())], runs=2, warm_up=1)
    assert during == [False] * 3
    assert gc.isenabled()
