"""`mirr results` on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirr.bridge.results.cells import read_cells
from mirr.cli import playing
from mirr.cli.main import run

Printed = pytest.CaptureFixture[str]

ASKED = ["results", "--policies", "heuristic,oracle", "--tiers", "easy", "--episodes", "6"]


def test_a_cluster_gives_the_results_of_one_machine(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(playing, "SLICE", 2)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    assert run([*ASKED, "--out", str(tmp_path / "cluster"), "--address", cluster.address]) == 0
    assert capsys.readouterr().out.endswith(": 12 episodes in 2 rows, 12 played in this run\n")
    assert run([*ASKED, "--out", str(tmp_path / "here")]) == 0
    on_cluster, here = read_cells(tmp_path / "cluster"), read_cells(tmp_path / "here")
    assert {cell: episodes.in_order for cell, episodes in on_cluster.items()} == {
        cell: episodes.in_order for cell, episodes in here.items()
    }


def test_records_are_not_kept_on_other_machines(tmp_path: Path, capsys: Printed) -> None:
    assert run([*ASKED, "--out", str(tmp_path), "--ray", "--record", str(tmp_path / "kept")]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --record cannot be given with --ray: the records would be on other machines. "
        "See: mirr --help\n"
    )
