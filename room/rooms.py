"""A room: a trainer, teams, rounds of an incident. Pure: no web is here, and the time is handed in.

Everything that happens is an `Entry`. A room is what its entries make of it, so whoever stores them can build it again:
on the simulator, the same actions give the same episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum

from mirr.agents.registry import PolicyName
from mirr.env.postmortem import Explain
from mirr.env.quoting import quoted
from mirr.env.vocabulary import PACK_ACTIONS, Action, DiagnoseNone, action_text, parse_action
from mirr.env.world import WorldError
from mirr.room.clock import RoundClock
from mirr.room.episodes import Episode, agent_episode
from mirr.room.incidents import Incident, incident_of, parse_choice
from mirr.room.keys import key_of, same
from mirr.room.worlds import SIMULATED, WorldSource

AGENTS = (PolicyName.HEURISTIC, PolicyName.DETECTIVE, PolicyName.TRAINED_LM, PolicyName.ORACLE)
"""The agents of the scoreboard. They play the same incident, with the same users and the same noise."""

MOST_TEAMS = 40
LONGEST_NAME = 40
MOST_REQUESTS_KEPT = 64  # of a team: a client repeats only what it sent last
LONGEST_LIMIT_S = 24 * 3600.0


class RoomError(Exception):
    """A request that cannot be done now. The message says why and what next, and reveals nothing of the incident."""


class Phase(StrEnum):
    """How far a round has come."""

    LOBBY = "lobby"
    RUNNING = "running"
    PAUSED = "paused"
    OVER = "over"


class Kind(StrEnum):
    """What can happen in a room."""

    CHOSEN = "chosen"  # a new round, of this incident
    JOINED = "joined"
    REMOVED = "removed"
    STARTED = "started"  # also after a pause
    PAUSED = "paused"
    OVER = "over"
    TURN = "turn"  # a team takes the shared world
    ACTED = "acted"
    HINT = "hint"
    REVEALED = "revealed"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: float  # seconds since the epoch
    kind: Kind
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(kw_only=True)
class Team:
    """A team, and its episode in this round."""

    name: str
    key: str  # of its token
    episode: Episode | None = None
    hints: int = 0
    requests: dict[str, str] = field(default_factory=dict)  # request id: the action that was taken for it
    acted_at_s: list[float] = field(default_factory=list)  # on the round's clock, of each step
    trouble: str = ""  # why its world failed
    holds: ExitStack = field(default_factory=ExitStack)

    @property
    def over(self) -> bool:
        """Whether it has played its episode to the end."""
        return self.episode is not None and self.episode.over


OnEntry = Callable[[Entry], None]
"""Stores an entry. It is called once the entry has had its effect."""


class Room:
    """One room."""

    def __init__(
        self,
        code: str,
        trainer_key: str,
        *,
        explain: Explain,
        source: WorldSource = SIMULATED,
        on_entry: OnEntry = lambda _: None,
    ) -> None:
        """`explain` says what a post-mortem tells of a fault."""
        self.code = code
        self.trainer_key = trainer_key
        self.explain = explain
        self.source = source
        self.round = 0
        self.phase = Phase.LOBBY
        self.clock = RoundClock()
        self.teams: dict[str, Team] = {}
        self.incident: Incident | None = None
        self.agents: dict[PolicyName, Episode] = {}
        self.revealed = False
        self.touched_at = 0.0
        self.changes = 0  # how often anything changed, so that a viewer knows whether to look again
        self.on_entry = on_entry

    # Who is asking

    def is_trainer(self, token: str) -> bool:
        """Whether this is the trainer's token."""
        return same(key_of(token), self.trainer_key)

    def team_of(self, token: str) -> Team | None:
        """The team that has this token."""
        key = key_of(token)
        return next((team for team in self.teams.values() if same(team.key, key)), None)

    # What the trainer does

    def choose(self, content: object, limit_s: float, at: float) -> None:
        """A new round, of another incident or of the same one. Raises BadScenario or UnknownName."""
        choice = parse_choice(content)
        incident_of(choice)
        if not 0.0 <= limit_s <= LONGEST_LIMIT_S:
            raise RoomError(f"a round lasts at most {LONGEST_LIMIT_S:g} s, or has no limit with 0")
        body = choice.to_json() | {"limit_s": limit_s, "round": self.round + 1}
        self._do(Entry(at=at, kind=Kind.CHOSEN, body=body))

    def start(self, at: float) -> None:
        """Begin the round, or go on after a pause."""
        if self.incident is None:
            raise RoomError("there is no incident yet; next: choose one")
        if self.phase is Phase.OVER:
            raise RoomError("this round is over; next: choose an incident for another one")
        if self.phase is Phase.RUNNING:
            raise RoomError("this round runs already")
        self._do(Entry(at=at, kind=Kind.STARTED))

    def pause(self, at: float) -> None:
        """Nobody can act until it goes on."""
        if self.phase is not Phase.RUNNING:
            raise RoomError(f"only a running round can be paused; this one is {self.phase}")
        self._do(Entry(at=at, kind=Kind.PAUSED))

    def end(self, at: float) -> None:
        """End the round for all."""
        if self.phase is not Phase.OVER:
            self._do(Entry(at=at, kind=Kind.OVER))

    def reveal(self, at: float) -> None:
        """Show everybody what was broken, and how the agents did."""
        self._do(Entry(at=at, kind=Kind.REVEALED))

    def remove(self, name: str, at: float) -> None:
        """Remove a team. Its token is worth nothing afterwards."""
        if name not in self.teams:
            raise RoomError(f"there is no team {quoted(name)}")
        self._do(Entry(at=at, kind=Kind.REMOVED, body={"name": name}))

    # What players do

    def join(self, name: str, token: str, at: float) -> Team:
        """A new team of that name, with the token that it will show."""
        checked = checked_name(name)
        if any(team.name.casefold() == checked.casefold() for team in self.teams.values()):
            raise RoomError("that name is taken; next: choose another one, or ask your team for its link")
        if len(self.teams) >= MOST_TEAMS:
            raise RoomError(f"this room is full: it has {MOST_TEAMS} teams")
        self._do(Entry(at=at, kind=Kind.JOINED, body={"name": checked, "key": key_of(token)}))
        return self.teams[checked]

    def act(self, team: Team, text: str, *, step: int, request_id: str, at: float) -> None:
        """Take an action. A request that is repeated, with the same id, is done once. Raises RoomError, UnknownName or
        WorldError."""
        if request_id in team.requests:
            if team.requests[request_id] != text:
                raise RoomError("this request id was used for another action, so nothing was done")
            return
        action = self._checked_action(team, text, step, at)
        body = {"name": team.name, "action": action_text(action), "request": request_id}
        self._do(Entry(at=at, kind=Kind.ACTED, body=body))

    def take_turn(self, team: Team, at: float) -> None:
        """Begin the team's episode in the world that all share. Raises RoomError or WorldError."""
        self._need_running(at)
        if not self.source.shared:
            raise RoomError("every team has a world of its own here; nobody has to take turns")
        holder = self.holder
        if holder is not None:
            raise RoomError(f"{holder.name} has the lab; next: wait until they are done")
        if team.episode is not None:
            raise RoomError("your team has played this round")
        self._do(Entry(at=at, kind=Kind.TURN, body={"name": team.name}))

    def buy_hint(self, team: Team, at: float) -> None:
        """The next hint, for its cost."""
        self._need_running(at)
        assert self.incident is not None  # it is running
        if team.episode is None or team.over:
            raise RoomError("hints are for teams that play")
        if team.hints >= len(self.incident.hints):
            raise RoomError("there are no more hints")
        self._do(Entry(at=at, kind=Kind.HINT, body={"name": team.name}))

    def tick(self, at: float) -> None:
        """End the round if its time is up."""
        if self.phase is Phase.RUNNING and self.clock.is_out(at):
            self._do(Entry(at=at, kind=Kind.OVER))

    # What others ask

    @property
    def holder(self) -> Team | None:
        """The team that has the shared world now."""
        return next((each for each in self.teams.values() if each.episode and not each.over), None)

    def may_see_answer(self, team: Team | None) -> bool:
        """Whether a team, or with None the public, may see what was broken and how the agents did."""
        return self.revealed or self.phase is Phase.OVER or (team is not None and team.over)

    def cost_of_hints(self, team: Team) -> float:
        """What the team paid for hints."""
        return 0.0 if self.incident is None else sum(hint.cost for hint in self.incident.hints[: team.hints])

    def score(self, team: Team) -> float:
        """The reward of the team's episode, less what it paid for hints."""
        return (team.episode.reward if team.episode else 0.0) - self.cost_of_hints(team)

    def agents_to_play(self) -> Incident | None:
        """The incident that the agents have to play, or None."""
        return None if self.agents else self.incident

    def take_agents(self, incident: Incident, agents: dict[PolicyName, Episode]) -> None:
        """What the agents did in `incident`. It is ignored if a new round has begun."""
        if incident is self.incident:
            self.agents = agents
            self.changes += 1

    def close(self) -> None:
        """Give back every world."""
        for team in self.teams.values():
            team.holds.close()

    # What happens

    def beginnings(self) -> list[Entry]:
        """The entries that a new round needs of all that came before it."""
        return [
            Entry(at=self.touched_at, kind=Kind.JOINED, body={"name": team.name, "key": team.key})
            for team in self.teams.values()
        ]

    def replay(self, entries: Iterable[Entry]) -> None:
        """Build the room from its entries. A shared world is not played again: its round begins anew."""
        stored, self.on_entry = self.on_entry, lambda _: None
        try:
            for entry in entries:
                if not (self.source.shared and entry.kind not in _WITHOUT_WORLD):
                    self._do(entry)
        finally:
            self.on_entry = stored

    def _do(self, entry: Entry) -> None:
        try:
            _EFFECTS[entry.kind](self, entry)
        finally:
            self.touched_at = entry.at
            self.changes += 1
        self.on_entry(entry)

    def _on_chosen(self, entry: Entry) -> None:
        for team in self.teams.values():
            self._clear(team)
        self.round = int(_number(entry.body["round"]))
        self.incident = incident_of(parse_choice(entry.body))
        self.agents = {}
        self.revealed = False
        self.phase = Phase.LOBBY
        self.clock = RoundClock(limit_s=_number(entry.body["limit_s"]))

    def _on_joined(self, entry: Entry) -> None:
        team = Team(name=str(entry.body["name"]), key=str(entry.body["key"]))
        self.teams[team.name] = team
        if self.phase in (Phase.RUNNING, Phase.PAUSED):
            self._begin_own(team)

    def _on_removed(self, entry: Entry) -> None:
        self._clear(self.teams.pop(str(entry.body["name"])))

    def _on_started(self, entry: Entry) -> None:
        self.clock.start(entry.at)
        self.phase = Phase.RUNNING
        for team in self.teams.values():
            self._begin_own(team)

    def _on_paused(self, entry: Entry) -> None:
        self.clock.stop(entry.at)
        self.phase = Phase.PAUSED

    def _on_over(self, entry: Entry) -> None:
        self.clock.stop(entry.at)
        self.phase = Phase.OVER
        for team in self.teams.values():
            team.holds.close()

    def _on_turn(self, entry: Entry) -> None:
        self._begin(self.teams[str(entry.body["name"])])

    def _on_acted(self, entry: Entry) -> None:
        team = self.teams[str(entry.body["name"])]
        assert team.episode is not None  # it was checked before
        text = str(entry.body["action"])
        try:
            team.episode.act(parse_action(text))
        except WorldError as error:
            self._fail(team, error)
            raise
        team.acted_at_s.append(round(self.clock.elapsed_s(entry.at), 1))
        team.requests[str(entry.body["request"])] = text
        while len(team.requests) > MOST_REQUESTS_KEPT:
            del team.requests[next(iter(team.requests))]
        if team.over:
            team.holds.close()

    def _on_hint(self, entry: Entry) -> None:
        self.teams[str(entry.body["name"])].hints += 1

    def _on_revealed(self, _: Entry) -> None:
        self.revealed = True

    def _begin_own(self, team: Team) -> None:
        if not self.source.shared and team.episode is None:
            self._begin(team)

    def _begin(self, team: Team) -> None:
        incident = self.incident
        assert incident is not None  # a round has one
        try:
            world = team.holds.enter_context(self.source.open())
            team.episode = Episode(
                world, incident.config, incident.scenario, player=team.name, world_name=self.source.name
            )
            team.episode.begin()
        except WorldError as error:
            self._fail(team, error)
            raise

    @staticmethod
    def _fail(team: Team, error: WorldError) -> None:
        team.trouble = str(error)
        team.holds.close()

    @staticmethod
    def _clear(team: Team) -> None:
        team.holds.close()
        team.episode = None
        team.hints = 0
        team.trouble = ""
        team.requests.clear()
        team.acted_at_s.clear()

    def _need_running(self, at: float) -> None:
        self.tick(at)
        if self.phase is not Phase.RUNNING:
            raise RoomError(f"nobody can act now: this round is {_SAYS[self.phase]}")

    def _checked_action(self, team: Team, text: str, step: int, at: float) -> Action:
        self._need_running(at)
        if team.episode is None:
            raise RoomError("your team does not play yet; next: take the lab when it is free")
        if team.over:
            raise RoomError("your team's incident is over")
        action = parse_action(text)
        assert self.incident is not None  # it is running
        if isinstance(action, DiagnoseNone) and not self.incident.config.none_diagnosis:
            raise RoomError("something is broken in this incident; next: diagnose a service")
        if step != team.episode.step:
            raise RoomError(f"somebody of your team acted first, and it is step {team.episode.step} now; look again")
        return action


