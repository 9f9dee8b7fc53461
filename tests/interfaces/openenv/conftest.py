"""One server with the simulator. All tests that only play episodes share it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interfaces.openenv.servers import Served, served


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    """A server with the simulator and room for 32 sessions."""
    with served("--sessions", "32") as running:
        yield running
