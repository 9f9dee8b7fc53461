"""The command `mirr calibrate`, the machine that other commands choose, and the report without a lab."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mirr.bridge import assembly, provenance
from mirr.bridge.calibration import profile
from mirr.bridge.calibration import quick as measuring
from mirr.bridge.calibration.drift import MOST_DRIFT
from mirr.bridge.calibration.machine import Machine
from mirr.bridge.calibration.parameter_file import read_calibration
from mirr.bridge.calibration.profile import read_profile, write_profile
from mirr.bridge.calibration.quick import LEAST_PLAYS, QUICK_PLAYS
from mirr.bridge.collect import collect
from mirr.bridge.collect_plan import Design, Part, plan
from mirr.bridge.collect_plays import Player
from mirr.bridge.recording import Session
from mirr.bridge.recording_table import write_table
from mirr.bridge.recordings import open_file, read_recordings
from mirr.cli import worlds
from mirr.cli.lab_commands import profile_drift
from mirr.cli.main import run
from mirr.cli.worlds import WorldName
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import Randomisation, default_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Service
from mirr.env.world import World
from tests.bridge.calibration.other_machine import FASTER, truth
from tests.bridge.collected import OtherUsers, shorten_plays
from tests.paths import ROOT

SHIPPED = ROOT / "recordings" / "lab.parquet"
A_PART = 100  # plays
# The real lab plays as few as give a profile, and short ones. `MIRR_MEASURE=5` plays all, and whole, in three minutes.
REAL_PLAYS = int(os.environ.get("MIRR_MEASURE", str(LEAST_PLAYS)))

PLAYS = plan(Design(parts=(Part.PROBES,), passes=1))


def record_lab(folder: Path, parameters: Parameters) -> None:
    """Recordings of a lab with these parameters."""
    with open_file(folder) as file:
        file.begin(Session(world="docker", facts={"machine": {"cores": 2}}))
        collect(PLAYS, Player(OtherUsers(SimulatedWorld(parameters))), file)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "recordings" / "lab"
    record_lab(folder, truth())
    return folder


@pytest.fixture
def project(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with recordings where `mirr collect` leaves them."""
    (tmp_path / "recordings").mkdir()
    shutil.copytree(recorded, tmp_path / "recordings" / "lab")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.thorough
def test_calibrate_and_fidelity_need_no_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", "--closed-form", "--draws", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "recordings/lab/calibration.json"
    assert "held out / training: " in printed.out
    assert printed.err.startswith("closed forms: ")
    assert run(["fidelity", "--draws", "0", "--json"]) in (0, 1)
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["sim"]["sessions"][0]["facts"]["profile"] == "fitted"
    assert run(["fidelity", "--machine", "reference", "--draws", "0", "--json"]) == 1
    untuned = json.loads(capsys.readouterr().out)
    assert untuned["sim"]["sessions"][0]["facts"]["profile"] == "reference"
    far, near = (
        {row["measure"]: row["value"] for row in answer["targets"]}["wasserstein"] for answer in (untuned, fitted)
    )
    assert near < 0.5 * far
    assert run(["fidelity", "--held-out", "--draws", "0"]) in (0, 1)
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1] == "profile of the simulator: fitted"
    held_out = len(read_calibration(project / "recordings" / "lab" / "calibration.json").held_out)
    assert printed.out.splitlines()[0].startswith(f"{held_out} plays in both worlds")


