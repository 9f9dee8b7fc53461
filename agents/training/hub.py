"""Uploads a trained model and its rollouts to the Hugging Face Hub, through whatever client the caller has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol


class Hub(Protocol):
    """What is needed of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, repo_type: str, exist_ok: bool) -> object:
        """Make a repository, unless it is there."""

    def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: str, commit_message: str) -> object:
        """Upload every file of a folder."""


def upload(hub: Hub, user: str, name: str, *, model: Path, rollouts: Path) -> list[str]:
    """Upload both folders as `USER/NAME` and `USER/NAME-rollouts`. Returns their names."""
    wanted = ((f"{user}/{name}", "model", model), (f"{user}/{name}-rollouts", "dataset", rollouts))
    for repo_id, repo_type, folder in wanted:
        hub.create_repo(repo_id, repo_type=repo_type, exist_ok=True)
        hub.upload_folder(
            repo_id=repo_id, repo_type=repo_type, folder_path=str(folder), commit_message="Trained by MIRR Lab"
        )
    return [repo_id for repo_id, _, _ in wanted]


def model_card(provenance: dict[str, Any]) -> str:
    """The card of a model, from the provenance of its training."""
    plan, judged = provenance["plan"], provenance["held_out"]["trained"]
    seeds = provenance["seeds"]["held_out"]
    lines = [
        "---",
        "license: apache-2.0",
        "tags:",
        "- mirr-lab",
        "- incident-response",
        "- grpo",
        "---",
        "",
        f"# MIRR Lab: `{plan['model']}`, trained in the tier `{plan['tier']}`",
        "",
        f"Imitation of `{plan['teacher']}`, then GRPO, on the simulator of MIRR Lab (commit `{provenance['commit']}`, "
        f"{provenance['device']}, {provenance['seconds']['all']} s).",
        "",
        f"On {judged['episodes']} held-out episodes (seeds {seeds[0]} to {seeds[1]}):",
        "",
        "```json",
        json.dumps(judged, indent=1),
        "```",
        "",
        f"`{plan['model']}.json` has the whole provenance: seeds, parameters, curves.",
    ]
    return "\n".join(lines) + "\n"
