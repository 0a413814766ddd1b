"""Opens the store that a URL names."""

from __future__ import annotations

import re
from collections.abc import Callable

from rcas.errors import InvalidSpec
from rcas.location import SCHEME, S3Location
from rcas.stores.base import Store
from rcas.stores.file import FileStore


def open_store(url: str, *, create: bool = True, observe: Callable[[str, str], None] | None = None) -> Store:
    """The store at `url`: `s3://bucket/prefix`, or a folder.

    Args:
        url: of the store.
        create: make the folder if it is not there. Buckets are never made.
        observe: for S3, called once per HTTP request with its operation and outcome (see S3Store).

    Raises:
        InvalidSpec: another kind of URL, a folder that cannot be used, or boto3 is not installed.
    """
    if not url.startswith(SCHEME):
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
            raise InvalidSpec("store", got=url, allowed="a folder, or s3://bucket/prefix")
        return FileStore(url, create=create)
    location = S3Location.parse(url)
    try:
        from rcas.stores.s3 import S3Store
    except ModuleNotFoundError:
        raise InvalidSpec(
            "store", got=url, allowed="a folder; for S3 first: pip install 'rcas[controller]'"
        ) from None
    return S3Store(location, observe=observe)
