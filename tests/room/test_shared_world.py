"""A world that all share and that takes its time, as the lab does: the room stays open, and nothing is left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action
from mirr.env.world import ActionResult, World, WorldError
from mirr.room.commands import Answer, Refused
from mirr.room.rooms import Room
from mirr.room.views import player_view, trainer_view
from mirr.room.worlds import NotOpened, WorldSource
from tests.room.rooms import Seats, seats

EASY = {"tier": "easy", "seed": 16}  # bad_deploy on payments
PATIENCE_S = 60.0


class Gate:
    """Where a slow world waits until a test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def shut(self) -> None:
        """Whoever comes from now on waits."""
        self.reached.clear()
        self.open.clear()

    def pass_through(self) -> None:
        """Wait if it is shut."""
        self.reached.set()
        assert self.open.wait(PATIENCE_S)

    def somebody_waits(self) -> None:
        """Return once somebody waits here."""
        assert self.reached.wait(PATIENCE_S)


class SlowLab:
    """A lab for a room: it opens and acts only when the gate lets it, and says whether it was given back."""

    def __init__(self) -> None:
        self.opening, self.acting = Gate(), Gate()
        self.open_now = 0
        self.fails = False
        self.away = ""
        self.source = WorldSource(name="docker", open=self._opened, shared=True)

    @contextmanager
    def _opened(self) -> Iterator[World]:
        if self.away:
            raise NotOpened(self.away)
        self.open_now += 1
        try:
            yield _World(self)
        finally:
            self.open_now -= 1


class _World(SimulatedWorld):
    def __init__(self, lab: SlowLab) -> None:
        self._lab = lab
        super().__init__()

    def restore(self, key: int) -> None:
        self._lab.opening.pass_through()
        super().restore(key)

    def apply(self, action: Action) -> ActionResult:
        self._lab.acting.pass_through()
        if self._lab.fails:
            raise WorldError("payments-1 does not answer")
        return super().apply(action)


@pytest.fixture
def lab() -> SlowLab:
    return SlowLab()


