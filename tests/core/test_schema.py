"""What is written and read between controller and trainer: wrong objects are refused, right ones survive."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from core import builders
from core.test_keys import PROTOCOL
from rcas.evaluation import Draw, Protocol, Result, Task, Training, evaluation_key

SPACE = builders.small_space()
TASK = Task(
    key=evaluation_key(SPACE, SPACE.network("5,3 / 1"), PROTOCOL.sha256, 2),
    space=SPACE,
    network="5,3 / 1",
    protocol=PROTOCOL,
    replicate=2,
)
RESULT = Result.model_validate(
    {
        "key": TASK.key,
        "network": TASK.network,
        "protocol_sha256": PROTOCOL.sha256,
        "replicate": 2,
        "correct": 7,
        "correct_top5": 9,
        "total": 10,
        "loss": 1.5,
        "train_loss": None,
        "epochs": 10,
        "diverged": False,
        "seconds": {"startup": 1.0, "data": 0.0, "training": 2.0, "validation": 0.5},
        "images_per_second": 100.0,
        "device": "cpu",
        "versions": {},
        "params": 1,
        "madds": 1,
    }
)


def changed(model, **fields) -> str:
    return json.dumps(model.model_dump(mode="json") | fields)


@pytest.mark.parametrize("model", [PROTOCOL, TASK, RESULT], ids=lambda model: type(model).__name__)
def test_an_object_survives_json(model):
    assert type(model).model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(
    "model", [PROTOCOL, PROTOCOL.draw, PROTOCOL.training, TASK, RESULT], ids=lambda m: type(m).__name__
)
def test_an_unknown_field_is_refused(model):
    with pytest.raises(ValidationError, match="surprise"):
        type(model).model_validate_json(changed(model, surprise=1))


@pytest.mark.parametrize("field", ["lr", "momentum", "weight_decay", "gamma"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_a_training_of_no_finite_numbers_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        Training(**{field: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"lr": 0},
        {"milestones": [0]},
        {"gamma": 1.1},
        {"momentum": 1},
        {"momentum": 0},
        {"pad": -1},
        {"activation": "gelu"},
        {"precision": "float16"},
        {"seed": 2**32},
        {"seed": -1},
    ],
    ids=str,
)
def test_a_training_out_of_range_is_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Training(**fields)


def test_without_nesterov_the_momentum_may_be_zero():
    assert Training(nesterov=False, momentum=0).momentum == 0


def test_a_draw_names_a_data_set_and_takes_at_least_one_image():
    for fields in ({"dataset": "imagenet"}, {"dataset": "mnist", "validation_per_class": 0}, {}):
        with pytest.raises(ValidationError):
            Draw(**fields)


@pytest.mark.parametrize(
    "fields", [{"threads": 0}, {"device": "tpu"}, {"data_sha256": "0" * 63}, {"data_sha256": "G" * 64}], ids=str
)
def test_a_protocol_out_of_range_is_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Protocol.model_validate_json(changed(PROTOCOL, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "0" * 64},
        {"network": "5,5 / 1"},
        {"replicate": 3},
        {"protocol": PROTOCOL.model_copy(update={"threads": 2}).model_dump(mode="json")},
        {"network": "5,3"},
        {"network": "5,3 / -"},
    ],
    ids=str,
)
def test_a_task_whose_key_is_not_its_own_is_refused(fields):
    with pytest.raises(ValidationError, match=r"key|network"):
        Task.model_validate_json(changed(TASK, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"correct": -1},
        {"correct": 10},
        {"correct_top5": 11},
        {"total": 0},
        {"loss": float("nan")},
        {"loss": float("inf")},
        {"images_per_second": float("nan")},
        {"images_per_second": -1},
        {"seconds": {"startup": 1.0}},
        {"epochs": -1},
        {"correct": 7.5},
        {"correct": None},
        {"key": "xyz"},
        {"format": 2},
    ],
    ids=str,
)
def test_a_result_that_cannot_be_is_refused(fields):
    with pytest.raises(ValidationError):
        Result.model_validate_json(changed(RESULT, **fields))


def test_a_stored_object_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        RESULT.correct = 8
