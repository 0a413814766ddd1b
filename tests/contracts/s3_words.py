"""What tests of the S3 store over a real service have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rcas.errors import Unavailable
from rcas.location import S3Location
from rcas.stores.s3 import Patience, S3Store

BRISK = Patience(connect_s=2, read_s=2, attempts=4, first_wait_s=0.01, longest_wait_s=0.02)


def a_store(url: str) -> S3Store:
    return S3Store(S3Location.parse(url), patience=BRISK)


def held(store: S3Store, name: str) -> tuple[bytes, str]:
    found = store.get(name)
    assert found
    return found


def refused_by(store: S3Store, what: Callable[[S3Store], object]) -> str:
    with pytest.raises(Unavailable) as caught:
        what(store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(store: S3Store) -> object:
    return store.put("a", b"1", expected=None)
