"""A load test: many teams in one room, each over a connection of its own. It prints its figures.

    python -m tests.room.load --teams 30 --actions 20

The clients are programs that speak what the page speaks. They draw nothing, so it measures the server alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

ACTIONS = ("wait", "check_logs(auth)", "check_logs(payments)", "check_logs(orders)", "wait")
PAUSE_S = (0.2, 1.0)  # between two actions of a team; people are slower


@contextmanager
def server(
    data: Path | None = None, port: int = 0, *, lab: str | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`mirr room` on a port, with 0 a free one: its address and its process. With a `lab`, teams play there."""
    command = [sys.executable, "-m", "mirr", "room", "--host", "127.0.0.1", "--port", str(port)]
    command += [] if data is None else ["--data", str(data)]
    command += [] if lab is None else ["--world", "docker", "--lab", lab]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield line.split()[3], process
        finally:
            process.terminate()
            process.wait(timeout=30)


class Client:
    """One team."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.views = 0
        self.received = 0  # bytes
        self.step = 0
        self.seen = asyncio.Event()

    async def listen(self) -> None:
        """Take what the server sends, until the connection ends."""
        async for text in self.socket:
            self.received += len(text)
            message = json.loads(text)
            if message["type"] == "view":
                self.views += 1
                self.step = message.get("team", {}).get("step", 0)
                self.seen.set()
            elif message["type"] in ("done", "refused"):
                self.waiting.pop(message["id"]).set_result(message)

    async def ask(self, what: str, **fields: object) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        number = f"{random.getrandbits(64):x}"
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting[number] = answered
        await self.socket.send(json.dumps({"do": what, "id": number} | fields))
        answer = await asyncio.wait_for(answered, 30)
        if answer["type"] != "done":
            raise RuntimeError(str(answer))
        return answer


async def _greeted(address: str, seat: dict[str, Any]) -> Client:
    socket = await connect(address.replace("http", "ws") + "/ws")
    await socket.send(json.dumps({"code": seat["code"], "token": seat["token"]}))
    return Client(socket)


async def _team(client: Client, actions: int) -> tuple[list[float], list[float]]:
    """Seconds until each answer, and until each action shows."""
    answers, shown = [], []
    for step in range(actions):
        await asyncio.sleep(random.uniform(*PAUSE_S))
        began = time.perf_counter()
        await client.ask("act", action=ACTIONS[step % len(ACTIONS)], step=step)
        answers.append(time.perf_counter() - began)
        while client.step <= step:
            client.seen.clear()
            await asyncio.wait_for(client.seen.wait(), 30)
        shown.append(time.perf_counter() - began)
    return answers, shown


async def _load(address: str, teams: int, actions: int) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=address) as web:
        began = time.perf_counter()
        await web.get("/")
        first_page_s = time.perf_counter() - began
        room = (await web.post("/api/rooms", json={})).json()
        seats = [
            (await web.post(f"/api/rooms/{room['code']}/teams", json={"name": f"team {number}"})).json()
            for number in range(teams)
        ]
    trainer = await _greeted(address, room)
    clients = [await _greeted(address, seat) for seat in seats]
    listeners = [asyncio.create_task(each.listen()) for each in (trainer, *clients)]
    await trainer.ask("choose", incident={"pack": "false-alarm"})  # with nothing broken, nobody is done early
    await trainer.ask("start")
    began = time.perf_counter()
    played = await asyncio.gather(*(_team(client, actions) for client in clients))
    lasted_s = time.perf_counter() - began
    for client in (trainer, *clients):
        await client.socket.close()
    for listener in listeners:
        await listener
    answers = np.array([each for answered, _ in played for each in answered]) * 1000
    shown = np.array([each for _, seen in played for each in seen]) * 1000
    return {
        "websocket_clients": teams + 1,
        "actions": int(answers.size),
        "actions_per_s": round(answers.size / lasted_s, 1),
        "answer_ms": _quantiles(answers),
        "shown_ms": _quantiles(shown),
        "page_ms": round(first_page_s * 1000, 1),
        "views": sum(client.views for client in clients),
        "kib_per_client": round(sum(client.received for client in clients) / teams / 1024, 1),
    }


def _quantiles(values: Any) -> dict[str, float]:
    return {
        name: round(float(np.quantile(values, share)), 1) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    }


def _memory_mb(process: subprocess.Popen[str]) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def main() -> None:
    """Play, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teams", type=int, default=30)
    parser.add_argument("--actions", type=int, default=20)
    given = parser.parse_args()
    with server() as (address, process):
        before_mb = _memory_mb(process)
        figures = asyncio.run(_load(address, given.teams, given.actions))
        figures["server_mb"] = {"before": before_mb, "after": _memory_mb(process)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
