"""The spec: every mistake is one line that names the field; nothing that is not a spec passes or breaks out."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
import yaml

from rcas.errors import InvalidSpec
from rcas.space import Space
from rcas.spec import build_spec, parse_spec

VALID = """
name: tiny
space:
  skeleton: custom
  classes: 10
  input: [1, 8, 8]
  stem: {channels: 4, block_channels: 4}
  stages:
    - {channels: 4, positions: 2, start: [1]}
    - {channels: 8, positions: 2, stride: 2, start: [1]}
  head: {channels: 8}
  block_types: [1, 5]
budget: {params: 10k, madds: 300k}
data: {dataset: digits, validation_per_class: 20}
training: {epochs: 2, milestones: [1], batch_size: 32}
threads: 1
"""
PAPER = {"space": {"classes": 100}, "budget": {"params": "2.4M", "madds": "91.1M"}, "data": {"dataset": "cifar100"}}


def refusal(text: str) -> str:
    """The one line that a bad spec gives."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(text)
    line = str(caught.value)
    assert "\n" not in line
    assert ": got " in line
    assert ", allowed: " in line
    assert len(line) < 500
    return line


def changed(old: str, new: str) -> str:
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


def test_the_base_of_these_tests_is_valid() -> None:
    assert parse_spec(VALID).name == "tiny"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("threads: 1", "epochs: 3", "epochs: got 'an unknown field', allowed: "),
        (
            "threads: 1",
            "max-blocks: 3",
            "max-blocks: got 'an unknown field', allowed: max_blocks (did you mean that?)",
        ),
        ("threads: 1", "thread: 1", "thread: got 'an unknown field', allowed: threads (did you mean that?)"),
        ("epochs: 2", "epoch: 2", "training.epoch: got 'an unknown field', allowed: epochs (did you mean that?)"),
        ("head: {channels", "head: {chanels", "space.head.chan"),
        (
            "block_channels: 4",
            "blockchannels: 4",
            "space.stem.blockchannels: got 'an unknown field', allowed: block_ch",
        ),
        (
            "stride: 2,",
            "strides: 2,",
            "space.stages[1].strides: got 'an unknown field', allowed: stride (did you mean",
        ),
        (
            "stride: 2,",
            "stride-x: 2,",
            "space.stages[1].stride-x: got 'an unknown field', allowed: stride (did you mea",
        ),
        ("threads: 1", "1: 1", "1: got '1', allowed: Keys should be strings"),
        ("threads: 1", "2020-01-01: 1", "datetime.date(2020, 1, 1): got "),
        ("threads: 1", '"two\\nlines": 1', r"'two\nlines': got 'an unknown field'"),
        ("dataset: digits, ", "", "data.dataset: got 'nothing', allowed: a value: the field is required"),
        ("  classes: 10\n", "", "space.classes: got 'nothing', allowed: a value: the field is required"),
        ("dataset: digits", "dataset: digit", "data.dataset: got 'digit', allowed: 'cifar10', 'cifar100', 'fashion-"),
        ("epochs: 2", "epochs: two", "training.epochs: got 'two', allowed: a valid integer"),
        ("epochs: 2", "epochs: 0", "training.epochs: got '0', allowed: greater than or equal to 1"),
        ("epochs: 2", "epochs: 2.5", "training.epochs: got '2.5', allowed: a valid integer"),
        ("epochs: 2", "epochs: []", "training.epochs: got '[]', allowed: a valid integer"),
        ("epochs: 2", "epochs: 2, lr: .nan", "training.lr: got 'nan', allowed: a finite number"),
        ("epochs: 2", "epochs: 2, lr: -.inf", "training.lr: got '-inf', allowed: "),
        ("epochs: 2", "epochs: 2, seed: -1", "training.seed: got '-1', allowed: greater than or equal to 0"),
        ("epochs: 2", "epochs: 2, momentum: 0", "nesterov needs a momentum above 0"),
        ("milestones: [1]", "milestones: [1, x]", "training.milestones[1]: got 'x', allowed: a valid integer"),
        ("milestones: [1]", "milestones: 1", "training.milestones: got '1', allowed: a valid tuple"),
        (
            "block_types: [1, 5]",
            "block_types: [1, 7]",
            "space.block_types: got '7', allowed: a whole number from 1 to",
        ),
        ("block_types: [1, 5]", "block_types: [1, a]", "space.block_types[1]: got 'a', allowed: a valid integer"),
        ("[1, 8, 8]", "[1, 8]", "space.input[2]: got 'nothing', allowed: a value: the field is required"),
        ("[1, 8, 8]", "[1, 8, 8, 8]", "space.input: got '[1, 8, 8, 8]', allowed: "),
        ("[1, 8, 8]", "[1, 8, 0]", "space.input[2]: got '0', allowed: greater than or equal to 1"),
        (
            "  input: [1, 8, 8]\n",
            "",
            "space.skeleton: got 'custom', allowed: custom only together with input and stages",
        ),
        ("custom", "mobilenet", "space.skeleton: got 'mobilenet', allowed: 'cifar', 'imagenet' or 'custom'"),
        ("classes: 10", "classes: 1", "space.classes: got '1', allowed: greater than or equal to 2"),
        ("classes: 10", "classes: 2000000", "space.classes: got '2000000', allowed: less than or equal to 1000000"),
        ("classes: 10", f"classes: 0x{'f' * 5000}", "space.classes: got 'a int too large to print', allowed: "),
        (
            "{channels: 4, positions: 2,",
            "{channels: 0, positions: 2,",
            "space.stages[0].channels: got '0', allowed: a w",
        ),
        (
            "stride: 2, start: [1]",
            "stride: 2",
            "space.stages[1].start: got '()', allowed: at least one block type, beca",
        ),
        (
            "8, positions: 2, stride: 2, start: [1]",
            "9, positions: 2, start: [2]",
            "space.stages[1].channels: got '9'",
        ),
        (
            "threads: 1",
            "threads: some",
            "threads: got 'some', allowed: a valid integer, unable to parse string as an ",
        ),
        ("threads: 1", "threads: some", "or 'auto'"),
        (
            "threads: 1",
            "max_blocks: no",
            "max_blocks: got 'False', allowed: a number (YAML reads yes, no, on and off",
        ),
        ("threads: 1", "min_gain: no", "min_gain: got 'False', allowed: a number"),
        ("epochs: 2", "epochs: yes", "training.epochs: got 'True', allowed: a number"),
        ("milestones: [1]", "milestones: [yes]", "training.milestones[0]: got 'True', allowed: a number"),
        (
            "8, positions: 2, stride: 2",
            "8, positions: yes, stride: 2",
            "space.stages[1].positions: got 'True', allowed",
        ),
        ("threads: 1", "parallelism: 0", "parallelism: got '0', allowed: greater than or equal to 1"),
        ("threads: 1", "max_blocks: -1", "max_blocks: got '-1', allowed: greater than or equal to 0"),
        ("threads: 1", "min_gain: .inf", "min_gain: got 'inf', allowed: a finite number"),
        ("threads: 1", "min_gain: much", "min_gain: got 'much', allowed: a valid number"),
        ("threads: 1", "stop: never", "stop: got 'never', allowed: 'drop-infeasible' or 'first-infeasible'"),
        ("threads: 1", "device: tpu", "device: got 'tpu', allowed: 'auto', 'cpu' or 'cuda'"),
        ("threads: 1", "rules: [UC, XY]", "rules[1]: got 'XY', allowed: 'UC', 'APR', 'AMR', 'JOINT' or 'ALR'"),
        ("threads: 1", "rules: []", "rules: got '[]', allowed: "),
        (
            "threads: 1",
            "rules: [UC, UC]",
            "rules: got \"['UC', 'UC']\", allowed: one or more of UC, APR, AMR, JOINT, ALR, eac",
        ),
        ("threads: 1", "rules: UC", "rules: got 'UC', allowed: a valid tuple"),
        ("name: tiny", "name: My_Search", "name: got 'My_Search', allowed: "),
        ("name: tiny", "name: ../up", "name: got '../up', allowed: "),
        ("name: tiny", f"name: {'x' * 54}", "name: got 'xxx"),
        ("name: tiny", "name: 2020-01-01", "name: got 'datetime.date(2020, 1, 1)', allowed: a valid string"),
        ("name: tiny", "name: 7", "name: got '7', allowed: a valid string"),
        ("data: {dataset: digits, validation_per_class: 20}", "data: digits", "data: got 'digits', allowed: "),
        ("data: {dataset: digits, validation_per_class: 20}", "data:", "data: got 'None', allowed: "),
    ],
)
def test_a_mistake_is_one_line_with_its_field(old: str, new: str, expected: str) -> None:
    line = refusal(changed(old, new))
    assert expected in line
    assert expected.startswith(("or ", "nesterov")) or line.startswith(expected)


