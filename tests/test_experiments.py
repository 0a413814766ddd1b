"""The experiments: what is reckoned from a record, which networks are compared, and one tiny run of all of it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from experiments import __main__ as command
from experiments.differences import difference
from experiments.figures import figures
from experiments.plan import plan_table
from experiments.records import Counts, Measured, Method, Record, Repetition, Step
from experiments.size import Size, read_size, repetition_spec, sizes
from experiments.tables import claims, methods, savings, tables
from experiments.variants import accepted_before_the_last, chain, grown_at_random
from rcas.budget import Budget
from rcas.errors import InvalidSpec
from rcas.search import Search
from rcas.space import Space, Stage

TINY = """
search:
  name: tiny
  space:
    skeleton: custom
    classes: 10
    input: [1, 8, 8]
    stem: {channels: 8, block_channels: 8}
    stages:
      - {channels: 8, positions: 3, start: [5]}
      - {channels: 16, positions: 3, stride: 2, start: [5]}
    head: {channels: 16}
    block_types: [1, 5]
  budget: {params: 12k, madds: 500k}
  rules: [UC]
  max_blocks: 1
  data: {dataset: digits, validation_per_class: 20, train_per_class: 20}
  training: {epochs: 1, batch_size: 32, milestones: [], pad: 1, flip: false}
  device: cpu
  threads: 1
repetitions: 1
seeds: 1
draws: 1
chain: 1
final: {epochs: 1, milestones: []}
final_seeds: 1
transfer:
  space:
    skeleton: custom
    classes: 10
    input: [1, 8, 8]
    stages:
      - {channels: 16, positions: 3, start: [5]}
      - {channels: 32, positions: 3, stride: 2, start: [5]}
    head: {channels: 32}
  budget: {params: 40k, madds: 2M}
