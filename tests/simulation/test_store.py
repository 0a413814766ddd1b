"""The simulated S3 service keeps the store's contract, and answers its client as a real one does."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.seaweed import BUCKET, client, s3_endpoint  # noqa: F401
from contracts.test_store import StoreContract
from rcas.location import S3Location, S3Settings
from rcas.stores.base import Store
from rcas.stores.s3 import S3Store
from simulation.bucket import NAME, Bucket, Client
from simulation.s3_contract import S3Contract


def a_client() -> Client:
    return Client(Bucket(), lambda _verb, _key, act: act())


class TestSimulatedStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return S3Store(S3Location(NAME, "prefix/"), settings=S3Settings("path"), client=a_client())


class TestSimulatedS3(S3Contract):
    bucket = NAME

    @pytest.fixture
    def s3(self) -> Any:
        return a_client()


class TestRealS3(S3Contract):
    bucket = BUCKET

    @pytest.fixture
    def s3(self, s3_endpoint: str) -> Any:  # noqa: F811
        return client(s3_endpoint)
