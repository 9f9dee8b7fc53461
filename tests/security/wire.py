"""A client that sends any bytes on a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

Address = tuple[str, int]
DEADLINE_S = 60.0  # the tests beside the lab may stand still for seconds
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def send(address: Address, *pieces: bytes, timeout_s: float = DEADLINE_S) -> bytes:
    """Send the pieces. Return what arrives until the other side closes or the answer is complete."""
    with socket.create_connection(address, timeout=timeout_s) as wire:
        # A client that is refused while it sends can still read the reason.
        with suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                wire.sendall(piece)
        return receive(wire)


def receive(wire: socket.socket) -> bytes:
    """Receive one complete answer."""
    received = b""
    with suppress(ConnectionError, TimeoutError):
        while not _complete(received):
            chunk = wire.recv(65536)
            if not chunk:
                break
            received += chunk
    return received


def status(received: bytes) -> int:
    """The status of an answer; 0 if there was no answer."""
    first = received.split(b"\r\n", 1)[0].split()
    return int(first[1]) if len(first) > 1 and first[0].startswith(b"HTTP/1.") else 0


def open_many(address: Address, count: int, first: bytes) -> list[socket.socket]:
    """Open `count` connections, and begin a request on each."""
    wires = []
    for _ in range(count):
        wire = socket.create_connection(address, timeout=DEADLINE_S)
        wire.sendall(first)
        wires.append(wire)
    return wires


def close_all(wires: Iterable[socket.socket]) -> None:
    for wire in wires:
        wire.close()


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request with a JSON body. `length` is the length that it declares."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _complete(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.split(b" ", 2)[1] == b"100":
        return _complete(body)
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0])