@pytest.mark.parametrize(
    ("given_budget", "expected"),
    [
        ("{}", "budget: got 'nothing', allowed: params, madds or latency"),
        ("{params: 10q}", "budget.params: got '10q', allowed: a positive count such as 3.4M"),
        ("{params: 10 k}", "budget.params: got '10 k', allowed: a positive count"),
        ("{params: 0}", "budget.params: got '0', allowed: a positive count"),
        ("{params: -5}", "budget.params: got '-5', allowed: a positive count"),
        ("{params: 10000.5}", "budget.params: got '10000.5', allowed: a positive count"),
        ("{params: .nan}", "budget.params: got 'nan', allowed: a positive count"),
        ("{params: true}", "budget.params: got 'True', allowed: a positive count"),
        ("{params: [1]}", "budget.params: got '[1]', allowed: a positive count"),
        ("{params: 1e400}", "budget.params: got '1e400', allowed: a positive count"),
        (f"{{params: {'9' * 300}}}", "budget.params: got 'a number beyond 10^15', allowed: a positive count"),
        ("{params: 10k, flops: 3M}", "budget.flops: got 'an unknown field', allowed: latency, madds, params"),
        (
            "{params: 500}",
            "budget.params: got '500', allowed: at least 882, what the start network 1 / 1 needs "
            "(882 params, 27,072 MAdds)",
        ),
        (
            "{params: 10k, madds: 27071}",
            "budget.madds: got '27071', allowed: at least 27,072, what the start network 1 / 1 needs "
            "(882 params, 27,072 MAdds)",
        ),
    ],
)
def test_a_bad_budget_is_one_line(given_budget: str, expected: str) -> None:
    assert refusal(changed("{params: 10k, madds: 300k}", given_budget)).startswith(expected)


