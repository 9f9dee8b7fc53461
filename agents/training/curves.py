"""The curves of a training as pictures. This needs Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PASS: Final = "pass"
ITERATION: Final = "iteration"


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What was measured while the model learned, as the provenance has it."""

    imitation: Sequence[dict[str, float]]  # for each pass: its number and its loss
    grpo: Sequence[dict[str, float]]  # as grpo.Iteration.to_json
    validation: Sequence[dict[str, float]]  # on seeds of their own: iteration (0: the imitation) and mean reward


def draw_curves(curves: Curves, title: str, folder: Path, stem: str) -> list[Path]:
    """Write `STEM-reward.png` and `STEM-loss.png` into `folder`."""
    from matplotlib.figure import Figure

    reward = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = reward.subplots()
    _line(axes, curves.grpo, ITERATION, "reward", "sampled episodes")
    _line(axes, curves.validation, ITERATION, "reward", "best action, other seeds")
    axes.set(title=f"{title}: mean reward in GRPO", xlabel=ITERATION, ylabel="reward")
    axes.legend(loc="lower right")

    loss = Figure(figsize=(9.0, 3.2), layout="constrained")
    parts = loss.subplots(1, 3)
    _line(parts[0], curves.imitation, PASS, "loss", "")
    parts[0].set(title="imitation", xlabel=PASS, ylabel="cross-entropy", yscale="log")
    _line(parts[1], curves.grpo, ITERATION, "loss", "")
    parts[1].set(title="GRPO", xlabel=ITERATION, ylabel="loss")
    _line(parts[2], curves.grpo, ITERATION, "entropy", "entropy")
    _line(parts[2], curves.grpo, ITERATION, "kl", "distance to the imitation")
    parts[2].set(title="entropy and distance", xlabel=ITERATION, ylabel="nats")
    parts[2].legend()
    loss.suptitle(title)

    written = []
    for name, figure in (("reward", reward), ("loss", loss)):
        written.append(folder / f"{stem}-{name}.png")
        figure.savefig(written[-1], dpi=100, metadata={"Software": None})
    return written


def draw_rewards(curve: Sequence[dict[str, float]], title: str, picture: Path) -> None:
    """Draw the curve of a training with PPO: its points have `seconds`, `reward`, `entropy`, some `validation`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    rewards, entropy = figure.subplots(1, 2, width_ratios=(2, 1))
    validated = [point for point in curve if "validation" in point]
    _line(rewards, curve, "seconds", "reward", "drawn actions, training")
    _line(rewards, validated, "seconds", "validation", "favoured actions, validation seeds")
    rewards.set(title=f"{title}: mean reward", xlabel="seconds", ylabel="reward")
    rewards.legend(loc="lower right")
    _line(entropy, curve, "seconds", "entropy", "")
    entropy.set(title="entropy", xlabel="seconds", ylabel="nats")
    figure.savefig(picture, dpi=100, metadata={"Software": None})


def _line(axes: Any, points: Sequence[dict[str, float]], across: str, up: str, label: str) -> None:
    axes.plot([point[across] for point in points], [point[up] for point in points], label=label)
    axes.grid(visible=True, alpha=0.3)