expected: {evaluations: 5, single_type: 3, short_s: 1, final_s: 2}
"""
HERE = Path(__file__).parents[1] / "experiments"

IMAGES = 10_000


def measured(accuracy: float, **fields: object) -> Measured:
    return Measured.model_validate(_fields(accuracy) | fields)


def method(name: str, accuracy: float, **fields: object) -> Method:
    return Method.model_validate(
        _fields(accuracy) | {"name": name, "trainings": 70, "worker_s": 280.0, "chosen_by": counts(accuracy)} | fields
    )


def counts(accuracy: float) -> Counts:
    return Counts(round(accuracy * IMAGES), IMAGES)


def _fields(accuracy: float) -> dict[str, object]:
    both = [counts(accuracy - 0.01), counts(accuracy + 0.01)]
    final = [counts(accuracy + 0.08)]
    return {"network": "- / 5 / 5", "params": 20_000, "madds": 500_000, "seeds": both, "finals": final, "top5": final}


def repetition(number: int, *, lead: float = 0.02, wobble: float = 0.001) -> Repetition:
    """One in which RCAS is `lead` better than everything else, give or take `wobble`."""
    best = 0.80 + (wobble if number % 2 else -wobble)
    others = ("random", "evolution", "greedy", "mobilenetv2")
    path = [(rule, blocks) for rule in ("UC", "APR") for blocks in range(3)]
    return Repetition(
        number=number,
        methods=(method("rcas", best), *(method(name, 0.80 - lead) for name in others)),
        path=tuple(
            Step(
                rule=rule,
                blocks=blocks,
                network="- / 5 / 5",
                params=10_000 + 2_000 * blocks,
                madds=300_000 + 50_000 * blocks,
                counts=counts(0.76 + 0.015 * blocks),
            )
            for rule, blocks in path
        ),
        chain=tuple(measured(0.70 + 0.01 * blocks) for blocks in range(4)),
        single_type=method("rcas", 0.80 - lead),
        replaced=(measured(0.80 - lead), measured(0.80 - lead, finals=[], top5=[])),
        added=(measured(0.80 - lead),),
        transferred=measured(best),
        transfer_reference=measured(0.80 - lead),
    )


def record(count: int = 3, **how: float) -> Record:
    return Record(
        size="laptop",
        machine="a machine",
        workers=2,
        versions={"torch": "2"},
        began=0,
        ended=3600,
        repetitions=tuple(repetition(number, **how) for number in range(count)),
    )


def cell(table, row_starts, column):
    return next(row for row in table.rows if row[0].startswith(row_starts))[column]


def test_difference_is_paired_and_its_interval_is_students():
    # The 97.5% quantile of t with 2 degrees of freedom is 4.3027.
    found = difference([0.01, 0.02, 0.03])
    assert found.mean == pytest.approx(0.02)
    assert found.half_width == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert found.verdict == "does not show"
    assert difference([0.019, 0.02, 0.021]).verdict == "shows"
    assert difference([-0.019, -0.02, -0.021]).verdict == "the opposite shows"


def test_one_repetition_shows_nothing():
    assert difference([0.5]).verdict == "does not show"


@pytest.mark.parametrize(
    ("lead", "verdict"), [(0.02, "shows"), (-0.02, "the opposite shows"), (0.0, "does not show")]
)
def test_a_claim_shows_only_on_its_side_of_zero(lead, verdict):
    table = claims(record(lead=lead))
    for claim in ("RCAS finds", "Six block types", "The found blocks", "One random block", "The found stages"):
        assert cell(table, claim, 3) == verdict
        assert cell(table, claim, 5) == verdict


def test_a_claim_that_noise_covers_does_not_show():
    assert cell(claims(record(lead=0.02, wobble=0.03)), "RCAS finds", 3) == "does not show"


def test_savings_are_those_of_the_cheapest_network_as_accurate_as_the_reference():
    # The path measures 76.0, 77.5, 79.0%; the reference 78%.
    params, madds = savings(repetition(0))
    assert params == pytest.approx(1 - 14_000 / 20_000)
    assert madds == pytest.approx(1 - 400_000 / 500_000)


def test_savings_that_are_not_reached_do_not_show():
    table = claims(record(lead=0.005))
    assert savings(repetition(0, lead=0.005)) is None
    assert cell(table, "A network on the search path", 2) == "reached in 0 of 3 repetitions"
    assert cell(table, "A network on the search path", 3) == "does not show"


def test_methods_say_mean_spread_lead_trainings_and_time():
    table = methods(record())
    assert [row[0] for row in table.rows] == ["rcas", "random", "evolution", "greedy", "mobilenetv2"]
    assert cell(table, "random", 2) == "78.00% ± 0.00"
    assert cell(table, "random", 3) == "+1.97 ± 0.29"
    assert cell(table, "rcas", 3) == ""
    assert cell(table, "random", 8) == "70"
    assert cell(table, "random", 9) == "4 min 40 s"


def test_every_table_has_as_many_cells_as_columns_and_every_figure_is_svg():
    made = record()
    for table in tables(made):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert table.markdown().count("|") % (len(table.columns) + 1) == 0
    drawn = dict(figures(made))
    assert set(drawn) == {"methods", "path", "chain"}
    assert drawn == dict(figures(made))
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")


SPACE = Space(input=(1, 14, 14), num_classes=10, stages=(Stage(8, 2), Stage(16, 3, 2, (5,)), Stage(32, 3, 2, (5,))))


def test_chain_adds_one_block_of_type_5_at_a_time():
    found = chain(SPACE, 4)
    assert found[0] == SPACE.start
    assert [network.block_count for network in found] == [2, 3, 4, 5, 6]
    assert {block for network in found for blocks in network.stages for block in blocks} == {5}
    assert all(before.can_grow_into(after) for before, after in pairwise(found))


def test_chain_ends_when_the_skeleton_is_full():
    assert chain(SPACE, 100)[-1].block_count == 8


def test_random_blocks_are_drawn_anew_for_each_seed_and_obey_the_budget():
    budget = Budget(params=SPACE.params(SPACE.start) + 4_000)
    found = [grown_at_random(SPACE, SPACE.start, 2, budget, f"seed {number}") for number in range(20)]
    assert found == [grown_at_random(SPACE, SPACE.start, 2, budget, f"seed {number}") for number in range(20)]
    assert len(set(found)) > 5
    for network in found:
        SPACE.check(network)
        assert network.block_count == 4
        assert SPACE.start.can_grow_into(network)
        assert budget.fits(SPACE.cost(network))


def test_random_blocks_that_no_budget_leaves_room_for_are_refused():
    with pytest.raises(InvalidSpec, match="blocks"):
        grown_at_random(SPACE, SPACE.start, 1, Budget(params=1_000), "seed")


def test_the_last_blocks_are_taken_off_the_path_that_won():
    search = Search(SPACE, Budget(params="200k"), max_blocks=4)
    while not search.done:
        for evaluation in search.ask(8):
            blocks = sum(map(sum, evaluation.network.stages))
            search.tell(evaluation.key, correct=min(100, 10 + blocks), total=100)
    best = search.result.best.network
    before = accepted_before_the_last(search, 2)
    assert before.block_count == best.block_count - 2
    assert before.can_grow_into(best)
    assert accepted_before_the_last(search, 100) == SPACE.start


@pytest.mark.parametrize("name", sizes())
def test_every_size_can_be_planned_and_no_repetition_shares_a_seed(name):
    size = read_size(name)
    specs = [repetition_spec(size, number) for number in range(size.repetitions)]
    assert len({spec.name for spec in specs}) == len({spec.training.seed for spec in specs}) == size.repetitions
    assert len({spec.data.draw_seed for spec in specs}) == size.repetitions
    assert "together" in plan_table(size, 2)


def test_readme_has_the_plan_of_the_laptop_size():
    assert plan_table(read_size("laptop"), 2) in (HERE / "README.md").read_text(encoding="utf-8")


@pytest.mark.timeout(900)
def test_the_command_makes_record_tables_and_figures_and_trains_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "read_size", lambda _name: Size.model_validate(yaml.safe_load(TINY)))
    flags = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    first = CliRunner().invoke(command.main, flags, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    made = Record.model_validate_json((tmp_path / "out" / "record.json").read_bytes())
    answers = made.repetitions[0].methods
    assert [answer.name for answer in answers] == ["rcas", "random", "evolution", "greedy", "mobilenetv2"]
    for answer in answers:
        assert len(answer.seeds) == len(answer.finals) == 1
        assert answer.params <= 12_000
        assert answer.trainings <= answers[0].trainings
    names = {"methods", "claims", "path", "chain", "networks"}
    assert {path.stem for path in (tmp_path / "out").glob("*.md")} == names
    assert {path.stem for path in (tmp_path / "out").glob("*.svg")} == {"methods", "path", "chain"}

    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*/*.json")}
    table = (tmp_path / "out" / "methods.md").read_text()
    (tmp_path / "out" / "methods.md").unlink()
    again = CliRunner().invoke(command.main, flags, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*/*.json")} == results
    assert (tmp_path / "out" / "methods.md").read_text() == table


def test_tables_without_a_record_are_refused_in_one_line(tmp_path):
    refused = CliRunner().invoke(command.main, ["--tables", "--out", str(tmp_path / "none")])
    assert refused.exit_code == 2
    assert refused.output.startswith("Error: out: got ")
    assert refused.output.count("\n") == 1
