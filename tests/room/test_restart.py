"""A restart loses nothing, and a room that is used for long does not grow."""

from __future__ import annotations

import gc
import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from mirr.cli.postmortem_command import explain
from mirr.room.entries import RoomError
from mirr.room.hall import IDLE_S, Hall
from mirr.room.store import Store, StoreError
from mirr.room.views import player_view, trainer_view
from tests.room.rooms import PACK, Seats, Time, seats
from tests.room.test_rooms import Turns


def everything(hall: Hall, code: str) -> list[dict[str, object]]:
    """What the trainer and every team see. The count of changes is left out: only differences of it mean anything."""
    with hall.inside(code) as room:
        assert room is not None
        views = [trainer_view(room, hall.now(), name) for name in room.teams]
        views += [player_view(room, team, hall.now()) for team in room.teams.values()]
    return [{name: value for name, value in view.items() if name != "changes"} for view in views]


def restarted(found: Seats, path: Path) -> Hall:
    found.hall.close()
    return Hall(Store(path), explain=explain, now=found.time)


def played_for_a_while(path: Path) -> Seats:
    found = seats("Owls", "Cats", "Gone", path=path, incident=PACK)
    found.act("Owls", "check_logs(inventory)", 0)
    found.ask(found.teams["Owls"], "hint")
    found.ask(found.trainer, "remove", team="Gone")
    found.time.s += 17.5
    found.act("Cats", "restart(auth)", 0)
    found.ask(found.trainer, "pause")
    found.time.s += 100.0
    found.ask(found.trainer, "start")
    found.act("Owls", "diagnose(inventory, bad_deploy)", 1)
    return found


def test_after_a_restart_everybody_sees_what_they_saw(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    found = played_for_a_while(path)
    before = everything(found.hall, found.code)
    hall = restarted(found, path)
    assert hall.lost == []
    assert everything(hall, found.code) == before


def test_after_a_restart_the_game_goes_on_with_the_same_tokens(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    found = played_for_a_while(path)
    found.hall = restarted(found, path)
    found.act("Owls", "diagnose(inventory, bad_deploy)", 1, "Owls-1")  # its answer was lost: it is not done again
    found.act("Owls", "rollback(inventory)", 2)
    with found.hall.inside(found.code) as room:
        assert room is not None
        episode = room.teams["Owls"].episode
        assert episode is not None
        assert (episode.step, episode.reward) == (3, 18.0)


def test_the_file_holds_no_token(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    found = played_for_a_while(path)
    found.hall.close()
    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert found.trainer.encode() not in content
    assert b"token of Owls" not in content
    assert found.code.encode() in content


def test_a_round_in_a_world_that_all_share_begins_anew_after_a_restart(tmp_path: Path) -> None:
    path, turns = tmp_path / "rooms.sqlite", Turns()
    found = seats("Owls", path=path, source=turns.source, incident=PACK)
    found.ask(found.teams["Owls"], "take_turn")
    found.hall.close()
    assert turns.open_now == 0
    found.hall = Hall(Store(path), explain=explain, source=turns.source, now=found.time)
    with found.hall.inside(found.code) as room:
        assert room is not None
        assert (str(room.phase), list(room.teams), room.round) == ("lobby", ["Owls"], 1)


def test_a_room_whose_pack_is_gone_is_still_a_room(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    found = seats("Owls", path=path, incident=PACK)
    found.hall.close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE entry SET body = replace(body, 'two-in-turn', 'of-old')")
    file.close()
    found.hall = Hall(Store(path), explain=explain, now=found.time)
    assert len(found.hall.lost) == 1
    assert found.hall.lost[0].startswith(
        f"room {found.code}: its round cannot be played again: unknown pack 'of-old'; one of: "
    )
    found.ask(found.trainer, "choose", incident=PACK)
    found.ask(found.trainer, "start")
    found.act("Owls", "wait", 0)


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 9")
    file.close()
    with pytest.raises(StoreError) as refused:
        Store(path)
    assert str(refused.value) == f"{path} was written by another version (9, not 1); next: another --data"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    path.write_text("a letter, and not a database; " * 100)
    with pytest.raises(StoreError) as refused:
        Store(path)
    assert str(refused.value) == f"cannot use {path} for the rooms: file is not a database; next: another --data"


@pytest.mark.thorough
def test_many_rounds_leave_the_file_and_the_memory_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    found = seats("Owls", path=path, incident=PACK)

    def play(rounds: int) -> None:
        for seed in range(rounds):
            found.ask(found.trainer, "choose", incident={"tier": "easy", "seed": seed})
            found.ask(found.trainer, "start")
            found.act("Owls", "wait", 0)

    def rows() -> int:
        with sqlite3.connect(path) as file:
            (count,) = file.execute("SELECT count(*) FROM entry").fetchone()
        file.close()
        return int(count)

    tracemalloc.start()
    try:
        play(100)  # whatever is loaded or kept at the first use of something
        entries = rows()
        gc.collect()  # an episode and what it plays in name each other
        before, _ = tracemalloc.get_traced_memory()
        play(100)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows() == entries == 4
    assert after - before < 100_000


def test_a_full_server_forgets_the_room_that_was_silent_for_longest() -> None:
    time = Time()
    hall = Hall(Store(None), explain=explain, now=time, most=2)
    first = hall.open()
    time.s += 10
    second = hall.open()
    with pytest.raises(RoomError, match=r"^this server has 2 rooms already; next: try again tomorrow$"):
        hall.open()
    time.s += IDLE_S
    third = hall.open()
    assert hall.codes == [second.code, third.code]
    with hall.inside(first.code) as room:
        assert room is None
