"""Fixtures that run each service in the test's own process, with its own database and fake upstreams."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.data import auth as auth_data
from services.data import staff
from services.kit.settings import Settings
from services.kit.upstreams import UpstreamAnswer, UpstreamFailed
from services.seed import seed

NAMES = ("gateway", "auth", "inventory", "orders", "payments")


class FakeUpstreams:
    """Upstreams that give prepared answers and record what they were asked."""

    def __init__(self) -> None:
        self.prepared: dict[str, UpstreamAnswer | UpstreamFailed] = {}
        self.asked: list[tuple[str, str, Mapping[str, Any] | None, str | None]] = []

    def answers_with(self, upstream: str, path: str, status: int, **content: Any) -> None:
        self.prepared[f"{upstream} {path}"] = UpstreamAnswer(status=status, content=content)

    def fails_with(self, upstream: str, path: str, failure: UpstreamFailed) -> None:
        self.prepared[f"{upstream} {path}"] = failure

    async def call(
        self,
        upstream: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> UpstreamAnswer:
        self.asked.append((upstream, path, body or query, idempotency_key))
        answer = self.prepared[f"{upstream} {path}"]
        if isinstance(answer, UpstreamFailed):
            raise answer
        return answer

    async def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with every service's database, as in the images. Tests copy it and never write to it."""
    directory = tmp_path_factory.mktemp("seeded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth_data, "ITERATIONS", 10_000)  # fewer rounds are faster, and the check is the same
        patch.setattr(staff, "STAFF_ITERATIONS", 20_000)
        for name in NAMES:
            seed(name, directory / f"{name}.db")
    return directory


@pytest.fixture
def data(seeded: Path, tmp_path: Path) -> Path:
    """A copy of the databases. A test may write to it."""
    return Path(shutil.copytree(seeded, tmp_path / "data"))


@pytest.fixture
def upstreams() -> FakeUpstreams:
    return FakeUpstreams()


@pytest.fixture
def app_of(data: Path, upstreams: FakeUpstreams) -> Callable[[str], FastAPI]:
    """A function that creates a service by its name, with fake upstreams if the service has upstreams."""

    def create(name: str) -> FastAPI:
        settings = Settings(service=name, database=data / f"{name}.db")
        module = importlib.import_module(f"services.{name}")
        app: FastAPI = module.create(settings, upstreams) if name in ("gateway", "orders") else module.create(settings)
        return app

    return create


@pytest.fixture
def client_of(app_of: Callable[[str], FastAPI]) -> Iterator[Callable[[str], TestClient]]:
    """A function that starts a service by its name and returns a client for it."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(TestClient(app_of(name), raise_server_exceptions=False))
