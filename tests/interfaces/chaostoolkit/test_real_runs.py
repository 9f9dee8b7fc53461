"""Runs the command `chaos` on the real lab, as a user would, and sends it signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirr.bridge.assembly import assemble
from mirr.bridge.steady import wait_until_steady
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Fault
from mirr.interfaces.chaostoolkit.experiments import FOLDER, file_name
from mirr.lab.state import state_dir
from tests.paths import ROOT

pytestmark = pytest.mark.docker

CHAOS = str(Path(sys.executable).with_name("chaos"))
RUN_S = 120.0  # a run takes about 20 s
STEADY_S = 15.0  # two labs and the tests share the cores, so the labs may be slow for a moment


@dataclass(frozen=True)
class Run:
    """A running `chaos run` of one experiment, in its own folder."""

    process: subprocess.Popen[str]
    journal_path: Path

    def ended(self) -> tuple[int, dict[str, Any], str]:
        """Waits for the end. Returns the exit code, the journal and the printed text."""
        printed, _ = self.process.communicate(timeout=RUN_S)
        journal: dict[str, Any] = json.loads(self.journal_path.read_text())
        return self.process.returncode, journal, printed


@contextmanager
def chaos_run(lab: str, fault: Fault, folder: Path) -> Iterator[Run]:
    """Runs one experiment in `folder`. The toolkit writes its log and journal there, not in the checkout."""
    journal_path = folder / "journal.json"
    process = subprocess.Popen(
        [CHAOS, "--no-version-check", "run", "--journal-path", str(journal_path), str(FOLDER / file_name(fault))],
        cwd=folder,
        env=os.environ | {"LAB": lab, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Run(process, journal_path)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for_open_fault(lab: str, fault: Fault, timeout_s: float = 60.0) -> None:
    journal, deadline = Journal(state_dir(lab)), time.monotonic() + timeout_s
    while [entry.fault for entry in journal.open_faults()] != [fault]:
        assert time.monotonic() < deadline, f"{fault} was not injected within {timeout_s:g} s"
        time.sleep(0.1)


# This fault uses traffic, and that of the next test uses Docker. test_activities.py plays the activities of every mode.
def test_the_hypothesis_of_an_experiment_is_met_before_and_after(real_lab: str, tmp_path: Path) -> None:
    with chaos_run(real_lab, Fault.parse("overloaded:inventory"), tmp_path) as run:
        code, journal, printed = run.ended()
    assert code == 0, printed
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert [journal["steady_states"][when]["steady_state_met"] for when in ("before", "after")] == [True, True]
    assert {one["status"] for one in [*journal["run"], *journal["rollbacks"]]} == {"succeeded"}
    parts = assemble(real_lab)
    assert parts.chaos.open_faults() == []
    wait_until_steady(parts.telemetry, timeout_s=STEADY_S)


def test_a_run_that_gets_a_signal_reverts_everything_before_it_exits(real_lab: str, tmp_path: Path) -> None:
    fault = Fault.parse("bad_deploy:payments")
    with chaos_run(real_lab, fault, tmp_path) as run:
        wait_for_open_fault(real_lab, fault)
        run.process.send_signal(signal.SIGTERM)
        code, journal, printed = run.ended()
    assert (code, journal["status"]) == (1, "interrupted"), printed
    assert [one["status"] for one in journal["rollbacks"]] == ["succeeded"]
    # The method did not end, so only the rollback can have reverted the fault.
    assert "rollback" not in [one["activity"]["provider"]["func"] for one in journal["run"]]
    parts = assemble(real_lab)
    assert parts.chaos.open_faults() == []
    wait_until_steady(parts.telemetry, timeout_s=STEADY_S)


def test_a_run_without_a_lab_fails_says_how_to_start_the_lab_and_leaves_no_state(
    state_root: Path, tmp_path: Path
) -> None:
    with chaos_run("mirr-absent", Fault.parse("crashed:payments"), tmp_path) as run:
        code, journal, printed = run.ended()
    assert (code, journal["status"]) == (1, "failed")
    assert "lab mirr-absent is not up; start it with: make up LAB=mirr-absent" in printed
    assert journal["run"] == []
    assert not state_root.exists()
