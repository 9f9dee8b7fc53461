"""The commands `mirr episode`, `evaluate`, `compare` and `demo` on the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirr.agents.registry import PolicyName
from mirr.cli import episode_commands, playing
from mirr.cli.main import run
from mirr.cli.worlds import COMPILING, WorldName, open_world
from mirr.env.record import read_rollout
from mirr.env.simulator.fast import compiled
from mirr.env.simulator.fast.kept import SUFFIX, SealedFile
from mirr.env.vocabulary import Tier
from mirr.env.world import World
from tests.cli.fields import EPISODE_FIELDS
from tests.env.fakes import FakeWorld
from tests.paths import stand_in_a_directory_that_is_gone

Printed = pytest.CaptureFixture[str]


def test_an_episode_prints_the_agreed_fields(capsys: Printed) -> None:
    assert run(["episode", "--fault", "bad_deploy:payments", "--seed", "7", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == EPISODE_FIELDS
    assert answer["scenario"] == {"faults": [{"mode": "bad_deploy", "service": "payments"}]}
    assert answer["outcome"] == "resolved"
    assert answer["diagnosis"] == {"mode": "bad_deploy", "service": "payments", "correct": True}
    assert list(answer["harm"]) == ["failed_requests", "objective_lost_s", "needless_actions"]
    assert list(answer["trajectory"][0]) == ["action", "reward", "result"]


def test_commands_work_in_a_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    stand_in_a_directory_that_is_gone(tmp_path, monkeypatch)
    assert run(["episode"]) == 0
    capsys.readouterr()
    assert run(["episode", "--record", "x.jsonl"]) == 2
    assert capsys.readouterr().err == "mirr: cannot write the record x.jsonl: No such file or directory\n"


def test_an_episode_of_a_scenario_pack_prints_the_same_fields(capsys: Printed) -> None:
    assert run(["episode", "--scenario", "scenarios/false-alarm.yaml", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == EPISODE_FIELDS
    assert (answer["seed"], answer["scenario"]) == (1, {"name": "false-alarm", "faults": []})
    assert answer["diagnosis"] == {"mode": "none", "service": None, "correct": True}


def test_the_text_about_a_pack_says_what_happened_and_when(capsys: Printed) -> None:
    assert run(["episode", "--scenario", "scenarios/two-in-turn.yaml", "--seed", "9", "--policy", "oracle"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("oracle in sim, seed 9\n")
    assert "  fault       bad_deploy:inventory, crashed:payments at step 8\n" in printed


def test_evaluate_plays_many_episodes_of_a_pack(capsys: Printed) -> None:
    assert run(["evaluate", "--scenario", "scenarios/false-alarm.yaml", "--episodes", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["by_mode"]) == ["none"]
    assert answer["overall"]["success_rate"] == 1.0


def test_a_scenario_that_cannot_be_played_is_wrong_usage(capsys: Printed) -> None:
    assert run(["episode", "--scenario", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "mirr: cannot read the scenario nowhere.yaml: No such file or directory\n"
    assert run(["episode", "--scenario", "scenarios/false-alarm.yaml", "--fault", "crashed:auth"]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --scenario says what breaks; --fault cannot be given with it. See: mirr --help\n"
    )


@pytest.mark.parametrize("command", ["episode", "evaluate", "mcp"])
def test_a_pack_is_of_no_tier(capsys: Printed, command: str) -> None:
    assert run([command, "--scenario", "scenarios/false-alarm.yaml", "--tier", "medium"]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --scenario says what happens; --tier cannot be given with it. See: mirr --help\n"
    )


def test_a_seed_plays_the_same_mode_and_service_in_each_tier(capsys: Printed) -> None:
    played = {}
    for tier in Tier:
        assert run(["episode", "--policy", "wait", "--seed", "3", "--tier", tier, "--json"]) == 0
        played[tier] = json.loads(capsys.readouterr().out)
    assert {answer["tier"] for answer in played.values()} == set(Tier)
    easy, medium = (played[tier]["scenario"]["faults"][0] for tier in (Tier.EASY, Tier.MEDIUM))
    assert (easy["mode"], easy["service"]) == (medium["mode"], medium["service"]) == ("overloaded", "auth")
    assert "severity" not in easy


def test_an_evaluation_and_a_demo_play_the_tier_that_they_are_given(capsys: Printed) -> None:
    assert run(["evaluate", "--episodes", "2", "--tier", "medium"]) == 0
    assert capsys.readouterr().out.startswith("heuristic in sim: 2 episodes from seed 0 (medium), 0 void\n")
    assert run(["evaluate", "--episodes", "2", "--tier", "medium", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tier"] == "medium"
    assert run(["demo", "--tier", "nightmare"]) == 2
    assert capsys.readouterr().err == "mirr: unknown tier 'nightmare'; one of: easy, medium, hard\n"


def test_an_unresolved_episode_is_a_result_and_not_a_failure(capsys: Printed) -> None:
    assert run(["episode", "--policy", "wait", "--fault", "overloaded:auth", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["outcome"] == "exhausted"
    assert answer["diagnosis"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--policy", "clever"],
            f"unknown policy 'clever'; one of: {', '.join(PolicyName)}; or an agent of your own: module:Class, or "
            "http://127.0.0.1:PORT/act",
        ),
        (["--world", "mars"], "unknown world 'mars'; one of: sim, docker"),
        (
            ["--fault", "tired:auth"],
            "unknown fault mode 'tired'; one of: crashed, memory_leak, overloaded, bad_deploy",
        ),
        (
            ["--fault", "crashed:shipping"],
            "unknown service 'shipping'; one of: gateway, auth, inventory, orders, payments",
        ),
        (["--fault", "crashed"], "a fault is written MODE:SERVICE, as in bad_deploy:payments; got 'crashed'"),
        (["--seed", "-1"], "a seed is a whole number from 0 up; got -1"),
        (["--tier", "insane", "--world", "docker"], "unknown tier 'insane'; one of: easy, medium, hard"),
    ],
)
def test_wrong_usage_prints_one_line_with_the_valid_values(capsys: Printed, arguments: list[str], message: str) -> None:
    assert run(["episode", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"mirr: {message}\n"
    assert printed.out == ""


def test_a_seed_that_is_not_a_number_is_wrong_usage(capsys: Printed) -> None:
    assert run(["episode", "--seed", "x"]) == 2
    assert capsys.readouterr().err.startswith("mirr: Invalid value for '--seed': ")


def test_a_record_needs_a_directory(capsys: Printed, tmp_path: Path) -> None:
    assert run(["episode", "--record", str(tmp_path / "missing" / "r.jsonl")]) == 2
    assert f"there is no directory {tmp_path / 'missing'}." in capsys.readouterr().err


def test_a_record_is_overwritten_only_on_request(capsys: Printed, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("precious")
    assert run(["episode", "--record", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: the record {path} exists already, and is not overwritten; next: another --record FILE, or --overwrite\n"
    )
    assert path.read_text() == "precious"
    assert run(["episode", "--record", str(path), "--overwrite"]) == 0
    assert read_rollout(path).end is not None


def test_a_record_on_a_full_disk_is_one_sentence(capsys: Printed) -> None:
    assert run(["episode", "--record", "/dev/full"]) == 2
    assert capsys.readouterr().err == (
        "mirr: cannot write the record /dev/full: No space left on device; "
        "next: make room there, or choose another place with --record\n"
    )


def test_a_recorded_episode_can_be_read_back(capsys: Printed, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert run(["episode", "--record", str(path), "--json"]) == 0
    end = read_rollout(path).end
    assert end is not None
    assert end["report"] == json.loads(capsys.readouterr().out)


def test_a_void_episode_is_printed_and_exits_3(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    @contextmanager
    def broken(name: str, lab: str, *, what: str, machine: str) -> Iterator[World]:
        world = FakeWorld()
        world.fails_with = "the engine is gone; see: mirr doctor"
        yield world

    monkeypatch.setattr(episode_commands, "open_world", broken)
    assert run(["episode", "--json"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["outcome"] == "void"
    assert printed.err == "mirr: void: the engine is gone; see: mirr doctor\n"


def test_evaluate_prints_the_agreed_fields(capsys: Printed) -> None:
    assert run(["evaluate", "--episodes", "20", "--seed", "100", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["world", "policy", "tier", "episodes", "void", "overall", "by_mode"]
    assert answer["overall"]["success_rate"] == 1.0
    assert sum(group["episodes"] for group in answer["by_mode"].values()) == 20


def test_evaluate_prints_a_table_without_json(capsys: Printed) -> None:
    assert run(["evaluate", "--policy", "wait", "--episodes", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wait in sim: 8 episodes from seed 0 (easy), 0 void"
    assert lines[2].split()[:3] == ["overall", "0.0%", "0.0%"]


def test_evaluate_plays_the_same_episodes_with_several_policies(capsys: Printed) -> None:
    assert run(["evaluate", "--policy", "oracle", "--policy", "wait", "--episodes", "3", "--json"]) == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert {name: answer["overall"]["success_rate"] for name, answer in policies.items()} == {
        "oracle": 1.0,
        "wait": 0.0,
    }
    assert run(["evaluate", "--policy", "oracle", "--episodes", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == policies["oracle"]


def test_evaluate_refuses_a_policy_that_is_named_twice(capsys: Printed) -> None:
    assert run(["evaluate", "--policy", "wait", "--policy", "wait"]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --policy 'wait' is given twice; each policy plays once. See: mirr --help\n"
    )


def test_evaluate_writes_a_record_of_each_episode_into_a_folder(tmp_path: Path, capsys: Printed) -> None:
    folder = tmp_path / "new" / "records"
    asked = ["evaluate", "--policy", "oracle", "--policy", "wait", "--episodes", "2", "--seed", "5"]
    asked += ["--tier", "hard", "--record", str(folder)]
    assert run(asked) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "oracle-hard-5.jsonl",
        "oracle-hard-6.jsonl",
        "wait-hard-5.jsonl",
        "wait-hard-6.jsonl",
    ]
    assert run(["records", "check", str(folder)]) == 0


def test_an_evaluation_goes_on_from_the_records_of_one_that_was_stopped(tmp_path: Path, capsys: Printed) -> None:
    asked = ["evaluate", "--policy", "oracle", "--tier", "hard", "--json", "--record", str(tmp_path)]
    assert run([*asked, "--episodes", "3"]) == 0
    whole = json.loads(capsys.readouterr().out)
    (tmp_path / "oracle-hard-0.jsonl").unlink()
    cut_off = tmp_path / "oracle-hard-1.jsonl"
    cut_off.write_text("".join(cut_off.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    kept = tmp_path / "oracle-hard-2.jsonl"
    before = kept.stat()
    assert run([*asked, "--episodes", "3"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == whole
    assert printed.err == f"mirr: 1 of 3 episodes are read from their records in {tmp_path}\n"
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert run([*asked, "--episodes", "3", "--overwrite"]) == 0
    assert kept.stat().st_mtime_ns > before.st_mtime_ns


def test_an_evaluation_does_not_count_the_record_of_another_episode(tmp_path: Path, capsys: Printed) -> None:
    asked = ["evaluate", "--policy", "oracle", "--episodes", "2", "--record", str(tmp_path)]
    assert run(asked) == 0
    (tmp_path / "oracle-easy-1.jsonl").rename(tmp_path / "oracle-easy-0.jsonl")
    capsys.readouterr()
    assert run(asked) == 2
    assert capsys.readouterr().err == (
        f"mirr: {tmp_path}/oracle-easy-0.jsonl is the record of another episode; "
        "next: another --record FOLDER, or --overwrite to lose it\n"
    )


def test_an_evaluation_does_not_count_a_record_that_was_edited(tmp_path: Path, capsys: Printed) -> None:
    asked = ["evaluate", "--policy", "oracle", "--episodes", "1", "--record", str(tmp_path)]
    assert run(asked) == 0
    path = tmp_path / "oracle-easy-0.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"reward": 8.0', '"reward": 80.0', 1), encoding="utf-8")
    capsys.readouterr()
    assert run(asked) == 2
    assert capsys.readouterr().err == (
        f"mirr: {path} does not play back the same; next: mirr records check {path}, or --overwrite\n"
    )


def test_evaluate_refuses_a_folder_for_records_that_cannot_be_made(tmp_path: Path, capsys: Printed) -> None:
    taken = tmp_path / "taken"
    taken.write_text("", encoding="utf-8")
    assert run(["evaluate", "--episodes", "2", "--record", str(taken)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: cannot make the folder {taken}: File exists; next: another --record FOLDER\n"
    )


def test_compare_plays_the_same_seeds_in_both_worlds(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    @contextmanager
    def worlds(name: str, lab: str, *, what: str, machine: str) -> Iterator[World]:
        yield FakeWorld(recovers_after=1 if name == "sim" else 2)

    monkeypatch.setattr(playing, "open_world", worlds)
    assert run(["compare", "--policy", "oracle", "--policy", "wait", "--episodes", "4", "--json"]) == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert list(policies) == ["oracle", "wait"]
    assert list(policies["oracle"]) == ["sim", "docker", "gap"]
    assert policies["oracle"]["gap"]["overall"]["mean_steps"] == 1.0
    assert policies["wait"]["gap"]["overall"]["mean_time_to_mitigate_s"] is None


def test_the_demo_prints_plain_text_to_a_pipe(capsys: Printed) -> None:
    assert run(["demo", "--seed", "7", "--fault", "bad_deploy:payments"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    for text in ("check_logs(payments)", "release=1.5.0", "rollback(payments)", "resolved", "failed user requests"):
        assert text in out


@pytest.mark.skipif(not compiled.COMPILED, reason="numba is not installed")
def test_the_first_episode_after_an_update_says_why_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiled, "_CACHE", tmp_path)
    with open_world(WorldName.SIM, "mirr"):
        assert capsys.readouterr().err == f"{COMPILING}\n"
    SealedFile(tmp_path / f"kernel.advance{SUFFIX}").write(b"code")
    with open_world(WorldName.SIM, "mirr"):
        assert capsys.readouterr().err == ""
