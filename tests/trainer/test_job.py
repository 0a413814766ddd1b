"""A Job's container: its order out of the environment, its result in a real S3 service."""

import os
import pwd
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contracts import seaweed
from rcas.evaluation import DataSource, Description, Result, Task
from rcas.messages import EXIT_INTERRUPTED, EXIT_INVALID, JOB_VARIABLE, Inquiry
from rcas_trainer import evaluate as evaluate_module
from rcas_trainer.errors import Interrupted
from rcas_trainer.evaluate import evaluate
from rcas_trainer.job import parsed, settle
from rcas_trainer.worker import StopRequest

from .builders import (
    DIGITS,
    a_space,
    a_task,
    an_assignment,
    finish,
    measured,
    refused,
    start_job,
    wait_for_line,
)
from .weed import Weed, content, keys, put

LONG = {"epochs": 12, "milestones": (4, 8), "batch_size": 16}


def undisturbed(task: Task, folder: Path) -> dict[str, Any]:
    """What the evaluation measures with files, in this process."""
    return measured(evaluate(an_assignment(task, folder), stop=lambda: False, report=lambda _: None, startup_s=0))


def stored_result(endpoint: str, url: str) -> Result:
    return Result.model_validate_json(content(endpoint, f"{url}/a.json"))


def test_a_stopped_training_goes_on_from_s3_and_ends_as_with_files(
    bucket_url: str, s3_endpoint: str, tmp_path: Path
) -> None:
    task = a_task(**LONG)
    process = start_job(an_assignment(task, bucket_url))
    wait_for_line(process, "epoch 2 of 12")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, errors
    assert errors.splitlines()[-1].startswith("rcas-trainer: stopped in epoch ")
    assert errors.endswith("; a checkpoint is written\n")
    assert keys(s3_endpoint, bucket_url) == ["a.pt"]
    assert "going on in epoch" in finish(start_job(an_assignment(task, bucket_url)))
    assert keys(s3_endpoint, bucket_url) == ["a.json"]
    result = stored_result(s3_endpoint, bucket_url)
    assert result.resumed == 1
    assert measured(result) == undisturbed(task, tmp_path)
    first = content(s3_endpoint, f"{bucket_url}/a.json")
    assert "epoch" not in finish(start_job(an_assignment(task, bucket_url)))
    assert content(s3_endpoint, f"{bucket_url}/a.json") == first


def test_two_at_one_evaluation_leave_one_result_and_both_succeed(bucket_url: str, s3_endpoint: str) -> None:
    task = a_task(**LONG)
    both = [start_job(an_assignment(task, bucket_url)) for _ in range(2)]
    for process in both:
        wait_for_line(process, "epoch 1 of 12")
    ends = [finish(process).splitlines()[-1] for process in both]
    assert ends[0] == ends[1]
    assert "validation images right" in ends[0]
    assert keys(s3_endpoint, bucket_url) == ["a.json"]
    assert stored_result(s3_endpoint, bucket_url).key == task.key


def test_a_pause_of_s3_holds_a_training_up_and_no_more(weed: Weed, tmp_path: Path) -> None:
    task, url = a_task(**LONG), f"s3://{seaweed.BUCKET}/paused"
    process = start_job(an_assignment(task, url))
    wait_for_line(process, "epoch 2 of 12")
    weed.pause()
    with pytest.raises(Exception, match="timed out"):
        process.communicate(timeout=4)
    weed.go_on()
    finish(process)
    assert measured(stored_result(weed.endpoint, url)) == undisturbed(task, tmp_path)


def test_an_outage_loses_nothing_that_was_trained(weed: Weed, tmp_path: Path) -> None:
    task, url = a_task(**LONG), f"s3://{seaweed.BUCKET}/killed"
    process = start_job(an_assignment(task, url))
    wait_for_line(process, "epoch 1 of 12")
    weed.kill()
    wait_for_line(process, "checkpoint not written: s3://rcas-test/killed/a.pt: S3 does not answer")
    wait_for_line(process, "epoch 3 of 12")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, errors
    assert errors.endswith("; no checkpoint is written\n")
    process = start_job(an_assignment(task, url))
    wait_for_line(process, "killed/a.json: S3 does not answer")
    weed.be_up()
    errors = finish(process)
    assert "going on in epoch" in errors
    assert measured(stored_result(weed.endpoint, url)) == undisturbed(task, tmp_path)