@pytest.mark.parametrize("count", ["2_400_000", "2400000", "2.4M", "'2.4M'", "2400k", "0.0024G", "2400000.0"])
def test_a_budget_is_read_as_people_write_it(count: str) -> None:
    assert parse_spec(changed("params: 10k", f"params: {count}")).budget.params == 2_400_000


def test_a_budget_of_exactly_the_start_network_is_enough() -> None:
    assert parse_spec(changed("{params: 10k, madds: 300k}", "{params: 882, madds: 27072}"))


def test_joint_needs_two_budgets() -> None:
    joint = changed("threads: 1", "rules: [JOINT]")
    assert parse_spec(joint).rules == ("JOINT",)
    assert refusal(joint.replace(", madds: 300k", "")).startswith(
        "rules: got 'JOINT', allowed: JOINT only with two budgets"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "spec: got 'None', allowed: a mapping with the fields space, budget and data"),
        ("[1, 2]", "spec: got '[1, 2]', allowed: a mapping"),
        ("just words", "spec: got 'just words', allowed: a mapping"),
        ("a: [1", "spec, line 1, column 6: got "),
        ("a: 'x\n", "spec, line 2, column 1: got "),
        ("a:\n\t- 1", "spec, line 2, column 1: got "),
        ("a: b: c", "spec, line 1, column 5: got "),
        ("--- \na: 1\n---\nb: 2\n", "spec, line 3, column 1: got "),
        ("a: \x00", "spec: got 'unacceptable character #x0000"),
        (
            "name: a\nspace: {}\nname: b\n",
            "spec, line 3, column 1: got 'name for the second time', allowed: YAML or JSON",
        ),
        ('{"name": "a",\n "name": "b"}', "spec, line 2, column 2: got 'name for the second time', allowed: YAML"),
        ("space: {classes: 3, classes: 4}", "spec, line 1, column 21: got 'classes for the second time'"),
        ("a: &x 1\nb: *x\n", "spec, line 2, column 4: got 'an alias, which a spec cannot have; write the value out'"),
        ("a: &x [*x]\n", "spec, line 1, column 8: got 'an alias"),
        ("? [1, 2]\n: 3\n", "spec, line 1, column 3: got 'found unhashable key'"),
        ("a: !!python/object/apply:os.getcwd []", 'spec, line 1, column 4: got "could not determine a constructor'),
        ("a: !!int ''", "spec: got "),
        ("a: !!bool perhaps", "spec: got "),
        ("a: !!timestamp soon", "spec: got "),
        ("a: !!binary 3", "spec, line 1, column 4: got "),
        ("a: 2020-99-99", "spec: got 'month must be in 1..12'"),
        (f"a: {'9' * 5000}", "spec: got 'Exceeds the limit"),
        ("[" * 20_000, "spec: got 'maximum recursion depth exceeded"),
        ("{a: " * 20_000, "spec: got 'maximum recursion depth exceeded"),
        ("- " * 20_000, "spec: got 'maximum recursion depth exceeded"),
    ],
)
def test_text_that_is_no_spec_is_one_line(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


def test_a_yaml_bomb_is_refused_before_it_unfolds() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "an alias" in refusal("\n".join(["a0: &a0 [x, x]", *levels]))


def test_the_name_of_the_file_is_in_the_line() -> None:
    with pytest.raises(InvalidSpec, match=r"^my\.yaml, line 1, column 5: got "):
        parse_spec("a: {", "my.yaml")
    with pytest.raises(InvalidSpec, match=r"^my\.yaml: got 'None'"):
        parse_spec("", "my.yaml")


def test_json_is_read_however_it_is_indented() -> None:
    data = yaml.safe_load(VALID)
    for indent in (None, 2, "\t"):
        assert parse_spec(json.dumps(data, indent=indent)) == parse_spec(VALID)


def test_what_is_written_back_reads_as_the_same_spec() -> None:
    spec = parse_spec(VALID)
    assert build_spec(spec.model_dump(mode="json")) == spec
    assert parse_spec(spec.model_dump_json()) == spec


@pytest.mark.parametrize("name", ["template.yaml", "demo.yaml"])
def test_the_specs_in_the_package_are_valid(name: str) -> None:
    assert parse_spec(files("rcas").joinpath(name).read_text(encoding="utf-8"), name)


def test_the_template_says_what_the_defaults_are() -> None:
    """Whoever deletes a line of the template must get what the line said."""
    template = parse_spec(files("rcas").joinpath("template.yaml").read_text(encoding="utf-8"))
    defaults = build_spec(PAPER)
    for field in ("space", "budget", "rules", "stop", "min_gain", "max_blocks", "training", "device", "threads"):
        assert getattr(template, field) == getattr(defaults, field), field
    assert template.data.draw() == defaults.data.draw()


def test_the_defaults_are_the_papers() -> None:
    """FACTS.md: search-time training, algorithms and blocks."""
    spec = build_spec(PAPER)
    training = spec.training
    assert (training.epochs, training.batch_size, training.seed) == (10, 128, 0)
    assert (training.lr, training.milestones, training.gamma) == (0.1, (4, 7, 9), 0.1)
    assert (training.momentum, training.nesterov, training.weight_decay) == (0.9, True, 4e-5)
    assert (training.pad, training.flip, training.mean_subtraction) == (4, True, True)
    assert training.activation == "relu6"
    assert (spec.data.validation_per_class, spec.data.train_per_class) == (10, None)
    assert spec.rules == ("UC", "APR", "AMR")
    assert spec.stop == "drop-infeasible"
    assert spec.space.build() == Space.cifar(100)
    assert spec.space.build().block_types == (1, 2, 3, 4, 5, 6)
    assert spec.budget.build().params == 2_400_000
    assert spec.budget.build().madds == 91_100_000


def test_fields_of_a_paper_skeleton_can_be_replaced_alone() -> None:
    data = PAPER | {"space": {"skeleton": "imagenet", "classes": 7, "block_types": [5], "input": [3, 64, 64]}}
    space = build_spec(data).space.build()
    assert space == Space.imagenet(7, block_types=(5,), input=(3, 64, 64))
