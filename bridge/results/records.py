"""Recorded episodes as results: only those that say whose they are, and that come out the same when played back."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mirr.bridge.results.cells import Cell
from mirr.bridge.results.episodes import Played, of_report
from mirr.env.objectives import OBJECTIVES
from mirr.env.record import RecordError, Rollout, episode_id, parse_rollout, read_record
from mirr.env.recorded import play_back
from mirr.env.reward import REWARDS
from mirr.env.scenario import draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Tier

RECORD_FILES = "*.jsonl"

_TIER_SINCE = 5  # the first version of a record that states its tier


def records_in(folder: Path) -> list[Path]:
    """The records in a folder and in the folders in it, in order. Raises RecordError if there are none."""
    found = sorted(path for path in folder.rglob(RECORD_FILES) if path.is_file())
    if not found:
        raise RecordError(f"the folder {folder} holds no records: no file in it ends in .jsonl")
    return found


def played_in(path: Path, *, worlds: Collection[str], policies: Collection[str]) -> tuple[Cell, Played] | None:
    """The episode in a record, and the cell that it belongs to. None if the record is cut off: the episode never ended.

    Raises RecordError if the record states no tier, or a world or a policy that is not known. It also does if the
    episode was not played and judged as the tier's are, or if a playback differs from the record."""
    content = read_record(path)
    rollout = parse_rollout(path, content)
    if rollout.end is None:
        return None
    cell = Cell(
        _known(path, "world", rollout.header["world"], worlds),
        _tier(rollout),
        _known(path, "policy", rollout.header["policy"], policies),
    )
    _check_alike(rollout, cell.tier)
    playback = play_back(rollout)
    if playback.report is None or not playback.same:
        raise RecordError(f"{path} does not play back: {playback.differences[0]}; next: mirr records check {path}")
    return cell, of_report(playback.report, f"record {episode_id(content)}")


def _known(path: Path, what: str, name: str, known: Collection[str]) -> str:
    if name not in known:
        raise RecordError(f"{path} states the {what} {name!r}, which is not one of: {', '.join(known)}")
    return name


def _tier(rollout: Rollout) -> Tier:
    """The tier that the record states. Before version 5 none did."""
    if rollout.version < _TIER_SINCE:
        raise RecordError(f"{rollout.path} has schema version {rollout.version}, which does not state the tier")
    tier = rollout.scenario.tier
    if tier is None:
        raise RecordError(f"{rollout.path} is an episode of a scenario pack, and not of a tier")
    return tier


def _check_alike(rollout: Rollout, tier: Tier) -> None:
    """Raises RecordError unless the episode is that of its seed, played and judged as its tier is."""
    seed = rollout.scenario.seed
    if rollout.scenario.timeline != draw(seed, tier=tier).timeline:
        raise RecordError(
            f"{rollout.path} is not the incident of seed {seed} in {tier}: its fault was given, or the tier has "
            "changed since; next: play it again"
        )
    if rollout.config != TIERS[tier].config:
        raise RecordError(f"{rollout.path} was not played as {tier} is: its configuration is another one")
    if (rollout.objectives, rollout.rewards) != (OBJECTIVES, REWARDS):
        raise RecordError(f"{rollout.path} was judged by other objectives or rewards")
