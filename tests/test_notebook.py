"""`train.ipynb` runs from top to bottom with a small budget, and uploads only if it may."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from mirr.agents.training.hub import model_card, upload
from tests.paths import ROOT

NOTEBOOK = ROOT / "train.ipynb"


def code_cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@dataclass
class FakeHub:
    """Notes what it is asked for."""

    made: ClassVar[list[FakeHub]] = []
    token: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.made.append(self)

    def create_repo(self, repo_id: str, *, repo_type: str, exist_ok: bool) -> object:
        assert exist_ok
        self.calls.append(("create", repo_id, repo_type))
        return None

    def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: str, commit_message: str) -> object:
        assert commit_message == "Trained by MIRR Lab"
        self.calls.append(("upload", repo_id, repo_type))
        self.cards.append((Path(folder_path) / "README.md").read_text(encoding="utf-8"))
        return None


def test_the_notebook_has_no_outputs_and_no_commands_of_a_shell() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    assert [line for cell in code_cells() for line in cell.splitlines() if line.lstrip().startswith(("%", "!"))] == []


@pytest.mark.thorough
def test_the_notebook_runs_from_top_to_bottom_and_uploads_if_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("torch", "matplotlib", "pyarrow"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRR_NOTEBOOK_MINUTES", "0")
    for name in ("MIRR_NOTEBOOK_MODEL", "MIRR_NOTEBOOK_BASE", "HF_HUB_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(FakeHub, "made", [])
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in code_cells():
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    assert capsys.readouterr().out.endswith("HF_TOKEN and HF_HUB_USERNAME are not set: trained/notebook stays here\n")
    model, rollouts = Path("trained", "notebook", "model"), Path("trained", "notebook", "rollouts")
    assert sorted(path.name for path in model.iterdir()) == [
        "README.md",
        "small-loss.png",
        "small-reward.png",
        "small.json",
        "small.safetensors",
    ]
    assert (rollouts / "data" / "train-00000-of-00001.parquet").is_file()

    stub = ModuleType("huggingface_hub")
    stub.HfApi = FakeHub  # type: ignore[attr-defined]  # a module of the test's own
    monkeypatch.setitem(sys.modules, "huggingface_hub", stub)
    monkeypatch.setenv("HF_HUB_USERNAME", "somebody")
    exec(compile(code_cells()[-1], str(NOTEBOOK), "exec"), names)
    (hub,) = FakeHub.made
    assert hub.token == "secret"
    assert hub.calls == UPLOADS
    assert hub.cards[0].startswith("---\nlicense: apache-2.0\n")
    assert "MIRR Lab rollouts" in hub.cards[1]
    assert capsys.readouterr().out == "uploaded: somebody/mirr-small, somebody/mirr-small-rollouts\n"


UPLOADS = [
    ("create", "somebody/mirr-small", "model"),
    ("upload", "somebody/mirr-small", "model"),
    ("create", "somebody/mirr-small-rollouts", "dataset"),
    ("upload", "somebody/mirr-small-rollouts", "dataset"),
]


def test_model_and_rollouts_are_two_repositories(tmp_path: Path) -> None:
    for name in ("model", "rollouts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(name, encoding="utf-8")
    hub = FakeHub()
    uploaded = upload(hub, "somebody", "mirr-small", model=tmp_path / "model", rollouts=tmp_path / "rollouts")
    assert uploaded == ["somebody/mirr-small", "somebody/mirr-small-rollouts"]
    assert hub.calls == UPLOADS
    assert hub.cards == ["model", "rollouts"]


def test_the_card_of_a_model_says_how_it_was_trained_and_judged() -> None:
    provenance = json.loads((ROOT / "agents" / "language_model" / "trained" / "small.json").read_text(encoding="utf-8"))
    text = model_card(provenance)
    assert "# MIRR Lab: `small`, trained in the tier `easy`" in text
    assert f"commit `{provenance['commit']}`" in text
    assert "On 4096 held-out episodes (seeds 10000 to 14095):" in text
