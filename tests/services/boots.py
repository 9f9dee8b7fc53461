"""Boots services, each in a process of its own. `python tests/services/boots.py` does it, for orders on stdin.

To import the packages that all services use takes much longer than to boot a service. So this process imports them
once, and every boot is a copy of it (a fork). It never imports a service itself: each copy has a release of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

# For the copies. None of these packages starts a thread when it is imported, so it can be copied.
import aiohttp  # noqa: F401
import fastapi.testclient
import prometheus_client  # noqa: F401
import uvicorn  # noqa: F401


@dataclass(frozen=True, kw_only=True)
class Order:
    """A boot: of what, and how many requests it gets."""

    name: str  # of the service
    tree: str  # a folder with the package `services`, as an image holds it
    data: str  # a folder with the databases
    requests: int
    scale: float  # of the strength of seals: weaker ones take less time, and the growth from boot to boot is the same
    output: str  # what the process writes to stdout goes to OUTPUT.out, and to stderr to OUTPUT.err


class Boots:
    """The process that boots services."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def boot(self, order: Order) -> subprocess.CompletedProcess[str]:
        """Start the service, send it requests, and end it, unless it ends itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        out, err = (Path(f"{order.output}.{end}").read_text() for end in ("out", "err"))
        return subprocess.CompletedProcess([order.name], code, out, err)


@contextmanager
def started() -> Iterator[Boots]:
    """Runs the process, and ends it."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Boots(process)
        assert process.stdin is not None
        process.stdin.close()


def main() -> None:
    """Carry out the orders, one after the other. The answer to each is the exit code of its process."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        copy = os.fork()
        if copy == 0:
            _become(order)
        _, status = os.waitpid(copy, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(order: Order) -> None:
    """Be the process of the service, to its end."""
    for number, end in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{order.output}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    code = 1
    try:
        os.chdir(order.tree)
        sys.path.insert(0, order.tree)
        print(json.dumps(_serve(order)))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the caller has to see it
        traceback.print_exc()
    finally:
        _flush(sys.stdout, sys.stderr)
        os._exit(code)


def _flush(*streams: IO[str]) -> None:
    for stream in streams:
        stream.flush()


def _serve(order: Order) -> dict[str, Any]:
    """Run the service of the tree, and send it requests. Returns what was seen of it."""
    settings = importlib.import_module("services.kit.settings").Settings
    if order.scale != 1.0:
        trail: Any = importlib.import_module("services.kit.trail")
        trail.STRENGTH *= order.scale
    importlib.import_module("services.kit.logs").set_up(order.name)
    create = importlib.import_module(f"services.{order.name}").create
    app = create(settings(service=order.name, database=Path(order.data) / f"{order.name}.db"))
    worked, stretch = 0, hashlib.pbkdf2_hmac

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        nonlocal worked
        worked += iterations
        return stretch(name, password, salt, iterations)

    with fastapi.testclient.TestClient(app, raise_server_exceptions=False) as client:
        began = _memory_bytes()
        hashlib.pbkdf2_hmac = counted  # type: ignore[assignment]
        codes = {client.get("/nothing").status_code for _ in range(order.requests)}
        return {
            "release": client.get("/healthz").json()["release"],
            "metrics": client.get("/metrics").text,
            "codes": sorted(codes),
            "began": began,
            "grew": _memory_bytes() - began,
            "iterations": worked,
        }


def _memory_bytes() -> int:
    """The memory that the process has written to. What it only reads, it may share with the process before."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
