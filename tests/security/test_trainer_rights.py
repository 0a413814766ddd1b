"""Trainers and the controller work with the documented rights, and a stolen credential can do nothing beside that."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contracts import seaweed
from contracts.faults import Answer, Fault, Proxy, error
from rcas.errors import Unavailable
from rcas.evaluation import DataSource, Draw, Result
from rcas.location import S3Location
from rcas.messages import Inquiry
from rcas.state import checkpoint_name, description_name, head_name, result_name
from rcas.stores.doctor import examine_briefly
from rcas.stores.s3 import S3Store
from security.conftest import DATA, PREFIX, Service
from security.lab import Lab, a_search_spec
from trainer.builders import (
    DIGITS,
    a_space,
    a_task,
    an_assignment,
    finish,
    refused,
    some_images,
    start_job,
    write_idx,
)

KEY = "e" * 64
SEARCH = "lab/search/0b5ee1f4-0000-4000-8000-000000000000"
BUCKET = seaweed.BUCKET
URL = f"s3://{BUCKET}/{PREFIX}"
STATE = head_name(SEARCH)


@pytest.fixture
def written(limited: Service) -> Service:
    """The service with what a search and others have in it."""
    for name in (result_name(KEY), STATE, checkpoint_name(KEY)):
        limited.owner.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=b"theirs")
    for name in (f"{DATA}/x", "others/x"):
        limited.owner.put_object(Bucket=BUCKET, Key=name, Body=b"data")
    return limited


def at(name: str, **more: Any) -> dict[str, Any]:
    return {"Bucket": BUCKET, "Key": f"{PREFIX}/{name}", **more}


Ask = Callable[[Any], Any]
MAY: dict[str, Ask] = {
    "read a result": lambda s3: s3.get_object(**at(result_name(KEY))),
    "create a result": lambda s3: s3.put_object(**at(result_name(uuid.uuid4().hex * 2), Body=b"x", IfNoneMatch="*")),
    "read a checkpoint": lambda s3: s3.get_object(**at(checkpoint_name(KEY))),
    "replace a checkpoint": lambda s3: s3.put_object(**at(checkpoint_name(KEY), Body=b"x")),
    "delete a checkpoint": lambda s3: s3.delete_object(**at(checkpoint_name(KEY))),
    "create a description": lambda s3: s3.put_object(
        **at(description_name(f"lab/s/{uuid.uuid4()}"), Body=b"x", IfNoneMatch="*")
    ),
    "list a data set": lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{DATA}/"),
    "read a data set": lambda s3: s3.get_object(Bucket=BUCKET, Key=f"{DATA}/x"),
}
MAY_NOT: dict[str, Ask] = {
    "read a state": lambda s3: s3.get_object(**at(STATE)),
    "ask for a state": lambda s3: s3.head_object(**at(STATE)),
    "replace a state": lambda s3: s3.put_object(**at(STATE, Body=b"x")),
    "create a state": lambda s3: s3.put_object(**at(head_name("lab/new/1"), Body=b"x", IfNoneMatch="*")),
    "delete a state": lambda s3: s3.delete_object(**at(STATE)),
    "write a state in parts": lambda s3: s3.create_multipart_upload(**at(STATE)),
    "copy a state to where it may read": lambda s3: s3.copy_object(
        **at(checkpoint_name("f" * 64)), CopySource=f"{BUCKET}/{PREFIX}/{STATE}"
    ),
    "write a state by a path": lambda s3: s3.put_object(**at(f"checkpoints/../{STATE}", Body=b"x")),
    "delete a result": lambda s3: s3.delete_object(**at(result_name(KEY))),
    "delete data": lambda s3: s3.delete_object(Bucket=BUCKET, Key=f"{DATA}/x"),
    "write data": lambda s3: s3.put_object(Bucket=BUCKET, Key=f"{DATA}/y", Body=b"x"),
    "read what is another's": lambda s3: s3.get_object(Bucket=BUCKET, Key="others/x"),
    "write beside the store": lambda s3: s3.put_object(Bucket=BUCKET, Key="x", Body=b"x"),
    "list the bucket": lambda s3: s3.list_objects_v2(Bucket=BUCKET),
    "list the results": lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/results/"),
    "list the searches": lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/searches/"),
    "list in the old way": lambda s3: s3.list_objects(Bucket=BUCKET, Prefix=f"{PREFIX}/"),
    "list versions": lambda s3: s3.list_object_versions(Bucket=BUCKET),
    "list uploads": lambda s3: s3.list_multipart_uploads(Bucket=BUCKET),
    "publish a result": lambda s3: s3.put_object_acl(**at(result_name(KEY), ACL="public-read")),
    "read the policy": lambda s3: s3.get_bucket_policy(Bucket=BUCKET),
    "change the policy": lambda s3: s3.put_bucket_policy(
        Bucket=BUCKET, Policy='{"Version": "2012-10-17", "Statement": []}'
    ),
    "expire what is there": lambda s3: s3.put_bucket_lifecycle_configuration(
        Bucket=BUCKET,
        LifecycleConfiguration={
            "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
        },
    ),
    "make a bucket": lambda s3: s3.create_bucket(Bucket="mine"),
    "delete the bucket": lambda s3: s3.delete_bucket(Bucket=BUCKET),
}


@pytest.mark.parametrize("ask", MAY.values(), ids=MAY)
def test_a_trainer_may(written: Service, ask: Ask) -> None:
    ask(written.trainer)


@pytest.mark.parametrize("ask", MAY_NOT.values(), ids=MAY_NOT)
def test_a_trainer_may_not(written: Service, ask: Ask) -> None:
    with pytest.raises(ClientError) as caught:
        ask(written.trainer)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}
    for name in (result_name(KEY), STATE):
        assert written.owner.get_object(**at(name))["Body"].read() == b"theirs"


def test_many_deletes_in_one_request_delete_no_result(written: Service) -> None:
    """Answered with a success and a list of refusals."""
    objects = [{"Key": f"{PREFIX}/{name}"} for name in (result_name(KEY), STATE)]
    written.trainer.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    for name in (result_name(KEY), STATE):
        assert written.owner.get_object(**at(name))["Body"].read() == b"theirs"


def test_an_evaluation_and_a_description_need_no_more(limited: Service) -> None:
    url = f"{URL}/searches/lab/{uuid.uuid4()}/description.json"
    finish(start_job(Inquiry(draw=DIGITS, space=a_space(), answer=url), **limited.environment()))
    task = a_task(replicate=1)
    order = an_assignment(task, URL)
    order = order.model_copy(
        update={"result": f"{URL}/{result_name(task.key)}", "checkpoint": f"{URL}/{checkpoint_name(task.key)}"}
    )
    finish(start_job(order, **limited.environment()))
    content = limited.owner.get_object(**at(result_name(task.key)))["Body"].read()
    assert Result.model_validate_json(content).key == task.key
    left = limited.owner.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/checkpoints/{task.key}")
    assert "Contents" not in left
    finish(start_job(order, **limited.environment()))
    assert limited.owner.get_object(**at(result_name(task.key)))["Body"].read() == content


def test_data_from_s3_need_no_more(limited: Service, tmp_path: Any) -> None:
    for path in write_idx(tmp_path / "idx", *some_images()).iterdir():
        limited.owner.put_object(Bucket=BUCKET, Key=f"{DATA}/fashion/{path.name}", Body=path.read_bytes())
    draw = Draw(dataset="fashion-mnist", validation_per_class=2)
    answer = f"{URL}/searches/lab/{uuid.uuid4()}/description.json"
    cache = {"RCAS_DATA_CACHE": str(tmp_path / "cache")}
    source = DataSource(path=f"s3://{BUCKET}/{DATA}/fashion")
    finish(start_job(Inquiry(draw=draw, source=source, answer=answer), **limited.environment(), **cache))
    beside = DataSource(path=f"s3://{BUCKET}/others")
    order = Inquiry(draw=draw, source=beside, answer=f"{answer}.other/description.json")
    assert "AccessDenied (403)" in refused(start_job(order, **limited.environment(), **cache), 1)


def test_what_is_missing_may_be_answered_as_forbidden(limited: Service) -> None:
    """So AWS answers who may not list. The answers here are SeaweedFS's but for that."""

    def as_aws(given: Answer | None) -> Answer:
        assert given
        return error(403, "AccessDenied")(None) if given.status == 404 else given

    task = a_task(replicate=2)
    order = an_assignment(task, URL).model_copy(
        update={"result": f"{URL}/{result_name(task.key)}", "checkpoint": f"{URL}/{checkpoint_name(task.key)}"}
    )
    with Proxy(limited.endpoint) as proxy:
        proxy.expect(*[Fault(True, as_aws)] * 20, method="GET")
        finish(start_job(order, **{**limited.environment(), "AWS_ENDPOINT_URL_S3": proxy.endpoint}))
    assert limited.owner.get_object(**at(result_name(task.key)))["ContentLength"] > 100


def test_without_rights_a_training_ends_after_an_epoch_and_says_what_it_needs(limited: Service) -> None:
    order = an_assignment(a_task(replicate=3, epochs=50), f"s3://{BUCKET}/others")
    process = start_job(order, **limited.environment())
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "epoch 1 of 50" not in errors
    last = errors.splitlines()[-1]
    assert "AccessDenied (403)" in last
    assert "s3:GetObject, PutObject, DeleteObject" in last


def test_a_controller_needs_no_more_than_its_rights_and_cannot_delete_a_result(
    limited: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limited.environment("controller").items():
        monkeypatch.setenv(name, value)
    store = S3Store(S3Location.parse(URL))
    assert not [finding for finding in examine_briefly(store) if not finding.held]
    lab = Lab(store=store)
    lab.submit("search", a_search_spec())
    lab.run("search")
    for name in (*store.names("results/"), *store.names("searches/lab/search/")):
        with pytest.raises(Unavailable, match="AccessDenied"):
            store.delete(name)
