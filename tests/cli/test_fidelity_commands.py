"""The commands `mirr collect` and `mirr fidelity`, on the simulator."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.bridge.collect import collect
from mirr.bridge.collect_plan import Design, Part, plan
from mirr.bridge.collect_plays import Player
from mirr.bridge.recording import Session
from mirr.bridge.recordings import open_file, read_recordings
from mirr.cli.main import run
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.simulator.world import SimulatedWorld
from tests.bridge.collected import SHORT_PACE, shorten_plays

PROBES = plan(Design(parts=(Part.PROBES,)))
FEW = PROBES[:20]  # two rounds of the first block


def recorded(folder: Path, parameters: Parameters | None = None) -> str:
    with open_file(folder) as file:
        file.begin(Session(world="sim"))
        collect(FEW, Player(SimulatedWorld(parameters)), file)
    return str(folder)


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> str:
    return recorded(tmp_path_factory.mktemp("sim"))


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A simulator in which every latency is halved."""
    usual = default_parameters()
    services = {name: replace(own, latency_p50_s=own.latency_p50_s / 2) for name, own in usual.services.items()}
    return recorded(tmp_path_factory.mktemp("halved"), replace(usual, services=services))


@pytest.mark.thorough
def test_a_collection_is_written_and_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "collect",
        "--world",
        "sim",
        "--out",
        str(tmp_path),
        "--rounds",
        "1",
        "--passes",
        "1",
        "--part",
        "probes",
    ]
    assert run([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.pop("seconds") >= 0.0
    plays = answer.pop("played")
    assert plays > 90
    assert answer == {
        "world": "sim",
        "out": str(tmp_path),
        "table": str(tmp_path / "recordings.parquet"),
        "void": 0,
        "done": plays,
        "of": plays,
        "complete": True,
    }
    (session,) = read_recordings(tmp_path).sessions
    assert session.facts["profile"] == "reference"
    assert {"began", "mirr", "pace", "machine", "parameters"} < set(session.facts)
    assert run(command) == 0
    assert re.fullmatch(
        rf"{tmp_path}: {plays} of {plays} plays of sim \(0 in this run, \d+ s\)\n", capsys.readouterr().out
    )


def test_a_collection_without_time_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", "--world", "sim", "--out", str(tmp_path), "--minutes", "0"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}: 0 of ")
    assert last == "next: the same command again plays the rest"


def test_policies_are_collected_if_they_are_asked_for(tmp_path: Path) -> None:
    command = ["collect", "--world", "sim", "--out", str(tmp_path), "--part", "policies", "--rounds", "1"]
    assert run([*command, "--policy", "wait", "--policy", "oracle", "--episodes", "2", "--tier", "easy"]) == 0
    assert list(read_recordings(tmp_path).by_key) == [
        "policy easy 0 wait round 0",
        "policy easy 0 oracle round 0",
        "policy easy 1 wait round 0",
        "policy easy 1 oracle round 0",
    ]


def test_without_pyarrow_there_is_no_table_and_the_recordings_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    command = ["collect", "--world", "sim", "--out", str(tmp_path), "--part", "policies", "--rounds", "1"]
    assert run([*command, "--policy", "wait", "--episodes", "1"]) == 0
    assert capsys.readouterr().err.startswith("mirr: no table: Parquet needs pyarrow; next: ")
    assert len(read_recordings(tmp_path).by_key) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--part", "songs"), "mirr: unknown part 'songs'; one of: probes, episodes, policies\n"),
        (("--world", "mars"), "mirr: unknown world 'mars'; one of: sim, docker\n"),
        (("--tier", "soft"), "mirr: unknown tier 'soft'; one of: easy, medium, hard"),
    ],
)
def test_an_unknown_name_is_wrong_usage(
    tmp_path: Path, option: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["collect", "--world", "sim", "--out", str(tmp_path / "new"), *option]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "new").exists()


