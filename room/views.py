"""What each visitor of a room may see, as JSON. Nobody gets anything that is not made here."""

from __future__ import annotations

from mirr.agents.registry import PolicyName
from mirr.env.environment import Harm
from mirr.env.objectives import OBJECTIVES
from mirr.env.rendering import COLUMNS
from mirr.env.vocabulary import CALLS, FaultMode, Feature, Service
from mirr.room.alerts import Alert
from mirr.room.entries import Phase
from mirr.room.episodes import AGENTS, Episode, Frame, frame_json, harm_so_far, report_json, tape_json
from mirr.room.incidents import actions_of, packs
from mirr.room.rooms import Room
from mirr.room.teams import Doing, Team
from mirr.room.votes import AllTeams

Json = dict[str, object]


def about() -> Json:
    """What a page has to know once: the services, their calls, the columns, the objectives, the modes."""
    return {
        "services": [str(service) for service in Service],
        "calls": {str(caller): [str(each) for each in called] for caller, called in CALLS.items()},
        "features": [{"name": str(feature), "heading": COLUMNS[feature][0]} for feature in Feature],
        "modes": [str(mode) for mode in FaultMode],
        "objectives": {
            str(Feature.ERROR_RATIO): OBJECTIVES.error_ratio,
            str(Feature.LATENCY_P95_S): OBJECTIVES.latency_p95_s,
            str(Feature.MEMORY_SHARE): OBJECTIVES.memory_share,
            str(Feature.REQUEST_RATE): OBJECTIVES.request_rate,
        },
    }


def choices() -> Json:
    """What a trainer can choose from."""
    return {
        "packs": [
            {"id": pack.id, "title": pack.title, "difficulty": str(pack.difficulty), "seed": pack.seed}
            for pack in packs().values()
        ]
    }


def public_view(room: Room, at: float) -> Json:
    """What anybody with the join code may see: for a projector."""
    answer = room.may_see_answer(None)
    return _common(room, at, answer=answer) | {"role": "public"} | (_answer(room) if answer else {})


def player_view(room: Room, team: Team, at: float, since: int = 0) -> Json:
    """What a team may see: what an agent sees, noise included. The truth comes when its incident is over. Steps before
    `since` are left out: the page has them."""
    answer = room.may_see_answer(team)
    return (
        _common(room, at, answer=answer)
        | {"role": "player", "team": _team(room, room.plays_for(team), since, with_truth=answer)}
        | {"hints": _hints(room, team)}
        | _ballot(room, team)
        | (_answer(room) if answer else {})
    )


def trainer_view(
    room: Room, at: float, watched: str | None, since: int = 0, fired: tuple[Alert, ...] | None = None
) -> Json:
    """What the trainer sees: everything, and the steps from `since` on of the team that is `watched`. `fired` are the
    alerts of the lab's own Prometheus, if there is one and it answered."""
    team = room.player(watched) if watched else None
    return (
        _common(room, at, answer=True)
        | {"role": "trainer"}
        | _answer(room)
        | _ballot(room, None)
        | {"teams": list(room.teams)}
        | {"harm": {each.name: _harm(each.episode) for each in room.players}}
        | {"troubles": {each.name: trouble for each in room.players if (trouble := _trouble(each))}}
        | ({"team": _team(room, team, since, with_truth=True)} if team else {})
        | ({} if fired is None else {"fired": [alert.to_json() for alert in fired]})
    )


def agent_tape(room: Room, name: PolicyName) -> Json | None:
    """What an agent did in this round, or None if it has not been played."""
    episode = room.agents.get(name)
    return None if episode is None else tape_json(episode, with_truth=True)


def team_tape(team: Team, *, with_truth: bool) -> Json | None:
    """What a team did in this round, or None if it has not begun."""
    if team.episode is None:
        return None
    tape = tape_json(team.episode, with_truth=with_truth) | ({} if with_truth else {"report": None})
    return tape | ({"frames": _frames(team, 0, with_truth=with_truth)} if isinstance(team, AllTeams) else {})


def _common(room: Room, at: float, *, answer: bool) -> Json:
    return _kept(room, answer=answer) | {
        "changes": room.changes,
        "room": {
            "code": room.code,
            "world": room.source.name,
            "shared": room.source.shared,
            "phase": str(room.phase),
            "round": room.round,
            "elapsed_s": round(room.clock.elapsed_s(at), 1),
            "limit_s": room.clock.limit_s,
            "holder": None if room.holder is None else room.holder.team,
            "doing": None if room.holder is None or room.holder.doing is None else str(room.holder.doing),
            "revealed": room.revealed,
            "vote": None if room.everybody is None else _vote(room, room.everybody, at),
        },
    }


def _kept(room: Room, *, answer: bool) -> Json:
    """What is the same for everybody until the room changes. It is made once, and most of a view is this."""
    if room.kept.get(answer, (-1, {}))[0] != room.changes:
        room.kept[answer] = room.changes, _made(room, answer=answer)
    return room.kept[answer][1]


