"""A room: a trainer, teams, rounds of an incident. Pure: no web is here, and the time is handed in.

Everything that happens is an `Entry`. A room is what its entries make of it, so whoever stores them can build it again:
on the simulator, the same actions give the same episode. Here are the rules; `effects.py` has what an entry does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext

from mirr.agents.registry import PolicyName
from mirr.env.postmortem import Explain
from mirr.env.quoting import quoted
from mirr.env.vocabulary import Action, DiagnoseNone, action_text, parse_action
from mirr.env.world import WorldError
from mirr.room.clock import RoundClock
from mirr.room.effects import do, give_back
from mirr.room.entries import WITHOUT_WORLD, Entry, Kind, OnEntry, Phase, RoomError
from mirr.room.episodes import Episode
from mirr.room.incidents import Incident, incident_of, parse_choice
from mirr.room.keys import key_of, same
from mirr.room.teams import ALL_TEAMS, Stay, Team, checked_name, name_key
from mirr.room.votes import VOTE_S, AllTeams, Way
from mirr.room.worlds import SIMULATED, WorldSource

MOST_TEAMS = 40
LONGEST_LIMIT_S = 24 * 3600.0
LONGEST_VOTE_S = 3600.0


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
        self.everybody: AllTeams | None = None  # in a round that is played by vote
        self.incident: Incident | None = None
        self.agents: dict[PolicyName, Episode] = {}
        self.revealed = False
        self.touched_at = 0.0
        self.changes = 0  # how often anything changed, so that a viewer knows whether to look again
        self.kept: dict[bool, tuple[int, dict[str, object]]] = {}
        """Of the views, with and without the answer: what is the same for everybody, and at which change."""
        self.on_entry = on_entry
        self.stays: list[Stay] = []  # every world that was opened and is not given back yet
        self.outside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Where the room is open for others, as long as somebody is in a world that all share."""

    # Who is asking

    def is_trainer(self, token: str) -> bool:
        """Whether this is the trainer's token."""
        return same(key_of(token), self.trainer_key)

    def team_of(self, token: str) -> Team | None:
        """The team that has this token."""
        key = key_of(token)
        return next((team for team in self.teams.values() if same(team.key, key)), None)

    # What the trainer does

    def choose(
        self, content: object, limit_s: float, at: float, *, way: str = Way.TURNS, vote_s: float = VOTE_S
    ) -> None:
        """A new round, of another incident or of the same one. `way` is how teams share a world, and `vote_s` how long
        a vote lasts; 0: until all have voted. Raises BadScenario, RoomError or UnknownName."""
        choice = parse_choice(content)
        incident_of(choice)
        if not 0.0 <= limit_s <= LONGEST_LIMIT_S:
            raise RoomError(f"a round lasts at most {LONGEST_LIMIT_S:g} s, or has no limit with 0")
        if way not in list(Way):
            raise RoomError(f"unknown way {quoted(way)}; one of: {', '.join(Way)}")
        if way == Way.VOTE and not self.source.shared:
            raise RoomError("every team has a world of its own here; nobody has to vote")
        if not 0.0 <= vote_s <= LONGEST_VOTE_S:
            raise RoomError(f"a vote lasts at most {LONGEST_VOTE_S:g} s, or has no limit with 0")
        body = choice.to_json() | {"limit_s": limit_s, "round": self.round + 1, "way": way, "vote_s": vote_s}
        self._do(Entry(at=at, kind=Kind.CHOSEN, body=body))

    def start(self, at: float) -> None:
        """Begin the round, or go on after a pause. Where teams vote, also: take the world after it failed."""
        if self.incident is None:
            raise RoomError("there is no incident yet; next: choose one")
        if self.phase is Phase.OVER:
            raise RoomError("this round is over; next: choose an incident for another one")
        if self.phase is Phase.RUNNING and not (self.everybody is not None and self.everybody.needs_start):
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

    def close_vote(self, at: float) -> None:
        """Close the vote before its time is up."""
        self._need_running(at)
        if not self._voting().votes:
            raise RoomError("no vote is open now")
        self._do(Entry(at=at, kind=Kind.CLOSED))

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
        if name_key(checked) in map(name_key, self.teams):
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
        if team.stay is not None and team.stay.doing is not None:
            if team.stay.request == request_id:
                raise RoomError("this step goes on already; wait until it ends")
            raise RoomError("your team's step goes on; next: wait until it ends")
        if self.everybody is not None:
            raise RoomError("teams vote in this round; next: vote")
        action = self._checked_action(team, text, step, at)
        body = {"name": team.name, "action": action_text(action), "request": request_id}
        self._do(Entry(at=at, kind=Kind.ACTED, body=body))

    def take_turn(self, team: Team, at: float) -> None:
        """Begin the team's episode in the world that all share. Raises RoomError or WorldError."""
        self._need_running(at)
        if not self.source.shared:
            raise RoomError("every team has a world of its own here; nobody has to take turns")
        if self.everybody is not None:
            raise RoomError("teams vote in this round, and nobody takes the lab alone")
        if (holder := self.holder) is not None:
            if holder.team != team.name:
                raise RoomError(f"{holder.team} has the lab; next: wait until they are done")
            raise RoomError("your team has the lab already")
        if team.episode is not None and not team.void:
            raise RoomError("your team has played this round")
        self._do(Entry(at=at, kind=Kind.TURN, body={"name": team.name}))

    def vote(self, team: Team, text: str, *, step: int, at: float) -> None:
        """A team's vote on the next action, or another one in its place. Who repeats a vote changes nothing. Raises
        RoomError or UnknownName."""
        self._need_running(at)
        everybody = self._voting()
        if everybody.episode is None:
            raise RoomError("nobody can vote yet; next: wait until the lab is ready")
        action = action_text(self._parsed_action(text))
        if 0 <= step < len(everybody.fell) and team.name in everybody.fell[step].get(action, ()):
            return
        if everybody.over:
            raise RoomError("this incident is over")
        if step != everybody.episode.step:
            raise RoomError(f"that vote is closed, and it is step {everybody.episode.step} now; look again")
        if everybody.ballot.cast.get(team.name) == action:
            return
        if not everybody.votes or everybody.ballot.is_over(at, self.present):
            raise RoomError("this vote is closed; next: wait until its step ends")
        self._do(Entry(at=at, kind=Kind.VOTED, body={"name": team.name, "action": action}))

    def buy_hint(self, team: Team, at: float) -> None:
        """The next hint, for its cost."""
        self._need_running(at)
        assert self.incident is not None  # it is running
        if self.everybody is not None:
            raise RoomError("there are no hints where teams vote: one team would pay for all")
        if team.episode is None or team.over:
            raise RoomError("hints are for teams that play")
        if team.hints >= len(self.incident.hints):
            raise RoomError("there are no more hints")
        self._do(Entry(at=at, kind=Kind.HINT, body={"name": team.name}))

    def tick(self, at: float) -> None:
        """End the round if its time is up."""
        if self.phase is Phase.RUNNING and self.clock.is_out(at):
            self._do(Entry(at=at, kind=Kind.OVER))

    # What a vote leads to

    def attend(self, keys: Collection[str]) -> None:
        """Only the teams with these keys are present. A vote does not wait for others."""
        for team in self.teams.values():
            if team.here != (team.key in keys):
                team.here = not team.here
                self.changes += 1

    def go_on(self, at: float) -> None:
        """Do what is due where teams vote: take the world, count down, play what a vote chose. It takes as long as that
        does in the world. What fails is in the trainer's view."""
        self.tick(at)
        everybody = self.everybody
        if everybody is None or self.phase is not Phase.RUNNING:
            return
        try:
            if everybody.wants_world and self.holder is None:
                self._do(Entry(at=at, kind=Kind.TURN, body={"name": ALL_TEAMS}))
            elif everybody.votes:
                self._count(everybody, at)
        except RoomError as error:
            everybody.refusal = str(error)
        except WorldError:
            pass  # it is the trouble of all teams now

    def _count(self, everybody: AllTeams, at: float) -> None:
        ballot, episode = everybody.ballot, everybody.episode
        assert episode is not None  # a vote is open
        if ballot.clock.running_since is None:
            ballot.clock.start(at)
            self.changes += 1
        if ballot.is_over(at, self.present):
            body = {"name": ALL_TEAMS, "action": ballot.chosen(), "request": f"vote {episode.step}"}
            self._do(Entry(at=at, kind=Kind.ACTED, body=body))

    # What others ask

    @property
    def players(self) -> list[Team]:
        """Everybody who can have an episode: each team, and all teams together where they vote."""
        return [*self.teams.values(), *([] if self.everybody is None else [self.everybody])]

    @property
    def present(self) -> list[str]:
        """The teams that a vote waits for."""
        return [team.name for team in self.teams.values() if team.here]

    def player(self, name: str) -> Team | None:
        """The team of that name, or all teams where they vote."""
        return self.everybody if self.everybody is not None and name == ALL_TEAMS else self.teams.get(name)

    def plays_for(self, team: Team) -> Team:
        """Who plays for a team: itself, or all teams where they vote."""
        return team if self.everybody is None else self.everybody

    @property
    def holder(self) -> Stay | None:
        """Who has the shared world now, until it was given back."""
        return self.stays[0] if self.source.shared and self.stays else None

    def may_see_answer(self, team: Team | None) -> bool:
        """Whether a team, or with None the public, may see what was broken and how the agents did."""
        if self.revealed or self.phase is Phase.OVER:
            return True
        player = None if team is None else self.plays_for(team)
        # Who is void may begin again. Who is late may be a second seat of a team that still plays.
        return player is not None and player.over and not player.void and not player.late

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
        for stay in list(self.stays):
            give_back(self, stay)

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
                if not (self.source.shared and entry.kind not in WITHOUT_WORLD):
                    self._do(entry)
        finally:
            self.on_entry = stored

    def _do(self, entry: Entry) -> None:
        try:
            do(self, entry)
        finally:
            self.touched_at = entry.at
            self.changes += 1
        self.on_entry(entry)

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
        action = self._parsed_action(text)
        if step != team.episode.step:
            raise RoomError(f"somebody of your team acted first, and it is step {team.episode.step} now; look again")
        return action

    def _parsed_action(self, text: str) -> Action:
        action = parse_action(text)
        assert self.incident is not None  # it is running
        if isinstance(action, DiagnoseNone) and not self.incident.config.none_diagnosis:
            raise RoomError("something is broken in this incident; next: diagnose a service")
        return action

    def _voting(self) -> AllTeams:
        if self.everybody is None:
            raise RoomError("nobody votes in this round")
        return self.everybody


_SAYS: dict[Phase, str] = {
    Phase.LOBBY: "not started yet",
    Phase.RUNNING: "running",
    Phase.PAUSED: "paused",
    Phase.OVER: "over",
}
