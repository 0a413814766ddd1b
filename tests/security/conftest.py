"""Fixtures: a real S3 service on which trainers have the rights of docs/policies/trainer.json and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contracts import seaweed
from contracts.seaweed import bucket_url, s3_endpoint  # noqa: F401  (fixtures)
from rcas_trainer import fetch, s3

POLICY = Path(__file__).parents[2] / "docs" / "policies" / "trainer.json"
KEY, SECRET = "trainer", "trainer-test-secret"
PREFIX, DATA = "lab/rcas", "data-sets/digits"


class Service(NamedTuple):
    """Where it is, and clients with the rights of the controller and of a trainer."""

    endpoint: str
    controller: Any
    trainer: Any

    @property
    def environment(self) -> dict[str, str]:
        """Of a trainer's process."""
        own = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        return {**seaweed.environment(self.endpoint), **own}


def policy() -> dict[str, Any]:
    """The documented one, less what SeaweedFS has no condition for: it cannot tell a create from a replace."""
    text = POLICY.read_text(encoding="utf-8")
    for placeholder, value in (
        ("DATA-BUCKET", seaweed.BUCKET),
        ("DATA-PREFIX", DATA),
        ("BUCKET", seaweed.BUCKET),
        ("PREFIX", PREFIX),
    ):
        text = text.replace(placeholder, value)
    found = json.loads(text)
    (create,) = [one for one in found["Statement"] if one["Sid"] == "CreateResults"]
    assert create.pop("Condition") == {"Null": {"s3:if-none-match": "false"}}
    return found


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service."""
    trainer = {
        "name": "trainer",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "policyNames": ["trainer"],
    }
    folder = tmp_path_factory.mktemp("limited")
    content = {"name": "trainer", "content": json.dumps(policy())}
    with seaweed.started(folder / "weed", trainer, policies=[content]) as endpoint:
        yield Service(endpoint, seaweed.client(endpoint), seaweed.client(endpoint, KEY, SECRET))


@pytest.fixture(autouse=True)
def _no_client_of_another_test() -> Iterator[None]:
    yield
    for kept in (s3._client, s3._settings):
        kept.cache_clear()
    fetch._fetched.clear()
