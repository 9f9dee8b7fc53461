"""Starts servers on free local ports, and plays episodes on them.

A server in its own process takes seconds to import OpenEnv. So tests share one process (the fixture `server`), and
a test that needs a server of its own uses `served_here`.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any
from unittest.mock import patch

import httpx
import uvicorn

from mirr.cli.main import run
from mirr.env.rollout import Policy
from mirr.env.scenario import policy_rng
from mirr.interfaces.openenv import MirrAction, MirrEnv, MirrObservation
from mirr.interfaces.openenv.models import from_wire
from tests.paths import ROOT

COMMAND = (str(Path(sys.executable).with_name("mirr")), "openenv")
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server."""

    url: str
    errors: Path  # the file with its stderr

    @property
    def ws_url(self) -> str:
        """The address of its WebSocket sessions."""
        return self.url.replace("http://", "ws://") + "/ws"


@contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """Runs `mirr openenv` in a process and stops it. It must exit with code 0 and write nothing to stderr."""
    with tempfile.TemporaryDirectory() as directory:
        errors = Path(directory) / "errors"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [*COMMAND, "--port", "0", *arguments],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        try:
            yield Served(url=_address(process, errors), errors=errors)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(timeout=ENDS_WITHIN_S)
            finally:
                process.kill()
                assert process.stdout is not None
                process.stdout.close()
        complaints = errors.read_text()
        assert (code, complaints) == (0, ""), f"ended with {code}: {complaints}"


@contextmanager
def served_here(*arguments: str) -> Iterator[Served]:
    """Runs `mirr openenv` on a thread of this process. It must exit with code 0 and write nothing to stderr."""
    running: Queue[tuple[uvicorn.Server, str]] = Queue()
    codes: list[int] = []

    class Announced(uvicorn.Server):
        """A server that the test can stop. A process is stopped by a signal."""

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            assert sockets
            running.put((self, f"http://127.0.0.1:{sockets[0].getsockname()[1]}"))
            super().run(sockets)

    with (
        tempfile.TemporaryDirectory() as directory,
        redirect_stderr(io.StringIO()) as stderr,
        patch.object(uvicorn, "Server", Announced),
    ):
        thread = threading.Thread(target=lambda: codes.append(run(["openenv", "--port", "0", *arguments])))
        thread.start()
        errors = Path(directory) / "errors"
        server, url = running.get(timeout=STARTS_WITHIN_S)
        try:
            errors.touch()
            wait_until_healthy(url, errors)
            yield Served(url=url, errors=errors)
        finally:
            server.should_exit = True
            thread.join(timeout=ENDS_WITHIN_S)
    assert (codes, stderr.getvalue()) == ([0], ""), f"ended with {codes}: {stderr.getvalue()}"


def _address(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, line + errors.read_text()
    url = line[line.index("http://") :].split()[0]
    wait_until_healthy(url, errors)
    return url


def wait_until_healthy(url: str, errors: Path | None = None, *, timeout_s: float = STARTS_WITHIN_S) -> None:
    """Waits until a server answers. If it does not in time, the error has what it wrote into the file `errors`."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if httpx.get(f"{url}/health", timeout=5.0).json() == {"status": "healthy"}:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, errors.read_text() if errors else f"{url} did not come up"


@dataclass(frozen=True, kw_only=True)
class Played:
    """One episode, played over the network."""

    rewards: list[float]
    first: MirrObservation
    last: MirrObservation


async def play(url: str, policy: Policy, *, dice_seed: int = 0, **reset: Any) -> Played:
    """Plays a whole episode with `policy`. It uses the real client over the WebSocket."""
    policy.reset(policy_rng(dice_seed))
    rewards: list[float] = []
    async with MirrEnv(url) as client:
        seen = await client.reset(**reset)
        first = seen.observation
        while not seen.done:
            seen = await client.step(MirrAction.of(policy.act(from_wire(seen.observation))))
            rewards.append(seen.reward)
    return Played(rewards=rewards, first=first, last=seen.observation)
