"""How a command ends when somebody interrupts it or does not read what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import NoReturn

import pytest

from mirr.cli import worlds
from mirr.cli.main import run
from mirr.env import record
from mirr.lab import engine
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


def interrupted(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def test_ctrl_c_in_any_command_is_answered_in_words(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setattr(record, "read_rollout", interrupted)
    assert run(["records", "check", "any.jsonl"]) == 130
    assert capsys.readouterr().err == "mirr: interrupted\n"


@pytest.mark.parametrize("command", [["episode"], ["demo"], ["lifecycle", "--mode", "crashed"]])
@pytest.mark.parametrize(
    ("world", "said"),
    [("sim", "interrupted"), ("docker", "interrupted; revert what was left half done with: mirr revert")],
)
def test_only_ctrl_c_on_a_lab_says_how_to_revert(
    command: list[str], world: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(worlds, "_opened", interrupted)
    assert run([*command, "--world", world]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"mirr: {said}"


@pytest.mark.usefixtures("state_root")
@pytest.mark.parametrize(("lab", "named"), [("mirr", ""), ("v2", " --lab v2")])
def test_ctrl_c_names_the_lab_and_the_command_that_helps(
    lab: str, named: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(worlds, "_opened", interrupted)
    monkeypatch.setattr(engine, "connect", interrupted)
    for command, helps in (
        (["episode", "--world", "docker"], "revert what was left half done with: mirr revert"),
        (["down"], "remove the rest with: mirr down"),
    ):
        assert run([*command, "--lab", lab]) == 130
        assert capsys.readouterr().err.splitlines()[-1] == f"mirr: interrupted; {helps}{named}"


HANGS_UP = """
import os, signal, sys
from mirr.cli import main
def works():
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        signal.sigtimedwait([], 0.01)
        return 0
    except KeyboardInterrupt:
        print("ended as by Ctrl-C")
        return main.INTERRUPTED
main.run = works
main.main()
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("before", "ended"),
    [("SIG_DFL", (130, "ended as by Ctrl-C\n")), ("SIG_IGN", (0, ""))],  # the second is what `nohup` does
)
def test_the_end_of_the_terminal_is_like_ctrl_c(before: str, ended: tuple[int, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import signal\nsignal.signal(signal.SIGHUP, signal.{before})\n{HANGS_UP}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == ended


IMPORTS_INTERRUPTED = """
import os, runpy, signal, sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "mirr.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Impatient())
sys.argv = ["mirr", "--version"]
runpy.run_module("mirr", run_name="__main__")
"""
"""Runs `mirr --version`. Ctrl-C comes while the command line is being imported."""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("before", "ended"),
    [
        ("", (130, "", "mirr: interrupted\n")),
        ("trap '' INT; ", (0, "mirr 0.1.0\n", "")),  # as `nohup` and a script's background do
    ],
)
def test_ctrl_c_while_python_still_imports_ends_without_a_traceback(before: str, ended: tuple[int, str, str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'{before}"$@"', "sh", sys.executable, "-c", IMPORTS_INTERRUPTED],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == ended


def test_the_entry_point_imports_almost_nothing_before_ctrl_c_has_an_answer() -> None:
    ours = "sorted(name for name in sys.modules if name.split('.')[0] in ('mirr', 'numpy', 'typer', 'rich', 'docker'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, mirr.__main__; print({ours})"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=True,
    )
    assert done.stdout == "['mirr', 'mirr.__main__', 'mirr._registration']\n"


@pytest.mark.thorough
def test_the_installed_command_and_the_module_are_one_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"mirr": "mirr.__main__:main"}


@pytest.mark.thorough
@pytest.mark.parametrize("arguments", ["--help", "--version", "evaluate --help"])
def test_a_reader_that_has_seen_enough_is_no_bad_news(arguments: str) -> None:
    done = started(f'{{ sleep 0.1; "$@" {arguments}; echo $? >&2; }} | true')
    assert done.stderr == "0\n"


@pytest.mark.thorough
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["episode", "--seed", "9" * 10_000],
        ["episode", "--world", "x" * 10_000],
        ["episode", "--scenario", "x" * 10_000],
        ["records", "show", "x" * 10_000],
        ["y" * 10_000],
    ],
)
def test_an_error_does_not_repeat_ten_thousand_characters(arguments: list[str], capsys: Printed) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert 0 < len(printed.err + printed.out) < 4_200


def test_more_episodes_than_memory_holds_are_refused_at_once(capsys: Printed) -> None:
    assert run(["evaluate", "--episodes", str(10**20)]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value for '--episodes': Input should be less than or equal to 1000000 See: mirr --help\n"
    )


def test_a_pace_that_never_ends_is_refused(capsys: Printed) -> None:
    assert run(["demo", "--pace", "inf"]) == 2
    assert "--pace" in capsys.readouterr().err
