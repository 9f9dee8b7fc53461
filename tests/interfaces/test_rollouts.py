"""`mirr rollouts`: a table that trainers can read, the card beside it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirr.agents.llm.answers import action_in
from mirr.agents.registry import PolicyName, make_policy
from mirr.cli.main import run
from mirr.cli.playing import Player
from mirr.env.environment import Environment
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTION_INDEX, Tier, action_text, parse_action
from mirr.interfaces.rollouts import CARD, COLUMNS, TABLE
from tests.late import need

need("pyarrow", "records")

Printed = pytest.CaptureFixture[str]
COMMAND = ["rollouts", "--policy", "heuristic", "--tier", "medium", "--episodes", "12", "--seed", "3"]


def rows(folder: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet  # type: ignore[import-untyped]  # pyarrow ships no types

    found: list[dict[str, Any]] = parquet.read_table(folder / TABLE).to_pylist()
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollouts") / "new"
    assert run([*COMMAND, "--out", str(folder)]) == 0
    return folder


def test_each_row_is_the_episode_that_the_policy_plays(written: Path) -> None:
    found = rows(written)
    assert [row["seed"] for row in found] == list(range(3, 15))
    for row in found:
        scenario = draw(row["seed"], tier=Tier.MEDIUM)
        environment = Environment(SimulatedWorld(), TIERS[Tier.MEDIUM].config)
        alone = play(environment, make_policy(PolicyName.HEURISTIC, scenario), scenario=scenario)
        assert row["actions"] == [action_text(move.action) for move in alone.trajectory]
        assert row["rewards"] == [move.reward for move in alone.trajectory]
        assert row["action_numbers"] == [ACTION_INDEX[move.action] for move in alone.trajectory]
        assert (row["policy"], row["world"], row["tier"]) == ("heuristic", "sim", "medium")
        assert (row["outcome"], row["clean"], row["steps"]) == (
            alone.report.outcome,
            alone.report.clean,
            alone.report.steps,
        )
        assert json.loads(row["scenario"]) == scenario.to_json()


def test_the_messages_alternate_and_each_answer_is_the_action_of_its_step(written: Path) -> None:
    for row in rows(written):
        messages = row["messages"]
        assert [each["role"] for each in messages] == ["system"] + ["user", "assistant"] * row["steps"]
        answers = [each["content"] for each in messages if each["role"] == "assistant"]
        assert answers == row["actions"]
        assert [action_in(answer) for answer in answers] == [parse_action(text) for text in row["actions"]]
        assert messages[1]["content"].endswith("step 0, 30 left")


def test_the_truth_is_in_no_message(written: Path) -> None:
    for row in rows(written):
        for fault in json.loads(row["scenario"])["faults"]:
            told = "\n".join(each["content"] for each in row["messages"] if each["role"] == "user")
            assert "severity" not in told
            assert f"{fault['mode']}/{fault.get('form', '')}" not in told


def test_the_table_loads_with_datasets(written: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    loaded = datasets.load_dataset(str(written), split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == 12
    assert loaded.column_names == [column.name for column in COLUMNS]
    assert loaded[0]["messages"][0]["role"] == "system"
    assert [row["actions"] for row in loaded] == [row["actions"] for row in rows(written)]


def test_the_card_names_the_table_and_says_how_it_was_made(written: Path) -> None:
    text = (written / CARD).read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    matter = yaml.safe_load(front)
    (data,) = matter["configs"][0]["data_files"]
    assert (written / data["path"]).is_file()
    assert data["split"] == "train"
    assert matter["size_categories"] == ["n<1K"]
    assert "mirr rollouts --policy heuristic --tier medium --episodes 12 --seed 3 --out DIR" in body
    assert "12 episodes of the policy `heuristic`" in body
    assert "seeds 3 to 14." in body
    for column in COLUMNS:
        assert f"| `{column.name}` | {column.type} | {column.says} |" in body


def test_the_schema_says_what_each_column_is(written: Path) -> None:
    from pyarrow import parquet

    schema = parquet.read_schema(written / TABLE)
    assert [field.name for field in schema] == [column.name for column in COLUMNS]
    assert schema.metadata[b"mirr.schema"] == b"mirr-rollouts"
    assert all(field.metadata[b"says"].decode() == column.says for field, column in zip(schema, COLUMNS, strict=True))


def test_a_folder_with_something_in_it_is_left_alone_unless_asked(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "notes").write_text("mine")
    command = ["rollouts", "--episodes", "1", "--out", str(tmp_path), "--json"]
    assert run(command) == 2
    assert capsys.readouterr().err == (
        f"mirr: there is something in {tmp_path} already; next: another --out DIR, or --overwrite\n"
    )
    assert run([*command, "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 1
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "file").write_text("")
    assert run(["rollouts", "--episodes", "1", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"mirr: cannot write rollouts into {tmp_path / 'file'}: Not a directory; next: another --out DIR\n"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--policy", "clever"], "mirr: unknown policy 'clever'; one of: "),
        (["--tier", "soft"], "mirr: unknown tier 'soft'; one of: easy, medium, hard"),
        (["--seed", "-1"], "mirr: a seed is a whole number from 0 up; got -1"),
    ],
)
def test_wrong_usage_writes_nothing(option: list[str], message: str, tmp_path: Path, capsys: Printed) -> None:
    assert run(["rollouts", "--episodes", "1", "--out", str(tmp_path / "new"), *option]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "new").exists()


def test_ctrl_c_keeps_what_was_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    class Interrupted(Player):
        def play_in(self, world: Any, scenario: Any, **options: Any) -> EpisodeResult:
            if scenario.seed == 3:
                raise KeyboardInterrupt
            return super().play_in(world, scenario, **options)

    monkeypatch.setattr("mirr.cli.playing.Player", Interrupted)
    assert run(["rollouts", "--episodes", "5", "--out", str(tmp_path / "new"), "--json"]) == 130
    printed = capsys.readouterr()
    assert json.loads(printed.out)["partial"]
    assert printed.err == "mirr: interrupted after 2 of 5 episodes\n"
    assert len(rows(tmp_path / "new")) == 2
    assert "It was interrupted: 5 episodes were asked for." in (tmp_path / "new" / CARD).read_text(encoding="utf-8")


def test_a_seed_that_no_table_can_hold_is_refused_before_anything_is_played(tmp_path: Path, capsys: Printed) -> None:
    for command in (["rollouts"], ["results", "--policies", "wait", "--tiers", "easy"]):
        folder = tmp_path / command[0]
        assert run([*command, "--episodes", "2", "--seed", str(2**64 - 1), "--out", str(folder)]) == 2
        assert capsys.readouterr().err == (
            f"mirr: a table has seeds up to {2**64 - 1}; the last episode has {2**64}; next: a smaller --seed\n"
        )
        assert not (folder / "results.json").exists()
        assert not (folder / "README.md").exists()
