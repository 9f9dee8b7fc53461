"""The browser, and visitors of a room on the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import launched
from tests.room.load import server
from tests.room.visitors import Visitors, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for all tests of a file. Each test opens a room of its own there."""
    with server(tmp_path_factory.mktemp("rooms")) as (address, _):
        yield address


@pytest.fixture
def visitors(chromium: Browser, address: str) -> Iterator[Visitors]:
    with visiting(chromium, address) as found:
        yield found


@pytest.fixture
def only_visitors(chromium: Browser, tmp_path: Path) -> Iterator[Visitors]:
    """Visitors of a server of their own. It may refuse what they do too often."""
    with server(tmp_path) as (address, _), visiting(chromium, address) as found:
        yield found
