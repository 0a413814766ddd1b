"""What a report says is what the state and the results say."""

from __future__ import annotations

import pytest

from controller.harness import accuracy_of
from rcas.baselines.record import Record
from rcas.evaluation import evaluation_key
from rcas.final import Final, FinalDraw, FinalProtocol, FinalResult
from rcas.report import Report, parse_report
from rcas.report.build import build
from rcas.report.figures.timeline import bars
from rcas.report.tables import TABLES
from rcas.search import Search
from rcas.spec import parse_spec
from rcas.state import baseline_name, result_name
from report.builders import BEGAN, NAME, add_seeds, change_result, head_of, report_of
from report.builders import a_store as _a_store


@pytest.fixture(scope="module")
def store():
    return _a_store()


@pytest.fixture(scope="module")
def report(store) -> Report:
    return report_of(store)


def test_it_tells_the_searchs_own_result(store, report: Report):
    search = Search.from_snapshot(head_of(store).state.search)
    found = search.result
    assert found.best
    assert report.best
    assert (report.best.network, report.best.accuracy) == (str(found.best.network), float(found.best.accuracy))
    assert (report.best.cost.params, report.best.cost.madds) == found.best.cost[:2]
    assert {rule.rule: len(rule.path) for rule in report.rules} == {n: len(r.path) for n, r in found.rules.items()}
    for rule in report.rules:
        assert [step.network for step in rule.path] == [str(p.network) for p in found.rules[rule.rule].path]
        assert all(
            after.gain == pytest.approx(after.accuracy - before.accuracy)
            for before, after in zip(rule.path, rule.path[1:], strict=False)
        )
        assert rule.diminishing.broken == found.rules[rule.rule].submodularity.broken
    assert (report.offered, report.demanded, report.done) == (found.offered, found.demanded, True)
    assert len(report.evaluations) == found.evaluations
    assert report.unread == sum(not one.read for one in report.evaluations) == found.evaluations - found.demanded


def test_it_survives_json(report: Report):
    assert parse_report(report.model_dump_json().encode()) == report


def test_every_accepted_block_is_explained(report: Report):
    for rule in report.rules:
        choices = [choice for choice in report.choices if choice.rule == rule.rule]
        assert [choice.shown[0].network for choice in choices] == [step.network for step in rule.path[1:]]
    again = [one for choice in report.choices for one in choice.shown if one.stale is not None]
    assert again
    assert all(one.fresh for one in again)
    assert sum(one.gain > one.stale for one in again) == sum(rule.diminishing.broken for rule in report.rules)


def test_the_layers_cost_what_the_network_costs(report: Report):
    assert report.best
    assert sum(layer.cost.params for layer in report.layers) == report.best.cost.params
    assert sum(layer.cost.madds for layer in report.layers) == report.best.cost.madds
    assert sorted(layer.added for layer in report.layers if layer.added) == list(range(1, report.best.number + 1))
    # Each block came in as the type that the path says.
    path = report.best_rules[0].path
    assert {layer.added: layer.type for layer in report.layers if layer.added} == {
        s.number: s.block for s in path[1:]
    }


def test_the_spec_searches_the_same_again(store, report: Report):
    spec, state = parse_spec(report.spec), head_of(store).state
    assert spec.search("").problem == state.spec.search("").problem
    assert (spec.training, spec.data.draw()) == (state.spec.training, state.spec.data.draw())
    assert (spec.threads, spec.device) == (state.protocol.threads, state.protocol.device)


def test_what_a_pod_holds_is_in_no_report():
    secret = {"env": [{"name": "TOKEN", "value": "very-secret"}]}
    report = report_of(_a_store(pod=secret))
    assert "very-secret" not in report.model_dump_json()


def test_a_result_that_is_gone_or_contradicts_the_state_changes_no_accuracy():
    store = _a_store()
    whole = report_of(store)
    gone, wrong, torn = (one.key for one in whole.evaluations[:3])
    del store.objects[result_name(gone)]
    change_result(store, wrong, correct=1, correct_top5=1)
    store.objects[result_name(torn)] = b"{"
    report = report_of(store)
    assert report.missing == 3
    assert {e.network: e.accuracy for e in report.evaluations} == {e.network: e.accuracy for e in whole.evaluations}
    assert report.best == whole.best


def test_what_ran_at_once_lies_on_different_lines():
    store = _a_store()
    keys = [one.key for one in report_of(store).evaluations]
    times = [(0, 10), (1, 5), (5, 12), (11, 12)]
    for key, (began, ended) in zip(keys, times, strict=False):
        change_result(store, key, began=BEGAN + began, ended=BEGAN + ended)
    found = bars(report_of(store))
    assert [(bar.began - BEGAN, bar.slot) for bar in found] == [(0, 0), (1, 1), (5, 1), (11, 0)]


