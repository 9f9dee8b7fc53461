"""Several policies play the same episodes: on the lab in turn, and from where an earlier run was stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirr.cli.counting import counter
from mirr.cli.playing import Played, Player
from mirr.cli.worlds import WorldName, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from mirr.env.rollout import EpisodeResult
    from mirr.env.scenario import Scenario

WHAT = "mirr evaluate"


@dataclass
class _Part:
    """What one policy has to play, and what is known from records already."""

    player: Player
    known: dict[int, EpisodeResult] = field(default_factory=dict)  # by seed
    played: Played = field(default_factory=Played)

    def missing(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """The scenarios that are not played yet."""
        return [scenario for scenario in scenarios if scenario.seed not in self.known]

    def whole(self) -> Played:
        """What was read and what was played, in the order of the seeds."""
        results = sorted([*self.known.values(), *self.played.results], key=lambda result: result.seed)
        return Played(results=results, interrupted=self.played.interrupted)


def evaluate(players: Sequence[Player], lab: str, scenarios: Sequence[Scenario], *, overwrite: bool) -> list[Played]:
    """What each player played. After Ctrl-C, the players that have not begun are left out.

    An episode that has a complete record is read from it, unless `overwrite`. Raises RecordError before anything is
    played if a record is that of another episode."""
    parts = [_Part(player) for player in players]
    if players[0].records is not None:
        _make_folder(players[0].records)
        for part in () if overwrite else parts:
            part.known = _known(part.player, scenarios)
        if read := sum(len(part.known) for part in parts):
            of = len(players) * len(scenarios)
            print(f"mirr: {read} of {of} episodes are read from their records in {players[0].records}", file=sys.stderr)
    if players[0].world is WorldName.DOCKER:
        _play_in_turn(parts, lab, scenarios)
        return [part.whole() for part in parts]
    for number, part in enumerate(parts, start=1):
        part.played = part.player.play_many(lab, part.missing(scenarios), WHAT)
        if part.played.interrupted:
            return [each.whole() for each in parts[:number]]
    return [part.whole() for part in parts]


def _play_in_turn(parts: Sequence[_Part], lab: str, scenarios: Sequence[Scenario]) -> None:
    """All policies play the first scenario, then all the second.

    So a machine that gets slower is slower for all of them, and after Ctrl-C they have played the same scenarios."""
    turns = [(scenario, part) for scenario in scenarios for part in parts if scenario.seed not in part.known]
    if not turns:
        return
    first = parts[0].player
    try:
        with (
            counter(first.world, "all policies", len(turns)) as count,
            open_world(first.world, lab, what=WHAT, machine=first.machine) as world,
        ):
            for done, (scenario, part) in enumerate(turns, start=1):
                result = part.player.play_one_of_many(world, scenario)
                part.played.results.append(result)
                count.after(result, done)
    except KeyboardInterrupt:
        for part in parts:
            part.played.interrupted = True


def _make_folder(folder: Path) -> None:
    from mirr.env.record import RecordError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(
            f"cannot make the folder {folder}: {error.strerror}; next: another --record FOLDER"
        ) from error


def _known(player: Player, scenarios: Sequence[Scenario]) -> dict[int, EpisodeResult]:
    """The episodes that have complete records, by seed."""
    known = {}
    for scenario in scenarios:
        path = player.record_of(scenario)
        if path is not None and path.is_file():
            result = _read(path, player, scenario)
            if result is not None:
                known[scenario.seed] = result
    return known


def _read(path: Path, player: Player, scenario: Scenario) -> EpisodeResult | None:
    """The episode of a record. None if the record is cut off or void: then the episode is played again."""
    from mirr.env.record import RecordError, read_rollout
    from mirr.env.recorded import play_back
    from mirr.env.reward import Outcome
    from mirr.env.rollout import EpisodeResult, LostStep

    rollout = read_rollout(path)
    asked = (player.world_name, str(player.policy), scenario)
    if (rollout.header["world"], rollout.header["policy"], rollout.scenario) != asked:
        raise RecordError(
            f"{path} is the record of another episode; next: another --record FOLDER, or --overwrite to lose it"
        )
    if rollout.end is None or rollout.end["report"]["outcome"] == Outcome.VOID:
        return None
    playback = play_back(rollout)
    if playback.report is None or not playback.same:
        raise RecordError(f"{path} does not play back the same; next: mirr records check {path}, or --overwrite")
    lost = [LostStep(int(each["step"]), str(each["why"])) for each in rollout.end["report"].get("lost_steps", ())]
    return EpisodeResult(
        world=player.world_name,
        policy=player.policy,
        report=playback.report,
        trajectory=(),
        lost_steps=tuple(lost),
    )