def test_a_finished_training_waits_to_write_its_result(
    weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, other, url = a_task(epochs=1), a_task(epochs=1, replicate=1), f"s3://{seaweed.BUCKET}/late"
    stop = StopRequest()

    def trained(task: Task, name: str) -> Result:
        # The last epoch is told after its checkpoint is written and before the result is.
        order = an_assignment(task, url, name)
        return evaluate(order, stop=stop, report=lambda _: weed.kill(), startup_s=0)

    monkeypatch.setattr(evaluate_module, "LAST_WORDS_S", 1.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(trained, task, "a")
        with pytest.raises(TimeoutError):
            waiting.result(timeout=3)
        weed.be_up()
        result = waiting.result(timeout=60)
        assert result == stored_result(weed.endpoint, url)
        assert measured(result) == undisturbed(task, tmp_path)
        waiting = pool.submit(trained, other, "b")
        with pytest.raises(TimeoutError):
            waiting.result(timeout=3)
        stop.ask()
        with pytest.raises(Interrupted):
            waiting.result(timeout=30)


def test_whoever_waits_for_s3_can_be_stopped() -> None:
    nobody_there = seaweed.environment("http://127.0.0.1:1")
    inquiry = Inquiry(draw=DIGITS, answer=f"s3://{seaweed.BUCKET}/x.json")
    for order in (an_assignment(a_task(), f"s3://{seaweed.BUCKET}"), inquiry):
        process = start_job(order, **nobody_there)
        wait_for_line(process, "trying again")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == EXIT_INTERRUPTED, errors
        assert errors.splitlines()[-1] == "rcas-trainer: stopped while the store did not answer"


@pytest.mark.parametrize(
    ("variables", "bucket", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, None, "SignatureDoesNotMatch (403)"),
        ({}, "no-such-bucket", "NoSuchBucket (404)"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
            None,
            "no cred",
        ),
    ],
)
def test_what_s3_refuses_is_one_line(
    bucket_url: str, variables: dict[str, str], bucket: str | None, words: str
) -> None:
    url = f"s3://{bucket}" if bucket else bucket_url
    process = start_job(Inquiry(draw=DIGITS, answer=f"{url}/a.json"), **variables)
    line = refused(process, 1)
    assert f"{url}/a.json: " in line
    assert words in line


def test_a_reader_cannot_write(bucket_url: str) -> None:
    reader = {"AWS_ACCESS_KEY_ID": seaweed.READER_KEY, "AWS_SECRET_ACCESS_KEY": seaweed.READER_SECRET}
    line = refused(start_job(Inquiry(draw=DIGITS, answer=f"{bucket_url}/a.json"), **reader), 1)
    assert "AccessDenied (403)" in line
    assert "s3:GetObject" in line


def test_an_inquiry_is_answered_once(bucket_url: str, s3_endpoint: str, tmp_path: Path) -> None:
    answers = [f"{bucket_url}/description.json", str(tmp_path / "description.json")]
    orders = [Inquiry(draw=DIGITS, space=a_space(), answer=answer) for answer in answers]
    for order in orders:
        finish(start_job(order))
    first = content(s3_endpoint, answers[0])
    assert Path(answers[1]).read_bytes() == first
    found = Description.model_validate_json(first)
    assert (found.input, found.num_classes, found.train_images) == ((1, 8, 8), 10, 1697)
    assert "stands" in finish(start_job(orders[0]))
    assert content(s3_endpoint, answers[0]) == first
    put(s3_endpoint, answers[0], b"{}")
    assert "description.json is not a description" in refused(start_job(orders[0]), 1)


def test_an_order_that_cannot_be_carried_out_is_one_line(tmp_path: Path) -> None:
    order = an_assignment(a_task(protocol={"data_sha256": "1" * 64}), tmp_path)
    assert "protocol.data_sha256" in refused(start_job(order), EXIT_INVALID)
    order = Inquiry(
        draw=DIGITS.model_copy(update={"dataset": "mnist"}), source=DataSource(path="/no/such"), answer="a"
    )
    assert "source.path: got '/no/such'" in refused(start_job(order), EXIT_INVALID)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "RCAS_JOB: got 'nothing', allowed: an assignment or an inquiry as JSON"),
        ("{", "RCAS_JOB: got '{'"),
        ("[1]", "RCAS_JOB: "),
        ('{"task": {}}', "RCAS_JOB.task.key: "),
        ('{"draw": {"dataset": "digits"}}', "RCAS_JOB.answer: "),
        ('{"draw": {"dataset": "digits"}, "answer": "a", "result": "b"}', "RCAS_JOB.result: "),
        ("[" * 100_000, "RCAS_JOB: "),
    ],
)
def test_an_order_that_is_none_names_the_variable(text: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=r"^RCAS_JOB") as caught:
        parsed(text)
    assert words in str(caught.value)


def test_without_boto3_only_s3_does_not_work(tmp_path: Path) -> None:
    code = "import sys; sys.modules['botocore'] = None\nfrom rcas_trainer.__main__ import main; main()"
    for answer, exit_code in ((str(tmp_path / "a.json"), 0), ("s3://bucket/a.json", EXIT_INVALID)):
        environment = {**os.environ, JOB_VARIABLE: Inquiry(draw=DIGITS, answer=answer).model_dump_json()}
        command = [sys.executable, "-c", code, "job"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        line = refused(process, exit_code)
    assert "answer: got 's3://bucket/a.json'" in line
    assert "pip install 'rcas[trainer]'" in line


def test_a_container_without_home_and_name_needs_only_its_temporary_folder(tmp_path: Path) -> None:
    temporary, out = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    nobody = dict.fromkeys(("HOME", "USER", "LOGNAME", "USERNAME"), "") | {"HOME": "/nonexistent"}
    process = start_job(an_assignment(a_task(epochs=1), out), TMPDIR=str(temporary), **nobody)
    finish(process)
    assert [path.name for path in out.iterdir()] == ["a.json"]
    assert not Path("/nonexistent").exists()


def test_who_has_no_home_and_no_name_is_given_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    has_both = {"HOME": str(tmp_path)}
    settle(has_both)
    assert has_both == {"HOME": str(tmp_path)}

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for environment in ({}, {"HOME": "/nonexistent"}, {"HOME": ""}):
        settle(environment)
        assert Path(environment["HOME"]).parent == tmp_path
        assert os.access(environment["HOME"], os.W_OK)
        assert environment["USER"] == "rcas"
