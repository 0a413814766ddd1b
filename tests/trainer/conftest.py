"""Fixtures on a real S3 service."""

from collections.abc import Iterator

import pytest

from contracts import seaweed
from contracts.seaweed import bucket_url, s3_endpoint  # noqa: F401  (fixtures)
from rcas_trainer import fetch, s3

from .weed import Weed


@pytest.fixture(autouse=True)
def _no_client_of_another_test() -> Iterator[None]:
    yield
    for kept in (s3._client, s3._settings):
        kept.cache_clear()
    fetch._fetched.clear()


@pytest.fixture(scope="module")
def own_weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    folder = tmp_path_factory.mktemp("weed") / "own"
    with seaweed.started(folder) as endpoint, Weed(folder, endpoint) as found:
        yield found


@pytest.fixture
def weed(own_weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Weed:
    """An S3 service that a test may pause and kill; it is up again at the beginning of the next."""
    own_weed.be_up()
    for name, value in seaweed.environment(own_weed.endpoint).items():
        monkeypatch.setenv(name, value)
    return own_weed
