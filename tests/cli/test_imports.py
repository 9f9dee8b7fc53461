"""What a command imports: one that only works on a lab does not wait for numba, which compiles the simulator."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from mirr.cli.main import NEVER_SIMULATE, app
from tests.paths import ROOT

RUN = """
import runpy, sys
try:
    runpy.run_module("mirr", run_name="__main__")
except SystemExit as end:
    print(end.code, sorted({"mirr.env.forms", "numba"} & set(sys.modules)))
"""

SWITCHES = """
import os, sys
from mirr.cli import main
main.run = lambda: 0
asked = os.environ.get("MIRR_COMPILED")
for command in sys.argv[1:]:
    os.environ.pop("MIRR_COMPILED", None)
    os.environ.update({"MIRR_COMPILED": asked} if asked else {})
    sys.argv = ["mirr", command]
    try:
        main.main()
    except SystemExit:
        print(command, os.environ.get("MIRR_COMPILED"))
"""
"""Runs the entry point for each command, and prints the variable that switches compiling off."""


def output_of(program: str, *arguments: str, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "MIRR_COMPILED"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=inherited | {"PYTHONPATH": str(ROOT)} | variables,
        timeout=120,
        check=True,
    ).stdout


def test_a_command_on_a_lab_reads_the_forms_of_faults_without_numba() -> None:
    assert output_of(RUN, "inject", "crashed/none", "auth") == "2 ['mirr.env.forms']\n"


@pytest.mark.thorough
def test_a_command_that_may_simulate_imports_numba() -> None:
    pytest.importorskip("numba", reason="numba is not installed: pip install 'mirr-lab[fast]'")
    assert output_of(RUN, "episode", "--fault", "crashed/none:auth") == "2 ['mirr.env.forms', 'numba']\n"


def test_compiling_is_switched_off_for_these_commands_and_for_no_other() -> None:
    commands = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(commands) > NEVER_SIMULATE
    said = [f"{command} {'0' if command in NEVER_SIMULATE else None}" for command in commands]
    assert output_of(SWITCHES, *commands).splitlines() == said


def test_what_the_user_asked_for_stays() -> None:
    assert output_of(SWITCHES, "status", "inject", MIRR_COMPILED="1").splitlines() == ["status 1", "inject 1"]


def test_a_command_that_lets_its_user_choose_a_world_or_a_policy_may_simulate() -> None:
    commands = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    chooses = {name for name, command in commands if {"world", "policy"} & {each.name for each in command.params}}
    assert {"episode", "evaluate", "lifecycle", "collect"} <= chooses
    assert not chooses & NEVER_SIMULATE