@pytest.fixture
def found(lab: SlowLab) -> Seats:
    return seats("Owls", "Cats", source=lab.source, incident=EASY)


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], Answer]], Future[Answer]]]:
    """Do something in another thread, as the server does."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield pool.submit


Beside = Callable[[Callable[[], Answer]], "Future[Answer]"]


def room_of(found: Seats) -> Room:
    with found.hall.inside(found.code) as room:
        assert room is not None
        return room


def refused(done: Future[Answer]) -> str:
    with pytest.raises(Refused) as why:
        done.result(PATIENCE_S)
    return str(why.value)


def test_everybody_sees_that_the_lab_is_prepared_and_the_trainer_can_act_meanwhile(
    lab: SlowLab, found: Seats, beside: Beside
) -> None:
    lab.opening.shut()
    done = beside(lambda: found.ask(found.teams["Owls"], "take_turn"))
    lab.opening.somebody_waits()
    with found.hall.inside(found.code) as room:
        assert room is not None
        view = trainer_view(room, found.time(), None)
        own = player_view(room, room.teams["Owls"], found.time())
    assert (view["room"]["holder"], view["room"]["doing"]) == ("Owls", "opening")  # type: ignore[index]
    assert [row["state"] for row in view["board"]] == ["preparing", "waiting"]  # type: ignore[attr-defined]
    assert own["team"]["busy"]  # type: ignore[index]
    with pytest.raises(Refused, match=r"^Owls has the lab; next: wait until they are done$"):
        found.ask(found.teams["Cats"], "take_turn")
    with pytest.raises(Refused, match=r"^your team has the lab already$"):
        found.ask(found.teams["Owls"], "take_turn")
    found.ask(found.trainer, "pause")
    lab.opening.open.set()
    done.result(PATIENCE_S)
    found.ask(found.trainer, "start")
    found.act("Owls", "wait", 0)


def test_an_action_that_is_repeated_while_its_step_goes_on_is_done_once(
    lab: SlowLab, found: Seats, beside: Beside
) -> None:
    found.ask(found.teams["Owls"], "take_turn")
    lab.acting.shut()
    done = beside(lambda: found.act("Owls", "wait", 0, "mine"))
    lab.acting.somebody_waits()
    with pytest.raises(Refused, match=r"^this step goes on already; wait until it ends$"):
        found.act("Owls", "wait", 0, "mine")
    with pytest.raises(Refused, match=r"^your team's step goes on; next: wait until it ends$"):
        found.act("Owls", "restart(auth)", 0, "yours")
    lab.acting.open.set()
    done.result(PATIENCE_S)
    found.act("Owls", "wait", 0, "mine")
    episode = room_of(found).teams["Owls"].episode
    assert episode is not None
    assert episode.step == 1


def test_a_round_that_is_ended_in_a_step_gives_the_lab_back_after_the_step(
    lab: SlowLab, found: Seats, beside: Beside
) -> None:
    found.ask(found.teams["Owls"], "take_turn")
    lab.acting.shut()
    done = beside(lambda: found.act("Owls", "wait", 0))
    lab.acting.somebody_waits()
    found.ask(found.trainer, "end")
    assert lab.open_now == 1
    lab.acting.open.set()
    done.result(PATIENCE_S)
    assert lab.open_now == 0
    assert room_of(found).stays == []


@pytest.mark.parametrize("what", ["choose", "remove"])
def test_a_step_of_a_round_or_a_team_that_is_gone_does_not_count(
    lab: SlowLab, found: Seats, beside: Beside, what: str
) -> None:
    found.ask(found.teams["Owls"], "take_turn")
    lab.acting.shut()
    done = beside(lambda: found.act("Owls", "wait", 0))
    lab.acting.somebody_waits()
    found.ask(found.trainer, what, incident=EASY, team="Owls")
    lab.acting.open.set()
    assert refused(done) == "this round ended before your step did, so it does not count"
    assert lab.open_now == 0
    if what == "choose":
        found.ask(found.trainer, "start")
    found.ask(found.teams["Cats"], "take_turn")
    assert lab.open_now == 1


def test_a_round_that_is_ended_while_the_lab_is_prepared_gives_it_back(
    lab: SlowLab, found: Seats, beside: Beside
) -> None:
    lab.opening.shut()
    done = beside(lambda: found.ask(found.teams["Owls"], "take_turn"))
    lab.opening.somebody_waits()
    found.ask(found.trainer, "end")
    lab.opening.open.set()
    assert refused(done) == "this round ended before your incident began"
    assert lab.open_now == 0
    assert room_of(found).teams["Owls"].episode is None


def test_a_team_whose_world_failed_takes_the_lab_again(lab: SlowLab, found: Seats) -> None:
    found.ask(found.teams["Owls"], "take_turn")
    found.act("Owls", "restart(auth)", 0)
    lab.fails = True
    with pytest.raises(Refused, match=r"^the world failed, so this incident is void; next: tell your trainer$"):
        found.act("Owls", "wait", 1)
    owls = room_of(found).teams["Owls"]
    assert (lab.open_now, owls.void, owls.trouble) == (0, True, "payments-1 does not answer")
    seen = player_view(room_of(found), owls, at=0.0)
    assert "answer" not in seen, "who may begin again must not know it"
    team = seen["team"]
    assert isinstance(team, dict)
    assert (team["void"], team["truth"], team["report"]) == (True, False, None)
    lab.fails = False
    found.ask(found.teams["Owls"], "take_turn")
    found.act("Owls", "wait", 0, "again")
    assert owls.episode is not None
    assert (owls.void, owls.episode.step, owls.trouble, owls.attempts) == (False, 1, "", 2)


def test_a_lab_that_is_in_use_makes_nothing_void(lab: SlowLab, found: Seats) -> None:
    lab.away = "lab mirr is in use by `mirr episode` (process 7); wait for it or end it"
    with pytest.raises(Refused) as why:
        found.ask(found.teams["Owls"], "take_turn")
    assert str(why.value) == f"nobody can play there now: {lab.away}"
    owls = room_of(found).teams["Owls"]
    assert (owls.void, owls.episode, room_of(found).holder) == (False, None, None)
    lab.away = ""
    found.ask(found.teams["Owls"], "take_turn")


def test_closing_the_hall_gives_the_lab_back(lab: SlowLab, found: Seats) -> None:
    found.ask(found.teams["Owls"], "take_turn")
    assert lab.open_now == 1
    found.hall.close()
    assert lab.open_now == 0
