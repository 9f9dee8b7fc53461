"""A stub of an OpenAI-compatible endpoint on 127.0.0.1. It answers what a test says, one answer after the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of the endpoint."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False  # whether it comes only when the test is over


Script = Callable[[Request], Answer]
"""What the endpoint answers to a request."""


@dataclass
class Endpoint:
    """A running stub."""

    url: str
    requests: list[Request] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def message(content: str = "", *, tokens: tuple[int, int] | None = (100, 5), **more: Any) -> Answer:
    """An answer of a model."""
    said = {"role": "assistant", "content": content} | more
    body: dict[str, Any] = {"object": "chat.completion", "choices": [{"index": 0, "message": said}]}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Answer(body=json.dumps(body).encode())


def call(name: str, **arguments: str) -> Answer:
    """An answer that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return message(tool_calls=[{"id": "call_1", "type": "function", "function": function}])


def refusal(status: int, text: str, **headers: str) -> Answer:
    """An error, as endpoints send them."""
    body = json.dumps({"error": {"message": text, "type": "error"}}).encode()
    return Answer(body=body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def in_turn(*answers: Answer) -> Script:
    """One answer after the other; the last one again and again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def endpoint(script: Script) -> Iterator[Endpoint]:
    """A stub that is there as long as the block lasts."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            running.requests.append(json.loads(content) | {"path": self.path})
            running.keys.append(self.headers.get("Authorization", ""))
            answer = script(running.requests[-1])
            if answer.hangs:
                over.wait(60.0)
                return
            self.send_response(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


SOLVED = (call("diagnose", service="auth", mode="crashed"), call("restart", service="auth"), call("wait"))
"""What a model answers that solves an incident of `crashed:auth`."""
