"""One message at a time on a session's WebSocket, with a fake server behind the guard and no network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mirr.interfaces.openenv.server.guard import TOO_EARLY, Guard


class Conversation:
    """A client and a server with the guard between them. The server answers when the test says so."""

    def __init__(self, path: str = "/ws") -> None:
        self.path = path
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.taken: list[str] = []
        self.answers = asyncio.Semaphore(0)
        self.sent: list[Message] = []
        self.over = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            self.taken.append(message["text"])
            await self.answers.acquire()
            await send({"type": "websocket.send", "text": json.dumps({"answer to": message["text"]})})
        self.over = True

    def says(self, content: dict[str, Any]) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(content)})

    async def deliver(self, message: Message) -> None:
        self.sent.append(message)

    def texts(self) -> list[Any]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]


def talk(body: Callable[[Conversation], Coroutine[Any, Any, None]], path: str = "/ws", when_full: str = "") -> None:
    async def both() -> None:
        conversation = Conversation(path)
        guard = Guard(conversation.serve, when_full=when_full)
        scope: Scope = {"type": "websocket", "path": path, "headers": []}
        served = asyncio.create_task(guard(scope, conversation.inbox.get, conversation.deliver))
        await body(conversation)
        conversation.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await served
        assert conversation.over
        assert len(asyncio.all_tasks()) == 1  # nothing goes on reading

    asyncio.run(both())


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


STEP = {"type": "step", "data": {"action": "wait"}}
SECOND = {"type": "step", "data": {"action": "restart(auth)"}}


def test_a_step_before_the_last_answer_is_not_taken_and_ends_the_session() -> None:
    async def body(at: Conversation) -> None:
        at.says(STEP)
        at.says(SECOND)
        await settle()
        at.answers.release()
        await settle()
        assert at.taken == [json.dumps(STEP)]
        assert at.texts() == [
            {"answer to": json.dumps(STEP)},
            {"type": "error", "data": {"message": TOO_EARLY, "code": "SESSION_ERROR"}},
        ]
        assert at.sent[-1] == {
            "type": "websocket.close",
            "code": 1008,
            "reason": "a message came before the answer to the last one",
        }

    talk(body)


def test_a_step_after_the_last_answer_is_taken() -> None:
    async def body(at: Conversation) -> None:
        for content in (STEP, SECOND):
            at.says(content)
            await settle()
            at.answers.release()
            await settle()
        assert at.texts() == [{"answer to": json.dumps(STEP)}, {"answer to": json.dumps(SECOND)}]

    talk(body)


def test_a_malformed_message_before_the_last_answer_ends_the_session_too() -> None:
    async def body(at: Conversation) -> None:
        at.says(STEP)
        at.inbox.put_nowait({"type": "websocket.receive", "text": "{"})
        await settle()
        at.answers.release()
        await settle()
        assert [answer.get("type") for answer in at.texts()] == [None, "error"]
        assert at.texts()[1]["data"]["message"] == TOO_EARLY

    talk(body)


def test_a_client_may_leave_while_a_step_is_under_way() -> None:
    async def body(at: Conversation) -> None:
        at.says(STEP)
        at.says({"type": "close"})
        await settle()
        for _ in range(2):
            at.answers.release()
        await settle()
        assert at.taken == [json.dumps(STEP), json.dumps({"type": "close"})]

    talk(body)


def test_where_messages_have_ids_several_may_be_under_way() -> None:
    async def body(at: Conversation) -> None:
        calls = [{"jsonrpc": "2.0", "method": "tools/list", "id": number} for number in range(3)]
        for call in calls:
            at.says(call)
        await settle()
        for _ in range(3):
            at.answers.release()
        await settle()
        assert at.texts() == [{"answer to": json.dumps(call)} for call in calls]

    talk(body, path="/mcp")


def test_a_full_server_says_what_makes_room() -> None:
    full = {"code": "CAPACITY_REACHED", "message": "Server at capacity", "active_sessions": 2, "max_sessions": 2}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": json.dumps({"type": "error", "data": full})})

    async def both() -> None:
        sent: asyncio.Queue[Message] = asyncio.Queue()
        guard = Guard(serve, when_full="--sessions N makes room")
        await guard({"type": "websocket", "path": "/ws", "headers": []}, asyncio.Queue().get, sent.put)
        assert json.loads(sent.get_nowait()["text"])["data"]["message"] == (
            "this server is full: 2 of 2 sessions are taken; next: --sessions N makes room"
        )

    asyncio.run(both())
