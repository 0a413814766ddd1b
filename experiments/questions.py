"""What one repetition measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from experiments.bench import Bench, Placed, Searched, counts, measured
from experiments.plan import METHODS
from experiments.records import Counts, Measured, Method, Repetition, Step
from experiments.size import Size, repetition_spec
from experiments.variants import accepted_before_the_last, chain, grown_at_random
from rcas.baselines.methods import Method as Baseline
from rcas.baselines.mobilenetv2 import widest
from rcas.evaluation import Result
from rcas.greedy import Problem
from rcas.search import Search

LAST_BLOCKS = 3
"""So many accepted blocks are replaced; the paper says "the last several"."""
SINGLE_TYPE = 5
M = TypeVar("M", bound=Measured)


def repetition(bench: Bench, size: Size, number: int) -> Repetition:
    """Everything of one repetition, trained as far as the store does not have it."""
    spec = repetition_spec(size, number)
    searched = bench.search(spec)
    space, trainings = searched.search.problem.space, searched.search.result.evaluations
    placed = {METHODS[0]: Placed(space, searched.best)}
    answers = {METHODS[0]: _answer(bench, searched)}
    baselines: Sequence[Baseline] = ("random", "evolution", "greedy", "mobilenetv2")
    for method in baselines:
        own_space, answers[method] = bench.baseline(searched, method, trainings)
        placed[method] = Placed(own_space, own_space.network(answers[method].network))

    single_spec = spec.model_copy(
        update={"name": f"{spec.name}-type-5", "space": spec.space.model_copy(update={"block_types": (SINGLE_TYPE,)})}
    )
    single = bench.search(single_spec)
    single_answer, single_placed = _answer(bench, single), Placed(single.search.problem.space, single.best)

    before = accepted_before_the_last(searched.search, LAST_BLOCKS)
    removed = searched.best.block_count - before.block_count
    budget, draws = searched.search.problem.budget, range(size.draws)
    replaced = [
        Placed(space, grown_at_random(space, before, removed, budget, f"replaced {number} {draw}")) for draw in draws
    ]
    added = [
        Placed(space, grown_at_random(space, searched.best, 1, None, f"added {number} {draw}")) for draw in draws
    ]
    blocks = [Placed(space, network) for network in chain(space, size.chain)]

    def seeds(what: Iterable[Placed]) -> list[tuple[Counts, ...]]:
        return [counts(results) for results in bench.short(searched, what, range(1, size.seeds + 1))]

    def finals(what: Iterable[Placed]) -> list[list[Result]]:
        return bench.finals(searched, what, size)

    names = list(answers)
    methods = [
        _with(answers[name], one, final)
        for name, one, final in zip(
            names,
            seeds(placed[name] for name in names),
            finals(placed[name] for name in names),
            strict=True,
        )
    ]
    found, reference = _transferred(size, searched)
    across = bench.finals(searched, [found, reference], size, onto_other=True)
    return Repetition(
        number=number,
        methods=tuple(methods),
        path=tuple(_path(searched.search)),
        chain=tuple(
            measured(*one).model_copy(update={"seeds": each}) for one, each in zip(blocks, seeds(blocks), strict=True)
        ),
        single_type=_with(single_answer, seeds([single_placed])[0], finals([single_placed])[0]),
        replaced=_variants(replaced, seeds(replaced), finals(replaced[:1])),
        added=_variants(added, seeds(added), finals(added[:1])),
        transferred=_with(measured(*found), (), across[0]),
        transfer_reference=_with(measured(*reference), (), across[1]),
    )


def _answer(bench: Bench, searched: Searched) -> Method:
    search, best = searched.search, searched.search.result.best
    assert best
    space = search.problem.space
    known = [Placed(space, network) for network in search.known]
    trained = {one.network: results for one, results in zip(known, bench.short(searched, known, [0]), strict=True)}
    seconds = [results[0].seconds for results in trained.values()]
    return Method(
        **measured(space, best.network).model_dump(exclude={"chosen_by"}),
        chosen_by=counts(trained[best.network])[0],
        name=METHODS[0],
        trainings=len(trained),
        worker_s=sum(one.data + one.training + one.validation for one in seconds),
    )


def _with(one: M, seeds: tuple[Counts, ...], finals: Sequence[Result]) -> M:
    top5 = tuple(Counts(result.correct_top5, result.total) for result in finals)
    return one.model_copy(update={"seeds": seeds, "finals": counts(finals), "top5": top5})


def _variants(
    placed: Sequence[Placed], seeds: Sequence[tuple[Counts, ...]], finals: Sequence[Sequence[Result]]
) -> tuple[Measured, ...]:
    """The first of them are trained finally."""
    padded = [*finals, *([()] * (len(placed) - len(finals)))]
    return tuple(_with(measured(*one), each, final) for one, each, final in zip(placed, seeds, padded, strict=True))


def _path(search: Search) -> Iterable[Step]:
    results = search.snapshot().results
    for rule, found in search.result.rules.items():
        for blocks, point in enumerate(found.path):
            yield Step(
                rule=rule,
                blocks=blocks,
                network=str(point.network),
                params=point.cost.params,
                madds=point.cost.madds,
                counts=Counts(*results[str(point.network)]),
            )


def _transferred(size: Size, searched: Searched) -> tuple[Placed, Placed]:
    """The found stages on the other skeleton, and the MobileNetV2 that fits its budget."""
    space = size.transfer.space.build()
    budget = size.transfer.budget.build()
    own = widest(Problem(space, budget))
    return Placed(space, space.check(searched.best)), Placed(own, own.start)
