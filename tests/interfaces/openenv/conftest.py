"""One server of the simulator for all tests that only play on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interfaces.openenv.servers import Served, served


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    """A server of the simulator with 32 sessions."""
    with served("--sessions", "32") as running:
        yield running
