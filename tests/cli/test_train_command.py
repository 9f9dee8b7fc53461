"""`mirr train`: what is wrong is named before anything is trained, and a short training leaves its files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from mirr.cli import train_command
from mirr.cli.main import run
from mirr.env.simulator.parameters import PARAMETERS_FILE

NEEDS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it does not begin."""
    assert run(["train", *arguments]) == 2
    return capsys.readouterr().err


def test_packages_that_are_missing_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_command, "find_spec", lambda _: None)
    assert refused(capsys, "--out", str(tmp_path)).startswith(
        "mirr: Invalid value: not installed: torch, matplotlib; next: pip install 'mirr-lab[train]' See: "
    )


@NEEDS_TORCH
def test_an_unknown_device_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--device", "abacus").startswith(
        "mirr: Invalid value: --device 'abacus': one of auto, cpu, cuda. See: "
    )


@NEEDS_TORCH
def test_two_ways_to_vary_parameters_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert refused(capsys, "--spread", "0.1", "--randomise", str(tmp_path / "ranges.json")).startswith(
        "mirr: Invalid value: --spread and --randomise both say how parameters vary; leave one of them out See: "
    )


@NEEDS_TORCH
def test_ranges_that_cannot_be_drawn_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ranges = tmp_path / "ranges.json"
    ranges.write_text('{"ranges": {"colour": {"times": [0.9, 1.1]}}}', encoding="utf-8")
    assert "randomisation.ranges: no parameter colour that may vary" in refused(capsys, "--randomise", str(ranges))
    ranges.write_text("{", encoding="utf-8")
    assert f"--randomise {ranges}: Expecting property name" in refused(capsys, "--randomise", str(ranges))


@NEEDS_TORCH
def test_parameters_may_come_from_a_fit_and_damaged_ones_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fit = tmp_path / "fit.json"
    fit.write_text('{"schema": "mirr-calibration", "version": 1}', encoding="utf-8")
    usual = str(PARAMETERS_FILE)
    assert refused(capsys, "--parameters", usual, "--parameters", str(fit)).startswith(
        f"mirr: Invalid value: {fit} is no mirr-calibration 2; next: mirr calibrate --out {fit}"
    )
    fit.write_text("{", encoding="utf-8")
    assert refused(capsys, "--parameters", str(fit)).startswith(
        f"mirr: Invalid value: cannot read the simulator's parameters {fit}: Expecting property name"
    )


@NEEDS_TORCH
def test_there_is_nothing_to_go_on_with(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert refused(capsys, "--out", str(tmp_path), "--resume").startswith(
        f"mirr: Invalid value: {tmp_path / 'ppo.state'} does not exist, so there is nothing to go on with"
    )


@pytest.mark.thorough
@NEEDS_TORCH
def test_a_short_training_leaves_its_files_and_its_checkpoint_can_be_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    from mirr.agents.training import ppo_training
    from tests.agents.training.test_ppo import TINY_TRAINING

    def tiny(**chosen: object) -> ppo_training.Training:
        return ppo_training.Training(**(vars(TINY_TRAINING) | chosen))

    monkeypatch.setattr(train_command, "new_training", tiny)
    assert run(["train", "--tier", "easy", "--out", str(tmp_path), "--steps", "512", "--threads", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 512
    weights = tmp_path / "ppo.safetensors"
    assert run(["train", "--tier", "easy", "--judge", str(weights), "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 16