def test_a_result_from_before_the_search_is_not_on_its_time_line():
    store = _a_store()
    head = head_of(store)
    later = head.model_copy(update={"state": head.state.model_copy(update={"created": BEGAN})})
    key = report_of(store).evaluations[0].key
    change_result(store, key, began=BEGAN - 20, ended=BEGAN - 10)
    from rcas.report import Gatherer

    assert bars(Gatherer(store).report(later, BEGAN)) == []


@pytest.mark.parametrize("steps", [0, 1, 3, 8])
def test_of_a_running_search_it_says_what_is_decided(steps: int):
    report = report_of(_a_store(steps))
    assert not report.done
    assert (report.best is None) == (not any(rule.path for rule in report.rules))
    assert (report.noise is None) == (report.best is None)
    assert all(table(report) for table in TABLES.values())


def test_other_seeds_decide_whether_to_trust_the_gain():
    store = _a_store()
    plain = report_of(store)
    assert plain.start
    assert plain.best
    assert plain.noise
    assert plain.noise.again is None
    add_seeds(store, plain.start.network, 3)
    add_seeds(store, plain.best.network, 3)
    noise = report_of(store).noise
    assert noise
    assert noise.again
    assert (noise.again.best.count, noise.again.start.count) == (3, 3)
    assert noise.again.pair.difference == pytest.approx(noise.again.best.mean - noise.again.start.mean)
    assert noise.again.best.spread


def test_final_trainings_and_baselines_are_told(store):
    head = head_of(store)
    state, best = head.state, Search.from_snapshot(head.state.search).result.best
    assert best
    protocol = FinalProtocol(
        draw=FinalDraw(dataset="digits", held_out="test"),
        training=state.spec.training,
        data_sha256="1" * 64,
        test_sha256="2" * 64,
        device="cpu",
        threads=1,
        versions={},
    )
    space = state.search.space
    final = Final(of="best", space=space, network=str(best.network), protocol=protocol, seeds=3)
    results = [_final_result(final, seed, correct) for seed, correct in enumerate((80, 90))]
    record = Record(
        search=NAME,
        method="random",
        seed=0,
        trainings=1,
        protocol_sha256=state.protocol.sha256,
        space=space,
        budget=state.search.budget,
        results=((str(space.start), 7, 10),),
        answer=str(space.start),
        stopped="trainings",
    )
    others = {evaluation_key(space, space.start, state.protocol.sha256): [(5, 10), (7, 10)]}
    report = build(head, {}, now=1.0, version="0", others=others, finals=[(final, results)], baselines=[record])
    (told,) = report.finals
    assert told.top1
    assert told.top5
    assert (told.top1.mean, told.top1.count, told.seeds) == (pytest.approx(0.85), 2, 3)
    assert told.top1.spread == pytest.approx(0.0707, abs=1e-4)
    (other,) = report.baselines
    assert other.other_seeds
    assert (other.method, other.accuracy, other.other_seeds.mean) == ("random", 0.7, pytest.approx(0.6))


def test_baselines_and_final_trainings_are_read_from_the_store(store):
    from rcas.report import Gatherer

    head = head_of(store)
    space = head.state.search.space
    record = Record(
        search=NAME,
        method="random",
        seed=4,
        trainings=1,
        protocol_sha256=head.state.protocol.sha256,
        space=space,
        budget=head.state.search.budget,
        results=((str(space.start), 7, 10),),
        answer=str(space.start),
        stopped="trainings",
    )
    name = baseline_name(NAME, "random", 4)
    store.objects[name] = record.model_dump_json().encode()
    try:
        assert [one.seed for one in Gatherer(store).report(head, 0.0).baselines] == [4]
        store.objects[name] = b"nonsense"
        assert Gatherer(store).report(head, 0.0).baselines == ()
    finally:
        del store.objects[name]


def _final_result(final: Final, seed: int, correct: int) -> FinalResult:
    task = final.task(seed)
    cost = task.space.cost(task.space.network(task.network))
    return FinalResult.model_validate(
        {
            "key": task.key,
            "network": task.network,
            "protocol_sha256": task.protocol.sha256,
            "replicate": seed,
            "correct": correct,
            "correct_top5": 95,
            "total": 100,
            "loss": 1.0,
            "train_loss": 1.0,
            "epochs": 1,
            "diverged": False,
            "seconds": {"startup": 0, "data": 0, "training": 1, "validation": 0},
            "images_per_second": 1,
            "device": "cpu",
            "versions": {},
            "params": cost.params,
            "madds": cost.madds,
            "weights_sha256": "3" * 64,
            "train_images": 1000,
        }
    )


def test_the_scripted_accuracy_is_noisy():
    """Else nothing above would meet a gain that has grown."""
    assert accuracy_of
    assert any(rule.diminishing.broken for rule in report_of(_a_store()).rules)


def test_a_trainers_words_are_bounded():
    store = _a_store()
    key = report_of(store).evaluations[0].key
    change_result(store, key, device="x\x1b[31m" * 3000)
    (device,) = {one.trained.device for one in report_of(store).evaluations if one.trained and one.key == key}
    assert len(device) == 100
    assert device.isprintable()
