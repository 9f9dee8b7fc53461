"""Starts servers, each in its own process on a free local port, and plays episodes on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mirr.env.rollout import Policy
from mirr.env.scenario import policy_rng
from mirr.interfaces.openenv import MirrAction, MirrEnv, MirrObservation
from mirr.interfaces.openenv.models import from_wire
from tests.paths import ROOT

MODULE = (sys.executable, "-m", "mirr.interfaces.openenv.server.app")
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
def served(*arguments: str, command: tuple[str, ...] = MODULE) -> Iterator[Served]:
    """Yields a ready server and stops it at the end. It must exit with code 0 and write nothing to stderr."""
    with tempfile.TemporaryDirectory() as directory:
        errors = Path(directory) / "errors"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [*command, "--port", "0", *arguments],
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


def _address(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, line + errors.read_text()
    url = line[line.index("http://") :].split()[0]
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            if httpx.get(f"{url}/health", timeout=5.0).json() == {"status": "healthy"}:
                return url
        except httpx.TransportError:
            assert time.monotonic() < deadline, errors.read_text()


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
