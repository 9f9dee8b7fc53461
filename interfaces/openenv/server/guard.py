"""A guard before OpenEnv's server: every message gets an answer, and the server only gets well-formed messages.

OpenEnv's own handlers have four weaknesses. They end the session if a frame is JSON but not an object. They fail to
write an answer that quotes half a surrogate pair. They answer clients that have gone. Over HTTP, they take `true` for a
seed. So this guard answers such messages before OpenEnv gets them. It also ends a session whose client does not wait
for its last answer. On a full server it says what makes room.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirr.env.checks import each_name_once
from mirr.env.scenario import BadSeed, checked_seed
from mirr.interfaces.openenv.server.turns import Turns

MAX_MESSAGE_BYTES = 64 * 1024
"""The size limit of a frame or a request. An action takes a hundred bytes."""

TOO_EARLY = (
    "this message came before the answer to the last one, so it was not taken, and this session ends: otherwise every "
    "later answer would be taken for that of another message; next: connect again, and wait for each answer"
)
_TOO_EARLY_CODE = 1008  # policy violation
_TOO_EARLY_REASON = "a message came before the answer to the last one"

_SESSIONS = "/ws"  # here, an answer does not say which message it answers
_WEB = "/web"  # the web interface's pages have messages of their own


class BadMessage(ValueError):
    """A client sent something that is not a message. The text says why."""


def checked_json(text: str | bytes) -> object:
    """The JSON content of `text`, which can be written as JSON again. Raises BadMessage."""
    try:
        content: object = json.loads(text, object_pairs_hook=each_name_once)
        # NaN and half a surrogate pair can be read as JSON but not written into an answer.
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except RecursionError as error:
        raise BadMessage("Invalid JSON: nested too deeply") from error
    except ValueError as error:
        raise BadMessage(f"Invalid JSON: {str(error).splitlines()[0]}".encode("ascii", "replace").decode()) from error
    return content


def _frame_problem(message: Message) -> str | None:
    text = message.get("text")
    if text is None:
        return "Invalid JSON: a binary frame; send text"
    try:
        content = checked_json(text)
    except BadMessage as error:
        return str(error)
    if not isinstance(content, dict):
        return "Invalid message: a JSON object is expected"
    return None


def _openenv_error(problem: str) -> dict[str, object]:
    return {"type": "error", "data": {"message": problem, "code": "INVALID_JSON"}}


def _jsonrpc_error(problem: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "error": {"code": -32700, "message": problem}, "id": None}


def _too_early() -> str:
    return json.dumps({"type": "error", "data": {"message": TOO_EARLY, "code": "SESSION_ERROR"}})


_ERROR_SHAPES: dict[str, Callable[[str], dict[str, object]]] = {_SESSIONS: _openenv_error, "/mcp": _jsonrpc_error}
"""The form of an error on each WebSocket."""


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def _from_elsewhere(scope: Scope) -> bool:
    """Whether a web page of another host sent this. Programs send no Origin."""
    origin = _header(scope, b"origin")
    return bool(origin) and urlsplit(origin).netloc != _header(scope, b"host")


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(self, app: ASGIApp, when_full: str = "") -> None:
        self.app = app
        self._when_full = when_full  # what makes room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on well-formed messages and answer the rest with an error."""
        kind, path = scope["type"], scope.get("path", "")
        if kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "http" and scope["method"] == "POST" and not path.startswith(_WEB + "/gradio_api"):
            await self._post(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _from_elsewhere(scope):
            await receive()  # the handshake
            await send({"type": "websocket.close", "code": 1008})
            return
        shape = _ERROR_SHAPES.get(scope["path"])
        turns = Turns(receive)
        ended = False

        async def checked_receive() -> Message:
            nonlocal ended
            while True:
                message, early = await turns.next()
                if early and scope["path"] == _SESSIONS:
                    await patient_send({"type": "websocket.send", "text": _too_early()})
                    await patient_send(
                        {"type": "websocket.close", "code": _TOO_EARLY_CODE, "reason": _TOO_EARLY_REASON}
                    )
                    ended = True
                    return {"type": "websocket.disconnect", "code": _TOO_EARLY_CODE}
                problem = _frame_problem(message) if shape and message["type"] == "websocket.receive" else None
                if problem is None or shape is None:
                    return message
                await patient_send({"type": "websocket.send", "text": json.dumps(shape(problem))})

        async def patient_send(message: Message) -> None:
            if ended:
                return
            if message["type"] == "websocket.send":
                turns.answered()
                message = self._with_advice(message)
            # The client has gone. The next receive reports it, and the session ends normally.
            with suppress(OSError):
                await send(message)

        try:
            await self.app(scope, checked_receive, patient_send)
        finally:
            await turns.end()

    def _with_advice(self, message: Message) -> Message:
        """OpenEnv says that a server is full, but not what makes room."""
        text = message.get("text") or ""
        if '"CAPACITY_REACHED"' not in text:
            return message
        content = json.loads(text)
        data = content["data"]
        data["message"] = (
            f"this server is full: {data['active_sessions']} of {data['max_sessions']} sessions are taken; "
            f"next: {self._when_full}"
        )
        return {**message, "text": json.dumps(content)}

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _from_elsewhere(scope):
            await _answer(send, 403, "a web page of another host may not do this")
            return
        body = await _body(receive)
        if body is None:
            await _answer(send, 413, f"a request has at most {MAX_MESSAGE_BYTES} bytes")
            return
        try:
            content = checked_json(body) if body.strip() else None
        except BadMessage as error:
            await _answer(send, 400, str(error))
            return
        if scope["path"] == f"{_WEB}/step" and not _is_step(content):
            await _answer(send, 422, 'a step is written {"action": {"action": "wait"}}')
            return
        if scope["path"] == "/reset" and (problem := _seed_problem(content)):
            await _answer(send, 422, problem)
            return
        body_sent = False

        async def replayed() -> Message:
            nonlocal body_sent
            if body_sent:
                return await receive()
            body_sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replayed, send)


def _seed_problem(content: object) -> str | None:
    """What is wrong with the seed of a reset, or None. OpenEnv would make `true` and `1.0` a 1 before we see them."""
    seed = content.get("seed") if isinstance(content, dict) else None
    if seed is not None:
        try:
            checked_seed(seed)
        except BadSeed as error:
            return str(error)
    return None


def _is_step(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("action"), dict)


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None if it is too long."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_MESSAGE_BYTES:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, status: int, problem: str) -> None:
    body = json.dumps({"detail": problem}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
