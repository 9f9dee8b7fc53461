"""All rooms of a server, with the file that they are stored in. Each room has a lock; any thread may use a hall."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from mirr.env.postmortem import Explain
from mirr.env.scenario import BadScenario
from mirr.env.vocabulary import UnknownName
from mirr.env.world import WorldError
from mirr.room.entries import Entry, Kind, RoomError
from mirr.room.keys import key_of, new_code, new_token, read_code
from mirr.room.rooms import Room
from mirr.room.store import Store
from mirr.room.worlds import SIMULATED, WorldSource

MOST_ROOMS = 64
IDLE_S = 24 * 3600.0
"""A room in which nothing has happened for this long makes place for a new one, once there are too many."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What the trainer gets. The token is nowhere else."""

    code: str
    token: str


@dataclass(kw_only=True)
class _Place:
    room: Room
    lock: threading.Lock = field(default_factory=threading.Lock)


class Hall:
    """The rooms of a server."""

    def __init__(
        self,
        store: Store,
        *,
        explain: Explain,
        source: WorldSource = SIMULATED,
        now: Callable[[], float] = time.time,
        most: int = MOST_ROOMS,
    ) -> None:
        """`explain` says what a post-mortem tells of a fault."""
        self.now = now
        self._explain = explain
        self.source = source
        self.lost: list[str] = []
        """What could not be built again from the file, a sentence each."""
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        for stored in store.rooms():
            room = self._room(stored.code, stored.trainer_key)
            try:
                room.replay(stored.entries)
            except (BadScenario, RoomError, UnknownName, WorldError) as error:
                # As after an update that took a pack away. The trainer can begin another round.
                self.lost.append(f"room {stored.code}: its round cannot be played again: {error}")
            self._places[stored.code] = self._place(room)

    def open(self) -> Opened:
        """A new room. Raises RoomError if there are too many."""
        with self._lock:
            self._make_place()
            code, token = new_code(), new_token()
            room = self._room(code, key_of(token))
            room.touched_at = self.now()
            self._store.add_room(code, room.trainer_key)
            self._places[code] = self._place(room)
        return Opened(code=code, token=token)

    @contextmanager
    def inside(self, code: str) -> Iterator[Room | None]:
        """The room of that code, for one thread at a time; None if there is none."""
        place = self._places.get(read_code(code))
        if place is None:
            yield None
            return
        with place.lock:
            yield place.room

    @property
    def codes(self) -> list[str]:
        """The codes of all rooms."""
        return list(self._places)

    def close(self) -> None:
        """Give back every world, and close the file."""
        for place in self._places.values():
            with place.lock:
                place.room.close()
        self._store.close()

    def _room(self, code: str, trainer_key: str) -> Room:
        room = Room(code, trainer_key, explain=self._explain, source=self.source)
        room.on_entry = partial(self._keep, room)
        return room

    @staticmethod
    def _place(room: Room) -> _Place:
        place = _Place(room=room)
        if room.source.shared:
            room.outside = partial(_unlocked, place.lock)
        return place

    def _keep(self, room: Room, entry: Entry) -> None:
        if entry.kind is Kind.CHOSEN:
            self._store.begin_round(room.code, [*room.beginnings(), entry])
        else:
            self._store.add(room.code, entry)

    def _make_place(self) -> None:
        if len(self._places) < self._most:
            return
        code, place = min(self._places.items(), key=lambda each: each[1].room.touched_at)
        idle_s = self.now() - place.room.touched_at
        if idle_s < IDLE_S:
            raise RoomError(f"this server has {self._most} rooms already; next: try again tomorrow")
        with place.lock:
            place.room.close()
        del self._places[code]
        self._store.drop_room(code)


@contextmanager
def _unlocked(lock: threading.Lock) -> Iterator[None]:
    """Let others have the lock that this thread holds, for a while."""
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