_SAYS: dict[Phase, str] = {
    Phase.LOBBY: "not started yet",
    Phase.RUNNING: "running",
    Phase.PAUSED: "paused",
    Phase.OVER: "over",
}

_WITHOUT_WORLD = frozenset({Kind.CHOSEN, Kind.JOINED, Kind.REMOVED})

_EFFECTS: dict[Kind, Callable[[Room, Entry], None]] = {
    Kind.CHOSEN: Room._on_chosen,
    Kind.JOINED: Room._on_joined,
    Kind.REMOVED: Room._on_removed,
    Kind.STARTED: Room._on_started,
    Kind.PAUSED: Room._on_paused,
    Kind.OVER: Room._on_over,
    Kind.TURN: Room._on_turn,
    Kind.ACTED: Room._on_acted,
    Kind.HINT: Room._on_hint,
    Kind.REVEALED: Room._on_revealed,
}


def checked_name(name: str) -> str:
    """A team's name, without what cannot be seen. Raises RoomError."""
    shown = " ".join("".join(each if each.isprintable() else " " for each in name).split())
    if not 1 <= len(shown) <= LONGEST_NAME:
        raise RoomError(f"a team's name has 1 to {LONGEST_NAME} letters")
    return shown


def _number(value: object) -> float:
    assert isinstance(value, int | float)  # it was checked before it was stored
    return float(value)


def actions_of(incident: Incident) -> list[str]:
    """Every action that can be taken, as it is written."""
    none = incident.config.none_diagnosis
    return [action_text(each) for each in PACK_ACTIONS if none or not isinstance(each, DiagnoseNone)]


def play_agents(incident: Incident) -> dict[PolicyName, Episode]:
    """The episodes of the agents of the scoreboard."""
    return {name: agent_episode(name, incident.scenario, incident.config) for name in AGENTS}
