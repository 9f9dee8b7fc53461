"""The command `mirr postmortem`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirr.cli.main import run

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def record(tmp_path: Path, capsys: Printed) -> Path:
    path = tmp_path / "seven.jsonl"
    assert run(["episode", "--fault", "bad_deploy:payments", "--seed", "7", "--record", str(path)]) == 0
    capsys.readouterr()
    return path


def test_both_documents_are_written_beside_the_record(record: Path, capsys: Printed) -> None:
    assert run(["postmortem", str(record)]) == 0
    text, page = (record.with_name(f"seven-postmortem.{kind}") for kind in ("md", "html"))
    assert capsys.readouterr().out == f"{text}\n{page}\n"
    assert text.read_text().startswith("# Post-mortem: bad_deploy on payments, seed 7\n")
    assert "A faulty release 1.5.0 of payments replaces 1.4.0." in text.read_text()
    assert page.read_text().startswith("<!doctype html>\n")


def test_another_folder_can_be_chosen(record: Path, tmp_path: Path, capsys: Printed) -> None:
    out = tmp_path / "documents"
    taken = tmp_path / "taken"
    taken.write_text("")
    assert run(["postmortem", str(record), "--out", str(taken)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: cannot make the folder {taken}: File exists; next: another --out FOLDER\n"
    )
    assert run(["postmortem", str(record), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "documents": [str(out / "seven-postmortem.md"), str(out / "seven-postmortem.html")]
    }


def test_documents_are_overwritten_only_on_request(record: Path, capsys: Printed) -> None:
    text = record.with_name("seven-postmortem.md")
    text.write_text("precious")
    assert run(["postmortem", str(record)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: the document {text} exists already, and is not overwritten; next: another --out DIR, or --overwrite\n"
    )
    assert text.read_text() == "precious"
    assert run(["postmortem", str(record), "--overwrite"]) == 0
    assert text.read_text() != "precious"


def test_what_is_no_record_is_wrong_usage(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "nothing.jsonl"
    assert run(["postmortem", str(path)]) == 2
    assert capsys.readouterr().err == f"mirr: cannot read the record {path}: No such file or directory\n"
