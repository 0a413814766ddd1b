"""The S3 store of a real service, behind a proxy that can break requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.faults import Proxy
from contracts.s3_words import BRISK, a_store
from rcas.stores.s3 import S3Store


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    with Proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def rival(bucket_url: str) -> S3Store:
    """Another client of the same store, whose network is sound."""
    return a_store(bucket_url)


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    """Operation and outcome of every request of `store`."""
    return []


@pytest.fixture
def store(rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    return S3Store(rival.location, patience=BRISK, observe=lambda *request: seen.append(request))