@pytest.mark.thorough
def test_a_part_of_the_recordings_in_the_repository_is_fitted_and_reported(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'mirr-lab[records]'")
    whole = read_recordings(SHIPPED if SHIPPED.is_file() else recorded)
    part = dict(list(whole.by_key.items())[:A_PART])
    table = write_table(replace(whole, by_key=part), tmp_path)
    report = tmp_path / "report"
    fit = report / "calibration.json"
    assert run(["calibrate", "--closed-form", "--draws", "2", "--from", str(table), "--out", str(fit)]) == 0
    command = ["fidelity", "--lab", str(table), "--parameters", str(fit), "--draws", "0", "--report", str(report)]
    assert run(command) in (0, 1)
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {report / 'fidelity.html'}"
    assert (report / "fidelity.html").stat().st_size > 10_000
    assert json.loads((report / "fidelity.json").read_text(encoding="utf-8"))["pairs"] == len(part)


@pytest.mark.thorough
def test_the_file_keeps_system_and_machine_apart_and_says_where_it_comes_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "fit.json"
    assert run(["calibrate", "--closed-form", "--draws", "4", "--out", str(path), "--seed", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(path.read_text(encoding="utf-8"))
    assert set(answer) == {"schema", "version", "system", "machine", "fitted", "ranges", "loss", "provenance"}
    assert set(answer["machine"]) == {each.name for each in fields(Machine)}
    provenance = answer["provenance"]
    assert provenance["world"] == "docker"
    assert provenance["sessions"] == [{"world": "docker", "facts": {"machine": {"cores": 2}}}]
    assert provenance["settings"]["seed"] == 3
    assert sum(len(keys) for keys in provenance["plays"].values()) == len(PLAYS)
    assert set(answer["loss"]) == {"training", "held_out", "held_out_over_training"}
    Randomisation.from_json({"ranges": answer["ranges"]})
    fitted = read_calibration(path).parameters
    assert fitted.boot_cpu_s == answer["machine"]["boot_cpu_s"]
    assert {str(name): own.latency_p50_s for name, own in fitted.services.items()} == answer["machine"]["latency_p50_s"]
    assert fitted.shed_cpu_s == pytest.approx(answer["fitted"]["shed_cpu_s"]["value"])


@pytest.mark.thorough
def test_a_table_can_be_read_without_its_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'mirr-lab[records]'")
    folder = project / "recordings" / "lab"
    table = write_table(read_recordings(folder), folder)
    shutil.move(table, project / "recordings" / "other.parquet")
    command = ["calibrate", "--closed-form", "--draws", "2", "--from", "recordings/other.parquet"]
    assert run(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "recordings/calibration.json"


def test_without_recordings_the_next_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    message = (
        "mirr: recordings/lab has neither recordings.jsonl nor recordings.parquet; "
        "next: mirr collect --out recordings/lab\n"
    )
    for command in ("calibrate", "fidelity"):
        assert run([command]) == 2
        assert capsys.readouterr().err == message


def test_without_cma_the_extra_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    assert run(["calibrate"]) == 2
    assert capsys.readouterr().err == (
        "mirr: the method of simulated moments needs cma; next: .venv/bin/pip install --editable '.[calibrate]', "
        "or --closed-form\n"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", " is not JSON: "),
        ("[]", " is no mirr-calibration 2; "),
        (
            json.dumps({"schema": "mirr-calibration", "version": 1, "machine": {"latency": 1.0}, "system": {}}),
            " is no mirr-calibration 2; ",
        ),
        (
            json.dumps({"schema": "mirr-calibration", "version": 2, "machine": {}, "system": {}}),
            ": machine has the numbers ",
        ),
    ],
)
def test_a_damaged_file_says_how_to_make_a_new_one(
    project: Path, content: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "fit.json").write_text(content)
    assert run(["fidelity", "--parameters", "fit.json"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"mirr: fit.json{why}")
    assert error.endswith("next: mirr calibrate --out fit.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("fidelity", "--held-out", "--machine", "reference"), "--held-out needs the file of a fit"),
        (("fidelity", "--sim", "sim", "--machine", "here"), "--sim has its own parameters"),
        (("fidelity", "--parameters", "x", "--machine", "here"), "--parameters says it all"),
        (("calibrate", "--quick", "--from", "x"), "--quick measures a lab that is up"),
        (("evaluate", "--world", "docker", "--machine", "here"), "--machine here is a choice of the simulator"),
        (("evaluate", "--machine", "there"), "unknown machine 'there'; one of: reference, here"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    project: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(options) == 2
    assert message in capsys.readouterr().err


def test_a_machine_that_was_never_measured_is_an_error_that_names_the_command(
    state_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "--machine", "here", "--episodes", "1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mirr: this machine has no profile yet; next, with the lab up: .venv/bin/mirr calibrate --quick"
    )


def test_every_answer_and_record_names_the_machine(
    state_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_profile(FASTER, {})
    assert run(["evaluate", "--machine", "here", "--episodes", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["world"] == "sim@here"
    assert run(["evaluate", "--episodes", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["world"] == "sim"
    record = tmp_path / "record.jsonl"
    assert run(["episode", "--machine", "here", "--seed", "1", "--record", str(record)]) == 0
    assert json.loads(record.read_text().splitlines()[0])["world"] == "sim@here"
    assert run(["lifecycle", "--world", "sim", "--machine", "here", "--mode", "crashed", "--json"]) == 0
    assert '"world": "sim@here"' in capsys.readouterr().out
    collected = tmp_path / "collected"
    few = ["--part", "policies", "--policy", "wait", "--episodes", "1", "--rounds", "1"]
    assert run(["collect", "--world", "sim", "--machine", "here", "--out", str(collected), *few]) == 0
    (session,) = read_recordings(collected).sessions
    assert session.facts["profile"] == "here"
    parameters = session.facts["parameters"]
    assert isinstance(parameters, dict)
    assert parameters["boot_cpu_s"] == FASTER.boot_cpu_s
    assert run(["collect", "--world", "sim", "--out", str(collected), *few]) == 2
    assert "was recorded with another profile" in capsys.readouterr().err


def test_a_recorded_lab_can_be_told_from_its_profile(state_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = SimulatedWorld(FASTER.applied(default_parameters()))
    world.restore(1)
    world.advance(10.0)
    telemetry = SimpleNamespace(last=lambda seconds: world.observe())
    monkeypatch.setattr(assembly, "assemble", lambda lab: SimpleNamespace(telemetry=telemetry))
    assert profile_drift("mirr") is None
    write_profile(FASTER, {})
    assert profile_drift("mirr") == ""
    world.advance(10.0)
    write_profile(replace(FASTER, request_cpu=dict.fromkeys(Service, 1.0)), {})
    assert MOST_DRIFT < 1.0 / 0.6
    said = profile_drift("mirr")
    assert said is not None
    assert said.endswith("times the CPU time that the profile of this machine says")


@pytest.fixture
def faster_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that is up, on a machine whose numbers are known."""

    @contextmanager
    def opened(name: WorldName, lab: str, *, what: str) -> Iterator[World]:
        yield OtherUsers(SimulatedWorld(FASTER.applied(default_parameters())))

    monkeypatch.setattr(worlds, "open_world", opened)
    monkeypatch.setattr(assembly, "assemble", lambda lab: SimpleNamespace(containers=None))
    monkeypatch.setattr(provenance, "lab_facts", lambda containers: {"lab": "mirr"})


@pytest.mark.thorough
def test_the_machine_of_a_lab_is_measured_printed_and_kept(
    faster_machine: None, state_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "DRAWS", 2)  # tests/bridge/calibration/test_quick.py reads the intervals
    assert run(["calibrate", "--quick"]) == 0
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == len(QUICK_PLAYS)
    *numbers, took, after = printed.out.splitlines()
    kept = read_profile()
    assert kept is not None
    assert dict(line.split() for line in numbers) == {name: f"{value:.4g}" for name, value in kept.numbers().items()}
    assert kept.request_cpu == pytest.approx(FASTER.request_cpu, rel=0.05)
    assert took.startswith(f"{state_root / 'machine.json'}: {len(QUICK_PLAYS)} plays in ")
    assert after == "next: mirr evaluate --machine here"
    assert run(["calibrate", "--quick", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"profile", "machine", "measured", "plays", "seconds"}
    assert answer["machine"] == asdict(kept)
    facts = json.loads((state_root / "machine.json").read_text(encoding="utf-8"))["facts"]
    assert facts["measured"] == answer["measured"]


@pytest.mark.docker
def test_a_real_machine_is_measured_within_five_minutes(
    real_lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "QUICK_PLAYS", QUICK_PLAYS[:REAL_PLAYS])
    monkeypatch.setattr(measuring, "DRAWS", 2)  # for the intervals, which need no lab
    monkeypatch.setattr(profile, "profile_path", lambda: tmp_path / "machine.json")  # that of the user stays
    left_out_s = shorten_plays(monkeypatch) if len(QUICK_PLAYS) > REAL_PLAYS else 0.0
    assert run(["calibrate", "--quick", "--lab", real_lab, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["plays"], answer["profile"]) == (REAL_PLAYS, str(tmp_path / "machine.json"))
    a_whole_play_s = answer["seconds"] / REAL_PLAYS + left_out_s
    assert a_whole_play_s * len(QUICK_PLAYS) < 300.0
    assert set(answer["machine"]["request_cpu"]) == set(Service)
    assert all(0.1 < times < 10.0 for times in answer["machine"]["request_cpu"].values())
    assert set(answer["machine"]["latency_p50_s"]) == set(Service)
    assert all(1e-4 <= latency_s < 0.5 for latency_s in answer["machine"]["latency_p50_s"].values())