def _made(room: Room, *, answer: bool) -> Json:
    incident = room.incident
    return {
        "incident": None
        if incident is None
        else {
            "title": incident.title,
            "symptom": incident.symptom,
            "difficulty": incident.difficulty,
            "max_steps": incident.config.max_steps,
            "step_s": incident.config.step_s,
            "actions": actions_of(incident),
        },
        "board": _board(room, with_agents=answer),
    }


def _vote(room: Room, everybody: AllTeams, at: float) -> Json:
    """How far the vote has come. It does not say what for: the public sees this too."""
    ballot = everybody.ballot
    is_open = room.phase is Phase.RUNNING and everybody.votes and not ballot.closed
    return {
        "open": is_open,
        "voted": len(ballot.cast),
        "of": len({*room.present, *ballot.cast}),
        "left_s": round(everybody.vote_s - ballot.clock.elapsed_s(at), 1) if everybody.vote_s else None,
        "needs_start": everybody.needs_start,
    }


def _ballot(room: Room, team: Team | None) -> Json:
    """What the votes are for, and a team's own one. Who else is for what is seen when the vote is closed."""
    if room.everybody is None:
        return {}
    ballot = room.everybody.ballot
    own = None if team is None else ballot.cast.get(team.name)
    counts = [{"action": action, "votes": len(teams)} for action, teams in ballot.sides().items()]
    return {"ballot": {"counts": counts, "own": own}}


def _trouble(team: Team) -> str:
    return team.trouble or (team.refusal if isinstance(team, AllTeams) else "")


def _frames(team: Team, since: int, *, with_truth: bool) -> list[Json]:
    """The steps from `since` on. Where teams vote, each says how the votes fell."""
    frames: list[Frame] = [] if team.episode is None else team.episode.frames[since:]
    made = [frame_json(frame, with_truth=with_truth) for frame in frames]
    if isinstance(team, AllTeams):
        for frame, shown in zip(frames, made, strict=True):
            if step := frame.seen.step:
                shown["votes"] = [{"action": action, "teams": list(who)} for action, who in team.fell[step - 1].items()]
    return made


def _answer(room: Room) -> Json:
    """What was broken."""
    incident = room.incident
    if incident is None:
        return {"answer": None}
    return {
        "answer": {
            "debrief": incident.debrief,
            "scenario": incident.scenario.to_json(),
            "seed": incident.scenario.seed,
            "pack": incident.choice.pack,
        }
    }


def _team(room: Room, team: Team, since: int, *, with_truth: bool) -> Json:
    episode = team.episode
    result = episode.result if episode is not None and with_truth else None  # it has the answer
    return {
        "name": team.name,
        "step": 0 if episode is None else episode.step,
        "steps_left": episode.frames[-1].seen.steps_left if episode and episode.frames else None,
        "playing": episode is not None and not episode.over,
        "busy": team.stay is not None and team.stay.doing is not None,
        "score": round(room.score(team), 2),
        "reward": round(episode.reward, 2) if episode else 0.0,
        "truth": with_truth,
        "since": since,
        "frames": _frames(team, since, with_truth=with_truth),
        "acted_at_s": team.acted_at_s,
        "report": report_json(result) if result else None,
        "void": team.void,
        "answer_waits": team.late and team.over and not with_truth,
    }


def _hints(room: Room, team: Team) -> Json:
    hints = room.incident.hints if room.incident else ()
    following = hints[team.hints] if team.hints < len(hints) else None
    return {
        "bought": [{"text": hint.text, "cost": hint.cost} for hint in hints[: team.hints]],
        "next_cost": None if following is None else following.cost,
        "left": len(hints) - team.hints,
    }


def _board(room: Room, *, with_agents: bool) -> list[Json]:
    rows = [_row(room, team) for team in (room.teams.values() if room.everybody is None else [room.everybody])]
    if with_agents:
        rows += [_agent_row(name, room.agents[name]) for name in AGENTS if name in room.agents]
    return sorted(rows, key=lambda row: -float(str(row["score"])))


def _row(room: Room, team: Team) -> Json:
    return {"name": team.name, "agent": False, "score": round(room.score(team), 2), "hints": team.hints} | _standing(
        room, team
    )


def _standing(room: Room, team: Team) -> Json:
    episode = team.episode
    if team.stay is not None and team.stay.doing is Doing.OPENING:
        return {"state": "preparing", "steps": 0}
    if episode is None:
        return {"state": "void" if team.trouble else "waiting", "steps": 0}
    if episode.result is None:
        return {"state": "stopped" if room.phase is Phase.OVER else "playing", "steps": episode.step}
    return _ended(episode)


def _agent_row(name: PolicyName, episode: Episode) -> Json:
    return {"name": str(name), "agent": True, "score": round(episode.reward, 2), "hints": 0} | _ended(episode)


def _ended(episode: Episode) -> Json:
    assert episode.result is not None  # the caller has looked
    report = episode.result.report
    return {
        "state": str(report.outcome),
        "steps": report.steps,
        "clean": report.clean,
        "diagnosed": report.diagnosis_correct,
        "failed_requests": report.harm.failed_requests,
        "steps_to_mitigate": report.steps_to_mitigate,
    }


def _harm(episode: Episode | None) -> dict[str, object]:
    return (Harm() if episode is None else harm_so_far(episode)).to_json()
