"""Recorded episodes as results: only those that say whose they are and that play back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mirr.agents.heuristic import HeuristicPolicy
from mirr.bridge.results.cells import Cell
from mirr.bridge.results.episodes import Played, of_report
from mirr.bridge.results.records import played_in, records_in
from mirr.env.environment import Environment
from mirr.env.record import RecordError, RolloutWriter, episode_id
from mirr.env.record_values import Line
from mirr.env.rollout import play
from mirr.env.scenario import EpisodeConfig, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Fault, Tier
from tests.env.fakes import write_version_1

POLICIES = ("heuristic", "random")
WORLDS = ("sim", "docker")


def recorded(
    path: Path,
    *,
    seed: int = 7,
    tier: Tier = Tier.HARD,
    fault: Fault | None = None,
    config: EpisodeConfig | None = None,
) -> Played:
    """Record an episode. Returns it as the results would have it, had they played it."""
    with RolloutWriter(path, overwrite=True) as writer:
        result = play(
            Environment(SimulatedWorld(), config or TIERS[tier].config),
            HeuristicPolicy(),
            scenario=draw(seed, fault, tier),
            world_name="docker",
            policy_name="heuristic",
            record=writer,
        )
    return of_report(result.report, f"record {episode_id(path.read_bytes())}")


def taken(path: Path) -> tuple[Cell, Played] | None:
    return played_in(path, worlds=WORLDS, policies=POLICIES)


def refused(path: Path) -> str:
    with pytest.raises(RecordError) as error:
        taken(path)
    return str(error.value)


def edit(path: Path, change: Callable[[Line], None]) -> None:
    """Change the header of a record."""
    header, *rest = path.read_text().splitlines()
    line = json.loads(header)
    change(line)
    path.write_text("\n".join([json.dumps(line), *rest]) + "\n")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "seven.jsonl"


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("seed", range(5))
def test_a_record_counts_as_the_episode_that_was_played(record: Path, tier: Tier, seed: int) -> None:
    played = recorded(record, seed=seed, tier=tier)
    assert taken(record) == (Cell("docker", tier, "heuristic"), played)


def test_a_record_that_is_cut_off_does_not_count(record: Path) -> None:
    recorded(record)
    record.write_text("".join(record.read_text().splitlines(keepends=True)[:-1]))
    assert taken(record) is None


def test_a_record_of_a_version_without_tiers_is_refused(record: Path) -> None:
    write_version_1(record)
    header, *rest = record.read_text().splitlines()
    record.write_text("\n".join([header, *rest]) + "\n")
    assert refused(record) == f"{record} has schema version 1, which does not state the tier"


def test_a_record_of_a_pack_is_refused(record: Path) -> None:
    recorded(record)
    edit(record, lambda header: header.update(tier=None))
    assert refused(record) == f"{record} is an episode of a scenario pack, and not of a tier"


def test_a_record_of_somebody_unknown_is_refused(record: Path) -> None:
    recorded(record)
    edit(record, lambda header: header.update(policy="../../etc"))
    assert refused(record) == f"{record} states the policy '../../etc', which is not one of: heuristic, random"


def test_a_record_of_an_unknown_world_is_refused(record: Path) -> None:
    recorded(record)
    edit(record, lambda header: header.update(world="mars"))
    assert refused(record) == f"{record} states the world 'mars', which is not one of: sim, docker"


def test_an_incident_that_the_seed_does_not_draw_is_refused(record: Path) -> None:
    recorded(record, tier=Tier.EASY, fault=Fault.parse("crashed:gateway"))
    assert refused(record) == (
        f"{record} is not the incident of seed 7 in easy: its fault was given, or the tier has changed since; "
        "next: play it again"
    )


def test_an_episode_under_other_rules_is_refused(record: Path) -> None:
    recorded(record, tier=Tier.EASY, config=EpisodeConfig(max_steps=20))
    assert refused(record) == f"{record} was not played as easy is: its configuration is another one"


def test_a_record_that_was_judged_in_another_way_is_refused(record: Path) -> None:
    recorded(record)
    edit(record, lambda header: header["rewards"].update(recovery=1000.0))
    assert refused(record) == f"{record} was judged by other objectives or rewards"


def test_a_record_that_does_not_play_back_is_refused(record: Path) -> None:
    recorded(record)
    *rest, end = record.read_text().splitlines()
    line = json.loads(end)
    line["report"]["total_reward"] = 1000.0
    record.write_text("\n".join([*rest, json.dumps(line)]) + "\n")
    assert refused(record).startswith(f"{record} does not play back: report, total_reward: ")
    assert refused(record).endswith(f"recorded 1000.0; next: mirr records check {record}")


def test_records_are_found_in_folders_within_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.jsonl", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text("")
    assert records_in(tmp_path) == [tmp_path / "a.jsonl", tmp_path / "b" / "2.jsonl"]


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as error:
        records_in(tmp_path)
    assert str(error.value) == f"the folder {tmp_path} holds no records: no file in it ends in .jsonl"
