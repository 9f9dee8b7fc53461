"""The connections of a server: each is told what its visitor may see, whenever that changes.

A connection has no queue. It remembers only that there is something new, and sends the newest view when the client has
taken the last one. So a slow client costs no memory, and misses nothing that still holds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from mirr.env.checks import each_name_once
from mirr.env.world import WorldError
from mirr.room.alerts import Alert
from mirr.room.commands import WITHOUT_ROOM, Refused, Role, Who, not_for, run, who_is
from mirr.room.episodes import play_agents
from mirr.room.guard import MAX_BODY_BYTES
from mirr.room.hall import Hall
from mirr.room.keys import key_of, read_code
from mirr.room.limits import Limiter
from mirr.room.rooms import Room
from mirr.room.views import about, player_view, public_view, trainer_view

MOST_CONNECTIONS = 256
HELLO_WITHIN_S = 10.0
SEND_WITHIN_S = 20.0
LEAST_GAP_S = 0.15  # between two views that others caused
TICK_S = 0.5
ALERTS_S = 2.0  # between two looks at the alerts of the lab's Prometheus

REFUSED, NOT_KNOWN, FULL, TOO_OFTEN = 1008, 4404, 1013, 4429
"""Why a connection is closed. The page gives its seat up after NOT_KNOWN alone, and else connects again."""

Json = Mapping[str, object]


@dataclass(eq=False, kw_only=True)
class Connection:
    """One visitor."""

    socket: WebSocket
    code: str
    token: str | None
    watched: str | None = None  # the team that a trainer looks at
    news: asyncio.Event = field(default_factory=asyncio.Event)
    urgent: asyncio.Event = field(default_factory=asyncio.Event)  # the visitor did something and waits to see it
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    has: tuple[object, ...] = ()  # the round, the team and whether with the truth, of the steps that the page has
    steps: int = 0  # how many of them it has
    again: bool = False  # there is something new that is no change of the room

    async def send(self, content: Json) -> None:
        """Send one message. Raises TimeoutError or WebSocketDisconnect if the client does not take it."""
        async with self.sending:
            await asyncio.wait_for(self.socket.send_text(json.dumps(content, allow_nan=False)), SEND_WITHIN_S)


class Live:
    """All connections of a server."""

    def __init__(self, hall: Hall, failures: Limiter) -> None:
        self._hall = hall
        self._failures = failures
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._agents_play = asyncio.Semaphore(1)
        self._changes_seen: dict[str, int] = {}  # code: the changes of the room at the last tick
        self._fired: tuple[Alert, ...] | None = None  # the alerts of the lab's Prometheus

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from its first message to its end."""
        await socket.accept()
        address = socket.client.host if socket.client else ""
        if len(self._connections) >= MOST_CONNECTIONS:
            await _close(socket, FULL, "this server has too many visitors; try again later")
            return
        connection = await self._greeted(socket, address)
        if connection is None:
            return
        self._connections.add(connection)
        tasks = [asyncio.create_task(self._read(connection)), asyncio.create_task(self._write(connection))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # `gather` would lose what a cancellation says, and anyio needs it
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def tick(self) -> None:
        """End the rounds whose time is up, and show what goes on in a world that all share, until cancelled."""
        asked_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            codes = {connection.code for connection in self._connections}
            now = asyncio.get_running_loop().time()
            if self._hall.source.alerts is not None and codes and now - asked_at >= ALERTS_S:
                asked_at = now
                fired = await asyncio.to_thread(self._ask_alerts)
                if fired != self._fired:
                    self._fired = fired
                    for connection in self._connections:
                        connection.again = True
                        connection.news.set()
            seen = {code: await asyncio.to_thread(self._changes, code) for code in codes}
            for code, changes in seen.items():
                if changes != self._changes_seen.get(code, changes):
                    self.changed(code)
            self._changes_seen = seen
            for code in codes:
                self.go_on(code)

    def _ask_alerts(self) -> tuple[Alert, ...] | None:
        ask = self._hall.source.alerts
        try:
            return None if ask is None else ask()
        except WorldError:
            return None  # the trainer sees that there are none to see

    def changed(self, code: str) -> None:
        """Something may have changed in that room."""
        for connection in self._connections:
            if connection.code == code:
                connection.news.set()

    def play_agents(self, code: str) -> None:
        """Let the agents of the scoreboard play, beside everything else."""
        self._beside(self._play_agents(code))

    def go_on(self, code: str) -> None:
        """Where teams vote, do what is due, beside everything else: nobody's request waits for a step."""
        if self._hall.source.shared:
            self._beside(self._go_on(code))

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go_on(self, code: str) -> None:
        tokens = {each.token for each in self._connections if each.code == code and each.token is not None}
        if await asyncio.to_thread(self._let_go_on, code, tokens):
            self.changed(code)

    def _let_go_on(self, code: str, tokens: set[str]) -> bool:
        with self._hall.inside(code) as room:
            if room is None:
                return False
            before = room.changes
            room.attend({key_of(token) for token in tokens})
            room.go_on(self._hall.now())
            return room.changes != before

    async def _play_agents(self, code: str) -> None:
        async with self._agents_play:
            if await asyncio.to_thread(self._let_agents_play, code):
                self.changed(code)

    def _let_agents_play(self, code: str) -> bool:
        with self._hall.inside(code) as room:
            incident = None if room is None else room.agents_to_play()
        if incident is None:
            return False
        agents = play_agents(incident)  # outside the room, which goes on meanwhile
        with self._hall.inside(code) as room:
            if room is not None:
                room.take_agents(incident, agents)
        return True

    def _changes(self, code: str) -> int:
        """How often the room has changed. Its round is ended before, if its time is up."""
        with self._hall.inside(code) as room:
            if room is None:
                return 0
            room.tick(self._hall.now())
            return room.changes

    # The first message

    async def _greeted(self, socket: WebSocket, address: str) -> Connection | None:
        """The connection, once it has said which room it wants and who it is. None if it was closed."""
        try:
            hello = _parsed(await asyncio.wait_for(socket.receive_text(), HELLO_WITHIN_S))
            code, token = hello.get("code"), hello.get("token")
        except (Refused, TimeoutError, WebSocketDisconnect, KeyError):
            await _close(socket, REFUSED, "the first message says code and token")
            return None
        known = isinstance(code, str) and (token is None or isinstance(token, str))
        who = await asyncio.to_thread(self._who, str(code), token) if known else None
        # A seat is let in whatever others behind its address have tried: its token cannot be guessed. All others are
        # told the same while there are too many wrong codes, so that nobody learns which codes there are.
        if (who is None or token is None) and self._failures.is_full(address):
            await _close(socket, TOO_OFTEN, "too many wrong codes; wait a minute")
            return None
        if who is None:
            self._failures.note(address, read_code(str(code)))
            await _close(socket, NOT_KNOWN, "there is no such room, or you are not in it any more")
            return None
        connection = Connection(socket=socket, code=who[0], token=token if isinstance(token, str) else None)
        try:
            await connection.send({"type": "welcome", "role": str(who[1].role), "about": about()})
        except (TimeoutError, WebSocketDisconnect):
            return None
        connection.news.set()
        connection.urgent.set()
        self.play_agents(connection.code)
        return connection

    def _who(self, code: str, token: object) -> tuple[str, Who] | None:
        with self._hall.inside(code) as room:
            if room is None:
                return None
            who = who_is(room, token if isinstance(token, str) else None)
            return None if who is None else (room.code, who)

    # What a visitor asks

    async def _read(self, connection: Connection) -> None:
        with suppress(WebSocketDisconnect, TimeoutError, RuntimeError):  # RuntimeError: it was closed meanwhile
            while True:
                try:
                    text = await connection.socket.receive_text()
                except KeyError:  # the frame holds bytes
                    await connection.socket.close(REFUSED, "a message is text")
                    return
                await self._answer(connection, text)

    async def _answer(self, connection: Connection, text: str) -> None:
        number: object = None
        try:
            fields = _parsed(text)
            number = fields.get("id")
            answer = await asyncio.to_thread(self._run, connection, fields)
        except Refused as error:
            await connection.send({"type": "refused", "id": number, "why": str(error)})
        else:
            await connection.send({"type": "done", "id": number} | answer)
            if fields.get("do") == "choose":
                self.play_agents(connection.code)
        self.changed(connection.code)
        self.go_on(connection.code)
        connection.urgent.set()

    def _run(self, connection: Connection, fields: Json) -> dict[str, object]:
        with self._hall.inside(connection.code) as room:
            who = None if room is None else who_is(room, connection.token)
            if room is None or who is None:
                raise Refused("you are not in this room any more")
            what = fields.get("do")
            if what == "watch":
                return self._watch(connection, who, fields)
            if not isinstance(what, str) or what not in WITHOUT_ROOM:
                return run(room, who, what, fields, self._hall.now())
        return run(room, who, what, fields, self._hall.now())

    @staticmethod
    def _watch(connection: Connection, who: Who, fields: Json) -> dict[str, object]:
        if who.role is not Role.TRAINER:
            raise Refused(not_for("watch", Role.TRAINER, who.role))
        team = fields.get("team")
        connection.watched = team if isinstance(team, str) else None
        return {}

    # What a visitor sees

    async def _write(self, connection: Connection) -> None:
        last = -1
        with suppress(WebSocketDisconnect, TimeoutError, RuntimeError):  # RuntimeError: it was closed meanwhile
            while True:
                await connection.news.wait()
                with suppress(TimeoutError):
                    await asyncio.wait_for(connection.urgent.wait(), LEAST_GAP_S)
                asked = connection.urgent.is_set() or connection.again
                connection.again = False
                connection.news.clear()
                connection.urgent.clear()
                last, view = await asyncio.to_thread(self._view, connection, -1 if asked else last)
                if view is None:
                    await connection.socket.close(NOT_KNOWN, "you are not in this room any more")
                    return
                if view:
                    await connection.send(view)

    def _view(self, connection: Connection, last: int) -> tuple[int, dict[str, object] | None]:
        """The number of the last change, and the view; empty if nothing has changed, None if there is no room."""
        with self._hall.inside(connection.code) as room:
            who = None if room is None else who_is(room, connection.token)
            if room is None or who is None:
                return last, None
            if room.changes == last:
                return last, {}
            return room.changes, {"type": "view"} | self._seen(connection, room, who)

    def _seen(self, connection: Connection, room: Room, who: Who) -> dict[str, object]:
        now = self._hall.now()
        if who.role is Role.PUBLIC:
            return public_view(room, now)
        team = room.player(connection.watched or "") if who.team is None else room.plays_for(who.team)
        truth = who.role is Role.TRAINER or room.may_see_answer(team)
        has = (room.round, None if team is None else (team.key, team.attempts), truth)
        if has != connection.has or team is None or team.episode is None:
            connection.steps = 0
        connection.has = has
        since = connection.steps
        connection.steps = 0 if team is None or team.episode is None else len(team.episode.frames)
        if who.team is not None:
            return player_view(room, who.team, now, since)
        return trainer_view(room, now, connection.watched, since, self._fired)


async def _close(socket: WebSocket, code: int, why: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the client has gone
        await socket.close(code, why)


def _parsed(text: str) -> Json:
    if len(text) > MAX_BODY_BYTES:
        raise Refused(f"a message has at most {MAX_BODY_BYTES} characters")
    try:
        content = json.loads(text, object_pairs_hook=each_name_once)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")  # it may be quoted in an answer
    except (ValueError, RecursionError) as error:
        raise Refused("a message is a JSON object") from error
    if not isinstance(content, dict):
        raise Refused("a message is a JSON object")
    return content
