"""Where OpenEnv's validator runs the package under test: on a thread. It imports the validator, which takes seconds."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from openenv.validation.types import ProviderCapability  # type: ignore[import-untyped]  # openenv ships no types

from tests.interfaces.openenv.servers import wait_until_healthy


class LocalThread:
    """Runs the `app` of openenv.yaml on a thread of this process, without a sandbox."""

    name = "local-thread"
    capabilities = frozenset({ProviderCapability.IMAGE_BUILD})
    supported_network_modes = frozenset({"public"})

    def build(self, root: Path, execution: Any) -> str:
        self.app: str = yaml.safe_load((root / "openenv.yaml").read_text())["app"]
        assert (root / execution.dockerfile).is_file()
        return "sha256:" + "0" * 64

    def start(self, spec: Any) -> RunningThread:
        return RunningThread(self.app, spec.startup_timeout_s)


class RunningThread:
    """A server that imports its application by name, as `uvicorn MODULE:app` does."""

    def __init__(self, app: str, timeout_s: float) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        try:
            wait_until_healthy(self.base_url, timeout_s=timeout_s)
        except BaseException:
            self.stop()  # nobody else knows of it yet
            raise

    def inspect(self) -> dict[str, Any]:
        return {"thread": self._thread.name}

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
