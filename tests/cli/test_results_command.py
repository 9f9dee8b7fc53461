"""The command `mirr results`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pyarrow import parquet  # type: ignore[import-untyped]  # pyarrow ships no types

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName
from mirr.bridge.results.cells import Cell, CellFile, Episodes, read_cells
from mirr.cli import playing, results_play
from mirr.cli.main import run
from mirr.cli.results_plan import main_policies, make_plan
from mirr.cli.worlds import WorldName
from mirr.env.record import read_rollout
from mirr.env.vocabulary import Tier
from mirr.env.world import World
from tests.env.fakes import FakeWorld

Printed = pytest.CaptureFixture[str]

TWO = ["results", "--policies", "heuristic,oracle", "--tiers", "easy", "--episodes", "3"]
LAB = ["results", "--world", "docker", "--policies", "oracle,wait", "--tiers", "easy", "--episodes", "3"]


def of(results: Path, policy: str, world: str = "sim", tier: Tier = Tier.EASY) -> Episodes:
    return read_cells(results)[Cell(world, tier, policy)]


def test_results_are_written_as_json_as_a_page_and_as_a_table(tmp_path: Path, capsys: Printed) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'results.md'}: 6 episodes in 2 rows, 6 played in this run\n"
    report = json.loads((tmp_path / "results.json").read_text())
    assert [(cell["policy"], cell["seeds"]) for cell in report["cells"]] == [
        ("heuristic", "1 to 3"),
        ("oracle", "1 to 3"),
    ]
    assert "| easy | `oracle` | sim | 3 | 100.0% (43.9 to 100.0) |" in (tmp_path / "results.md").read_text()
    table = parquet.read_table(tmp_path / "episodes.parquet").to_pylist()
    assert [(row["world"], row["tier"], row["policy"], row["seed"]) for row in table] == [
        ("sim", "easy", policy, seed) for policy in ("heuristic", "oracle") for seed in (1, 2, 3)
    ]


@pytest.mark.thorough
def test_an_episode_of_the_results_is_that_of_mirr_episode(tmp_path: Path, capsys: Printed) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert run(["episode", "--policy", "heuristic", "--seed", "2", "--json"]) == 0
    episode = json.loads(capsys.readouterr().out)
    played = of(tmp_path, "heuristic").by_seed[2].to_json()
    for name in ("outcome", "clean", "steps", "time_to_mitigate_s", "steps_to_mitigate", "wrong_fixes"):
        assert played[name] == episode[name]
    assert played["reward"] == episode["total_reward"]
    assert {name: played[name] for name in episode["harm"]} == episode["harm"]


@pytest.mark.thorough
def test_a_second_run_plays_only_what_is_missing(tmp_path: Path, capsys: Printed) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    first = of(tmp_path, "oracle").in_order
    assert run([*TWO[:-1], "5", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(": 10 episodes in 2 rows, 4 played in this run")
    assert of(tmp_path, "oracle").in_order[:3] == first


@pytest.mark.thorough
def test_episodes_that_end_in_another_way_now_are_played_again(tmp_path: Path, capsys: Printed) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    right = of(tmp_path, "oracle").in_order
    path = Cell("sim", Tier.EASY, "oracle").path(tmp_path)
    path.write_text(path.read_text().replace('"reward": ', '"reward": 1'))
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "mirr: oracle in sim, easy: the episodes end in another way now, so all are played again\n" in printed.err
    assert printed.out.splitlines()[1].endswith("6 episodes in 2 rows, 3 played in this run")
    assert of(tmp_path, "oracle").in_order == right


@pytest.mark.thorough
def test_again_plays_everything_anew(tmp_path: Path, capsys: Printed) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    assert run([*TWO, "--out", str(tmp_path), "--again"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("6 episodes in 2 rows, 6 played in this run")


@pytest.mark.thorough
def test_all_cores_play_the_same_episodes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "SLICE", 2)
    monkeypatch.setattr(results_play, "LEAST_FOR_PROCESSES", 2)
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(results_play, "usable_cores", lambda cores=cores: cores)
        assert run([*TWO[:-1], "5", "--out", str(tmp_path / str(cores))]) == 0
        found.append(read_cells(tmp_path / str(cores)))
    assert found[0] == found[1]
    assert len(found[0][Cell("sim", Tier.EASY, "oracle")].by_seed) == 5


def test_where_there_can_be_no_processes_everything_is_played_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise BrokenExecutor("one was killed")

    monkeypatch.setattr(playing, "ProcessPoolExecutor", refuses)
    monkeypatch.setattr(results_play, "usable_cores", lambda: 2)
    monkeypatch.setattr(results_play, "LEAST_FOR_PROCESSES", 2)
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    assert "mirr: no processes to play in (BrokenExecutor('one was killed')); going on in this one" in (
        capsys.readouterr().err
    )
    assert len(of(tmp_path, "oracle").by_seed) == 3


def test_the_short_tables_are_put_into_a_page(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- measured: results -->\n<!-- end -->\n")
    assert run([*TWO, "--out", str(tmp_path), "--readme", str(readme)]) == 0
    assert "| easy | `oracle` | sim | 3 |" in readme.read_text()


def test_by_default_every_agent_that_needs_nothing_plays_in_the_simulator_and_the_main_ones_on_the_lab() -> None:
    plan = make_plan(tuple(WorldName), [], [], seed=1, episodes=None)
    assert len(list(plan.cells(WorldName.SIM))) == len(SELF_SUFFICIENT) * len(Tier)
    assert plan.policies[WorldName.DOCKER] == main_policies()
    assert {PolicyName.RANDOM, PolicyName.HEURISTIC, PolicyName.DETECTIVE, PolicyName.ORACLE} <= set(main_policies())
    assert (plan.seeds[WorldName.SIM], plan.seeds[WorldName.DOCKER]) == (range(1, 1001), range(1, 41))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policies", "heuristic,clever"], f"unknown policy 'clever'; one of: {', '.join(PolicyName)}"),
        (["--tiers", "insane"], "unknown tier 'insane'; one of: easy, medium, hard"),
        (["--world", "mars"], "unknown world 'mars'; one of: sim, docker"),
        (["--seed", "-1"], "a seed is a whole number from 0 up; got -1"),
    ],
)
def test_wrong_names_are_wrong_usage(tmp_path: Path, capsys: Printed, arguments: list[str], message: str) -> None:
    assert run(["results", *arguments, "--out", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err == f"mirr: {message}\n"
    assert not (tmp_path / "r").exists()


@pytest.mark.thorough
def test_what_the_folder_has_no_episodes_of_stays_as_it_was(tmp_path: Path) -> None:
    # In a new checkout there are the report and the table, but not the episodes of the simulator.
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    before = json.loads((tmp_path / "results.json").read_text())["cells"]
    for path in (tmp_path / "episodes").glob("*.jsonl"):
        path.unlink()
    assert run(["results", "--policies", "wait", "--tiers", "easy", "--episodes", "2", "--out", str(tmp_path)]) == 0
    after = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert [cell for cell in after if cell["policy"] != "wait"] == before
    policies = parquet.read_table(tmp_path / "episodes.parquet").column("policy").to_pylist()
    assert {name: policies.count(name) for name in policies} == {"heuristic": 3, "oracle": 3, "wait": 2}


def test_two_commands_do_not_write_to_one_folder(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "episodes").mkdir()
    with FileLock(tmp_path / "episodes" / ".lock"):
        assert run([*TWO, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: another command is writing to {tmp_path}; next: wait for it, or another --out DIR\n"
    )


class Lab(FakeWorld):
    """A lab that is interrupted or fails in some of its episodes."""

    def __init__(self, *, interrupted_in: int | None = None, fails_in: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.begun = 0
        self._interrupted_in = interrupted_in
        self._fails_in = fails_in

    def restore(self, key: int) -> None:
        self.begun += 1
        if self.begun == self._interrupted_in:
            raise KeyboardInterrupt
        self.fails_with = "the engine is gone" if self.begun in self._fails_in else None
        super().restore(key)


def with_lab(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    @contextmanager
    def opened(name: str, _: str, *, what: str) -> Iterator[World]:
        assert (name, what) == ("docker", "mirr results")
        yield lab

    monkeypatch.setattr(results_play, "open_world", opened)


def test_the_lab_plays_each_seed_with_every_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_lab(monkeypatch, Lab(interrupted_in=4))
    assert run([*LAB, "--out", str(tmp_path)]) == 130
    assert {name: list(of(tmp_path, name, "docker").by_seed) for name in ("oracle", "wait")} == {
        "oracle": [1, 2],
        "wait": [1],
    }
    report = json.loads((tmp_path / "results.json").read_text())
    assert [cell["episodes"] for cell in report["cells"]] == [1, 2]


@pytest.mark.thorough
def test_an_interrupted_run_on_the_lab_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    with_lab(monkeypatch, Lab(interrupted_in=4))
    assert run([*LAB, "--out", str(tmp_path)]) == 130
    lab = Lab()
    with_lab(monkeypatch, lab)
    assert run([*LAB, "--out", str(tmp_path)]) == 0
    assert lab.begun == 3
    assert capsys.readouterr().out == f"{tmp_path / 'results.md'}: 6 episodes in 2 rows, 3 played in this run\n"


@pytest.mark.thorough
def test_a_void_episode_is_played_again_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_lab(monkeypatch, Lab(fails_in=(2,)))
    assert run([*LAB, "--out", str(tmp_path)]) == 0
    assert (list(of(tmp_path, "wait", "docker").by_seed), of(tmp_path, "wait", "docker").void) == ([2, 3], 1)
    with_lab(monkeypatch, Lab())
    assert run([*LAB, "--out", str(tmp_path)]) == 0
    assert (list(of(tmp_path, "wait", "docker").by_seed), of(tmp_path, "wait", "docker").void) == ([2, 3, 1], 1)


def test_a_world_that_fails_three_times_in_a_row_ends_the_run_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    with_lab(monkeypatch, Lab(fails_in=(2, 3, 4)))
    assert run([*LAB, "--out", str(tmp_path)]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mirr: the engine is gone (the world failed in 3 episodes in a row)"
    )
    report = json.loads((tmp_path / "results.json").read_text())
    assert [(cell["policy"], cell["episodes"], cell["void"]) for cell in report["cells"]] == [
        ("wait", 0, 2),
        ("oracle", 1, 1),
    ]


def test_episodes_of_the_lab_are_recorded_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_lab(monkeypatch, Lab())
    assert run([*LAB, "--out", str(tmp_path), "--record", str(tmp_path / "kept")]) == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        f"docker-easy-{policy}-{seed}.jsonl" for policy in ("oracle", "wait") for seed in (1, 2, 3)
    ]
    rollout = read_rollout(tmp_path / "kept" / "docker-easy-oracle-2.jsonl")
    assert (rollout.scenario.seed, rollout.scenario.tier, rollout.header["policy"]) == (2, Tier.EASY, "oracle")


@pytest.mark.thorough
def test_recorded_episodes_are_taken_in_once_and_nothing_is_played(tmp_path: Path, capsys: Printed) -> None:
    kept, out = tmp_path / "kept", tmp_path / "results"
    kept.mkdir()
    for seed in ("4", "5"):
        assert run(["episode", "--tier", "hard", "--seed", seed, "--record", str(kept / f"{seed}.jsonl")]) == 0
    cut = kept / "cut.jsonl"
    cut.write_text((kept / "4.jsonl").read_text().splitlines()[0] + "\n")
    capsys.readouterr()
    for _ in range(2):
        assert run(["results", "--from-records", str(kept), "--out", str(out)]) == 0
        printed = capsys.readouterr()
        assert printed.out == f"{out / 'results.md'}: 2 episodes in 1 row, 0 played in this run\n"
        assert printed.err == f"mirr: {cut} is cut off, and does not count\n"
    assert list(of(out, "heuristic", tier=Tier.HARD).by_seed) == [4, 5]


@pytest.mark.thorough
def test_a_recorded_episode_whose_seed_was_played_does_not_count(tmp_path: Path, capsys: Printed) -> None:
    out, path = tmp_path / "results", tmp_path / "kept" / "2.jsonl"
    path.parent.mkdir()
    assert run([*TWO, "--out", str(out)]) == 0
    assert run(["episode", "--seed", "2", "--record", str(path)]) == 0
    capsys.readouterr()
    assert run(["results", "--from-records", str(path.parent), "--out", str(out)]) == 0
    assert capsys.readouterr().err == (
        f"mirr: {path} does not count: heuristic in sim, easy has played seed 2 already\n"
    )


def test_one_bad_record_takes_in_none(tmp_path: Path, capsys: Printed) -> None:
    good, bad = tmp_path / "kept" / "a.jsonl", tmp_path / "kept" / "b.jsonl"
    good.parent.mkdir()
    assert run(["episode", "--seed", "2", "--record", str(good)]) == 0
    assert run(["episode", "--scenario", "scenarios/false-alarm.yaml", "--record", str(bad)]) == 0
    capsys.readouterr()
    assert run(["results", "--from-records", str(good.parent), "--out", str(tmp_path / "results")]) == 2
    assert capsys.readouterr().err == f"mirr: {bad} is an episode of a scenario pack, and not of a tier\n"
    assert read_cells(tmp_path / "results") == {}


def test_a_cell_is_not_lost_if_it_is_opened_and_nothing_is_added(tmp_path: Path) -> None:
    assert run([*TWO, "--out", str(tmp_path)]) == 0
    before = read_cells(tmp_path)
    with CellFile(Cell("sim", Tier.EASY, "oracle"), tmp_path):
        pass
    assert read_cells(tmp_path) == before
