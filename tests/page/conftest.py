"""One browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from page.chromium import Browser, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser
