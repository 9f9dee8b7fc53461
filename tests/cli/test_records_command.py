"""The command `mirr records`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mirr.cli.main import run
from mirr.env.record import read_rollout
from mirr.env.vocabulary import ACTIONS, Feature, Service, parse_action
from mirr.interfaces.parquet import COLUMNS, table_schema
from tests.env.fakes import write_version_1
from tests.paths import ROOT

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def record(tmp_path: Path, capsys: Printed) -> Path:
    """A record of the heuristic policy with seed 7."""
    path = tmp_path / "seven.jsonl"
    assert run(["episode", "--seed", "7", "--record", str(path)]) == 0
    capsys.readouterr()
    return path


def cut_after(record: Path, lines: int) -> Path:
    path = record.with_name("cut.jsonl")
    path.write_text("".join(record.read_text().splitlines(keepends=True)[:lines]))
    return path


def test_check_accepts_an_unchanged_record(record: Path, capsys: Printed) -> None:
    assert run(["records", "check", str(record)]) == 0
    steps = len(read_rollout(record).steps) - 1
    assert capsys.readouterr().out == f"{record}: {steps} steps, all the same\n1 record checked: all the same\n"


def test_check_goes_on_after_a_bad_record_and_exits_1(record: Path, capsys: Printed) -> None:
    broken = cut_after(record, 3)
    missing = record.with_name("missing.jsonl")
    assert run(["records", "check", str(missing), str(broken), str(record)]) == 1
    assert capsys.readouterr().out == (
        f"{missing}: not the same\n"
        f"  cannot read the record {missing}: No such file or directory\n"
        f"{broken}: not the same\n"
        "  the recording is cut off after step 1: it has no report\n"
        f"{record}: {len(read_rollout(record).steps) - 1} steps, all the same\n"
        "3 records checked: 1 the same, 2 not\n"
    )


def test_a_folder_stands_for_the_records_in_it(record: Path, capsys: Printed) -> None:
    folder, table = record.parent, record.parent / "t.parquet"
    (folder / "notes.txt").write_text("not a record")
    copy = folder / "another.jsonl"
    assert run(["episode", "--seed", "8", "--record", str(copy)]) == 0
    capsys.readouterr()
    assert run(["records", "check", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed[:2]] == [str(copy), str(record)]
    assert printed[2:] == ["2 records checked: all the same"]
    assert run(["records", "export", str(folder), "--to", str(table)]) == 0
    assert capsys.readouterr().out.startswith(f"{table}: 2 episodes, ")
    assert run(["records", "show", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: Invalid value: {folder} is a folder; next: mirr records show {copy} See: mirr --help\n"
    )


@pytest.mark.parametrize("command", ["check", "show", "export"])
def test_a_folder_without_records_is_wrong_usage(tmp_path: Path, capsys: Printed, command: str) -> None:
    more = ["--to", str(tmp_path / "t.parquet")] if command == "export" else []
    assert run(["records", command, str(tmp_path), *more]) == 2
    assert capsys.readouterr().err == (f"mirr: the folder {tmp_path} holds no records: no file in it ends in .jsonl\n")


def test_a_table_is_overwritten_only_on_request(record: Path, capsys: Printed) -> None:
    from pyarrow import parquet  # type: ignore[import-untyped]  # pyarrow ships no types

    to = record.with_name("t.parquet")
    to.write_text("precious")
    assert run(["records", "export", str(record), "--to", str(to)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: the table {to} exists already, and is not overwritten; next: another --to FILE, or --overwrite\n"
    )
    assert to.read_text() == "precious"
    assert run(["records", "export", str(record), "--to", str(to), "--overwrite"]) == 0
    assert parquet.read_schema(to).names


def test_show_writes_control_characters_of_a_record_as_text(record: Path, capsys: Printed) -> None:
    lines = [json.loads(text) for text in record.read_text().splitlines()]
    hostile = "\x1b[2J\x07\r\u202eevil\nstep 9, 21 left"
    lines[0]["policy"] = lines[-1]["report"]["reason"] = lines[1]["result"] = hostile
    lines[2]["action"] = "check_logs(auth)"
    lines[2]["logs"] = [{"age_s": 1.0, "level": "error", "event": hostile, "text": hostile}]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(["records", "show", str(record)]) == 0
    shown = capsys.readouterr().out
    assert all(each.isprintable() for each in shown.split("\n"))
    assert shown.count(r"\x1b[2J\x07\r\u202eevil\nstep 9, 21 left") >= 4


def test_check_can_print_json(record: Path, capsys: Printed) -> None:
    assert run(["records", "check", "--json", str(record)]) == 0
    steps = len(read_rollout(record).steps) - 1
    assert json.loads(capsys.readouterr().out) == {
        "records": [{"file": str(record), "same": True, "steps": steps, "differences": []}]
    }


def test_check_prints_at_most_ten_differences(record: Path, capsys: Printed) -> None:
    lines = [json.loads(text) for text in record.read_text().splitlines()]
    waits = [
        {**lines[1], "step": step, "action": "wait", "accepted": True, "reason": "done", "reward": 5.0}
        for step in range(1, 21)
    ]
    record.write_text("".join(json.dumps(line) + "\n" for line in [*lines[:2], *waits, lines[-1]]))
    assert run(["records", "check", str(record)]) == 1
    printed_lines = capsys.readouterr().out.splitlines()
    assert len(printed_lines) == 13
    assert printed_lines[-2].startswith("  and ")


def test_show_prints_a_record_from_beginning_to_end(record: Path, capsys: Printed) -> None:
    assert run(["records", "show", str(record)]) == 0
    rollout = read_rollout(record)
    shown = capsys.readouterr().out
    assert shown.startswith("heuristic in sim, seed 7 (easy)\nwhat happened: ")
    assert shown.count("service     up   req/s") == len(rollout.steps)
    assert rollout.end is not None
    assert f"\nresolved: {rollout.end['report']['reason']}\n" in shown
    assert "  total_reward         " in shown


def test_a_record_cut_before_its_first_observation_is_exported_in_words(record: Path, capsys: Printed) -> None:
    begun, to = cut_after(record, 1), record.with_name("t.parquet")
    assert run(["records", "export", str(begun), "--to", str(to)]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"mirr: {begun} is cut off before its first observation: it has no rows\n"
    assert printed.out == f"{to}: 1 episodes, 0 rows\n"


def test_show_prints_the_part_of_a_record_that_is_cut_off(record: Path, capsys: Printed) -> None:
    assert run(["records", "show", str(cut_after(record, 2))]) == 0
    assert capsys.readouterr().out.endswith("step 0, 30 left\n\ncut off: the record has no end\n")


def test_version_1_can_be_shown_and_exported_but_not_checked(tmp_path: Path, capsys: Printed) -> None:
    from pyarrow import parquet

    path, table = tmp_path / "v1.jsonl", tmp_path / "t.parquet"
    write_version_1(path)
    assert run(["records", "show", str(path)]) == 0
    assert "what happened: crashed:payments, harmless deploy of auth at step 4" in capsys.readouterr().out
    assert run(["records", "export", str(path), "--to", str(table)]) == 0
    assert capsys.readouterr().out == f"{table}: 1 episodes, 2 rows\n"
    rows = parquet.read_table(table).to_pylist()
    assert [row["accepted"] for row in rows] == [None, None]
    assert [row["outcome"] for row in rows] == [None, "exhausted"]
    assert run(["records", "check", str(path)]) == 1
    assert "which can be read but not played back" in capsys.readouterr().out


def test_an_exported_table_holds_every_recorded_step(record: Path, capsys: Printed) -> None:
    from pyarrow import parquet

    to = record.with_name("t.parquet")
    assert run(["records", "export", str(record), "--to", str(to), "--json"]) == 0
    rollout = read_rollout(record)
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"table": str(to), "episodes": 1, "rows": len(rollout.steps)}
    rows = parquet.read_table(to).to_pylist()
    assert [row["reward"] for row in rows] == [step.reward for step in rollout.steps]
    for row, step in zip(rows, rollout.steps, strict=True):
        np.testing.assert_array_equal(np.reshape(row["measured"], (5, 7)), step.measured)
        np.testing.assert_array_equal(np.reshape(row["observation"], (5, 7)), step.observation)
        if step.action is not None:
            assert parse_action(row["action"]) == ACTIONS[row["action_number"]] == step.action
        assert json.loads(row["logs"]) == [vars(line) for line in step.logs]
    assert [row["outcome"] for row in rows] == [None] * (len(rows) - 1) + ["resolved"]
    assert [row["terminated"] for row in rows] == [False] * (len(rows) - 1) + [True]
    assert json.loads(rows[-1]["report"])["diagnosis"]["correct"] is True
    assert {row["episode_id"] for row in rows} == {rows[0]["episode_id"]}


def test_a_table_names_its_version_and_its_features(record: Path) -> None:
    from pyarrow import parquet

    to = record.with_name("t.parquet")
    assert run(["records", "export", str(record), "--to", str(to)]) == 0
    metadata = parquet.read_schema(to).metadata
    assert (metadata[b"mirr.schema"], metadata[b"mirr.schema_version"]) == (b"mirr-steps", b"3")
    assert json.loads(metadata[b"mirr.services"]) == list(Service)
    assert json.loads(metadata[b"mirr.features"]) == list(Feature)
    assert parquet.read_schema(to).field("overrun_s").metadata[b"unit"] == b"s"


def test_the_same_episode_is_exported_once(record: Path, capsys: Printed) -> None:
    to, copy = record.with_name("t.parquet"), record.with_name("copy.jsonl")
    copy.write_bytes(record.read_bytes())
    assert run(["records", "export", str(record), str(copy), "--to", str(to)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{to}: 1 episodes, ")
    assert printed.err == f"mirr: {copy} is the same episode as {record}; it is written once\n"


def test_export_writes_no_table_if_a_file_cannot_be_read(record: Path, capsys: Printed) -> None:
    to, foreign = record.with_name("t.parquet"), record.with_name("foreign.jsonl")
    foreign.write_text('{"a": 1}\n')
    assert run(["records", "export", str(record), str(foreign), "--to", str(to)]) == 2
    assert capsys.readouterr().err == f"mirr: {foreign}, line 1: not a line of a rollout (no kind)\n"
    assert list(record.parent.glob("t.parquet*")) == []


def test_a_seed_that_is_too_large_for_the_table_is_an_error(record: Path, capsys: Printed) -> None:
    lines = record.read_text().splitlines()
    header = json.loads(lines[0]) | {"seed": 2**70}
    record.write_text("\n".join([json.dumps(header), *lines[1:], ""]))
    to = record.with_name("t.parquet")
    assert run(["records", "export", str(record), "--to", str(to)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: a table has seeds up to {2**64 - 1}; the record {record} has {2**70}; next: export the others\n"
    )


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("table.jsonl", "--to {to}: the name of the table has to end in .parquet."),
        ("nowhere/table.parquet", "--to {to}: there is no directory {to.parent}."),
    ],
)
def test_a_table_needs_a_valid_name_and_an_existing_directory(
    record: Path, capsys: Printed, to: str, message: str
) -> None:
    path = record.parent / to
    assert run(["records", "export", str(record), "--to", str(path)]) == 2
    assert capsys.readouterr().err == f"mirr: Invalid value: {message.format(to=path)} See: mirr --help\n"


def test_the_error_without_pyarrow_says_how_to_install_it(
    record: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(["records", "export", str(record), "--to", str(record.with_name("t.parquet"))]) == 2
    assert (
        capsys.readouterr().err == "mirr: Parquet needs pyarrow; next: .venv/bin/pip install --editable '.[records]'\n"
    )


def test_the_documentation_lists_every_column() -> None:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8").splitlines()
    table = page[page.index("| column | type | unit | what it is |") + 2 :]
    assert table == [f"| `{each.name}` | {each.type} | {each.unit or '-'} | {each.says} |" for each in COLUMNS]
    assert table_schema().names == [column.name for column in COLUMNS]


def test_export_reads_a_pipe_only_once(record: Path, tmp_path: Path, capsys: Printed) -> None:
    other = tmp_path / "eight.jsonl"
    assert run(["episode", "--seed", "8", "--record", str(other)]) == 0
    capsys.readouterr()
    ends = [os.pipe() for _ in range(2)]
    for (_, writing), path in zip(ends, (record, other), strict=True):
        os.write(writing, path.read_bytes())
        os.close(writing)
    to = tmp_path / "t.parquet"
    assert run(["records", "export", *(f"/dev/fd/{reading}" for reading, _ in ends), "--to", str(to)]) == 0
    for reading, _ in ends:
        os.close(reading)
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{to}: 2 episodes, ")
    assert printed.err == ""


def test_a_count_that_no_float_can_hold_is_refused(record: Path, capsys: Printed) -> None:
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    lines[2]["journeys"]["browse"]["failed"] = 10**30
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(["records", "check", str(record)]) == 1
    assert f"{record}, line 3: journeys: the number is too large" in capsys.readouterr().out


def test_text_that_cannot_be_encoded_is_refused_by_export(record: Path, capsys: Printed) -> None:
    lines = record.read_text().splitlines()
    header = json.loads(lines[0]) | {"world": "\ud800"}
    record.write_text("\n".join([json.dumps(header), *lines[1:], ""]))
    to = record.with_name("t.parquet")
    assert run(["records", "export", str(record), "--to", str(to)]) == 2
    assert capsys.readouterr().err.startswith(f"mirr: cannot write the table {to}: ")
    assert not to.exists()


LONG = "a" * 300


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["records", "check", LONG], 1, "File name too long"),
        (["records", "show", LONG], 2, "File name too long"),
        (["records", "export", "x.jsonl", "--to", f"{LONG}.parquet"], 2, "File name too long; next: another --to FILE"),
        (["records", "export", "x.jsonl", "--to", f"{LONG}/x.parquet"], 2, "there is no directory"),
        (["episode", "--record", LONG], 2, "File name too long; next: another --record FILE"),
        (["episode", "--record", f"{LONG}/x"], 2, "there is no directory"),
        (["mcp", "--record", LONG], 2, "there is no such directory"),
    ],
)
def test_a_name_that_is_too_long_is_refused_in_words(
    arguments: list[str], code: int, message: str, capsys: Printed
) -> None:
    assert run(arguments) == code
    printed = capsys.readouterr()
    assert message in printed.out + printed.err
