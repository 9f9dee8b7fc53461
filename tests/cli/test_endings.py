"""How a command ends when somebody interrupts it or does not read what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NoReturn

import pytest

from mirr.cli.main import run
from mirr.env import record
from tests.paths import ROOT

Printed = pytest.CaptureFixture[str]


def started(shell: str) -> subprocess.CompletedProcess[str]:
    """What a shell says about `mirr`, which is `"$@"` there."""
    return subprocess.run(
        ["/bin/sh", "-c", shell, "sh", sys.executable, "-m", "mirr"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )


def test_ctrl_c_in_any_command_is_answered_in_words(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "read_rollout", interrupted)
    assert run(["records", "check", "any.jsonl"]) == 130
    assert capsys.readouterr().err == "mirr: interrupted; the next mirr command reverts what was left half done\n"


@pytest.mark.parametrize("arguments", ["--help", "--version", "evaluate --help"])
def test_a_reader_that_has_seen_enough_is_no_bad_news(arguments: str) -> None:
    done = started(f'{{ sleep 0.1; "$@" {arguments}; echo $? >&2; }} | true')
    assert done.stderr == "0\n"


@pytest.mark.parametrize(
    ("shell", "code", "out"),
    [
        ('"$@" --version 2>&-', 0, "mirr 0.1.0\n"),
        ('"$@" --version >&-', 0, ""),
        ('"$@" evaluate --world mars 2>&-', 2, ""),
        ('"$@" evaluate --world mars 2>/dev/full', 2, ""),
    ],
)
def test_a_stream_that_is_closed_or_full_does_not_change_the_exit_code(shell: str, code: int, out: str) -> None:
    done = started(shell)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, "")


def test_a_pace_that_never_ends_is_refused(capsys: Printed) -> None:
    assert run(["demo", "--pace", "inf"]) == 2
    assert "--pace" in capsys.readouterr().err
