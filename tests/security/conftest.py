"""Fixtures: a real S3 service on which controller and trainers have the rights of docs/policies and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contracts import seaweed
from contracts.seaweed import bucket_url, s3_endpoint  # noqa: F401  (fixtures)
from rcas_trainer import fetch, s3

POLICIES = Path(__file__).parents[2] / "docs" / "policies"
SECRET = "a-test-secret-of-"
PREFIX, DATA = "lab/rcas", "data-sets/digits"


class Service(NamedTuple):
    """Where it is, and clients with the rights of its owner and of a trainer."""

    endpoint: str
    owner: Any
    trainer: Any

    def environment(self, who: str = "trainer") -> dict[str, str]:
        """Of the process of a trainer, or of the controller."""
        own = {"AWS_ACCESS_KEY_ID": who, "AWS_SECRET_ACCESS_KEY": SECRET + who}
        return {**seaweed.environment(self.endpoint), **own}


def policy(name: str) -> str:
    """The documented one, less what SeaweedFS has no condition for: it cannot tell a create from a replace."""
    text = (POLICIES / f"{name}.json").read_text(encoding="utf-8")
    for placeholder, value in (
        ("DATA-BUCKET", seaweed.BUCKET),
        ("DATA-PREFIX", DATA),
        ("BUCKET", seaweed.BUCKET),
        ("PREFIX", PREFIX),
    ):
        text = text.replace(placeholder, value)
    found = json.loads(text)
    for statement in found["Statement"]:
        if statement["Sid"] == "CreateResults":
            assert statement.pop("Condition") == {"Null": {"s3:if-none-match": "false"}}
    return json.dumps(found)


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service."""
    names = ("controller", "trainer")
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": SECRET + name}], "policyNames": [name]}
        for name in names
    ]
    policies = [{"name": name, "content": policy(name)} for name in names]
    folder = tmp_path_factory.mktemp("limited") / "weed"
    with seaweed.started(folder, *identities, policies=policies) as endpoint:
        trainer = seaweed.client(endpoint, "trainer", f"{SECRET}trainer")
        yield Service(endpoint, seaweed.client(endpoint), trainer)


@pytest.fixture(autouse=True)
def _no_client_of_another_test() -> Iterator[None]:
    yield
    for kept in (s3._client, s3._settings):
        kept.cache_clear()
    fetch._fetched.clear()