@pytest.mark.thorough
def test_equal_recordings_meet_every_target_that_they_can_show(sim: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fidelity", "--lab", sim, "--sim", sim, "--draws", "5"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "20 plays in both worlds, 10 twice on the lab"
    assert [line for line in printed if line in ("signal", "transition", "policy")] == [
        "signal",
        "transition",
        "policy",
    ]
    (line,) = [line for line in printed if "Wasserstein-1" in line]
    assert re.fullmatch(r"  Wasserstein-1, in spreads of a metric +0  0 to 0 +0\.\d+  at most 0\.015  met", line)
    assert "missed" not in "".join(printed)


@pytest.mark.thorough
def test_a_missed_target_is_bad_news(sim: str, halved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fidelity", "--lab", sim, "--sim", halved, "--draws", "0", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    targets = {row["measure"]: row for row in answer["targets"]}
    assert targets["auc"]["verdict"] == "missed"
    assert targets["auc"]["value"] > 0.75
    assert targets["pearson"]["verdict"] == "too few recordings"
    assert list(targets["auc"]) == [
        "level", "measure", "says", "target", "value", "low", "high", "lab_itself", "of", "verdict"
    ]  # fmt: skip
    assert answer["distrust"][0] == (
        "what stands here for the lab was recorded on a simulator: nothing was measured on containers"
    )
    assert "latency_p95_s alone tells the worlds apart" in " ".join(answer["distrust"])


@pytest.mark.thorough
def test_a_report_is_one_page_that_asks_for_nothing_else(
    sim: str, halved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    assert run(["fidelity", "--lab", sim, "--sim", halved, "--draws", "0", "--report", str(folder)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {folder / 'fidelity.html'}"
    page = (folder / "fidelity.html").read_text(encoding="utf-8")
    assert re.findall(r"<script|<link|<img|url\(|https?://|@import", page) == []
    assert "default-src 'none'" in page
    assert page.count('data-chart="panel"') >= 9 * 5
    assert page.count('data-table="targets"') == 1
    assert json.loads((folder / "fidelity.json").read_text(encoding="utf-8"))["pairs"] == 20


@pytest.mark.thorough
def test_another_recording_of_the_lab_takes_the_place_of_its_second_round(
    sim: str, halved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fidelity", "--lab", sim, "--sim", halved, "--again", sim, "--draws", "0", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["pairs_of_the_lab_itself"] == 20
    assert {row["lab_itself"] for row in answer["targets"] if row["measure"] == "wasserstein"} == {0.0}


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "report"
    assert run(["fidelity", "--lab", str(tmp_path / "no recordings"), "--report", str(nowhere)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: cannot write the report {nowhere}: Not a directory; next: another --report DIR\n"
    )


def test_folders_without_a_play_in_common_are_refused(
    sim: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_file(tmp_path) as file:
        file.begin(Session(world="sim"))
        collect(PROBES[20:21], Player(SimulatedWorld()), file)
    assert run(["fidelity", "--lab", sim, "--sim", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "mirr: the two folders have no play in common; next: mirr collect the same parts of both worlds\n"
    )


@pytest.mark.docker
def test_a_real_lab_is_recorded_and_compared(real_lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_plays(monkeypatch)
    lab, sim = tmp_path / "lab", tmp_path / "sim"
    command = ["collect", "--lab", real_lab, "--out", str(lab), "--part", "probes", "--rounds", "1"]
    assert run([*command, "--minutes", "0.1"]) == 0  # a probe takes longer, so one is played
    found = read_recordings(lab)
    assert (found.world, found.void) == ("docker", 0)
    (session,) = found.sessions
    assert {"engine", "images", "machine", "pace"} < set(session.facts)
    assert "parameters" not in session.facts
    assert [recording.steps for recording in found.by_key.values()] == [SHORT_PACE.steps]
    sim.mkdir()
    assert run(["fidelity", "--lab", str(lab), "--sim", recorded(sim), "--draws", "0"]) in (0, 1)
