"""A whole training: demonstrations, imitation, GRPO, judgement on held-out seeds, and what is kept of it."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch

from mirr.agents.language_model.network import Size
from mirr.agents.registry import PolicyName
from mirr.agents.training.curves import ITERATION, PASS, Curves
from mirr.agents.training.episodes import (
    FIRST_TRAINING_SEED,
    Endings,
    demonstrate,
    mean_interval,
    open_batch,
    play,
)
from mirr.agents.training.grpo import GrpoPlan, Iteration, improve
from mirr.agents.training.imitation import ImitationPlan, imitate
from mirr.agents.training.learner import Learner, Model, device_name, found_device
from mirr.agents.training.names import ModelName
from mirr.env.vocabulary import Tier

FIRST_DEMONSTRATION_SEED: Final = FIRST_TRAINING_SEED
FIRST_VALIDATION_SEED: Final = FIRST_TRAINING_SEED + 500_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train, on what, for how long. It is a part of the provenance."""

    model: ModelName
    tier: Tier = Tier.EASY
    teacher: PolicyName = PolicyName.HEURISTIC
    seed: int = 0  # of the first weights and of all that is drawn
    spread: float = 0.1  # each parameter of the simulator varies by up to this share of it
    size: Size = field(default_factory=Size)  # of the small model
    imitation: ImitationPlan = field(default_factory=ImitationPlan)
    grpo: GrpoPlan = field(default_factory=GrpoPlan)
    grpo_minutes: float = 3.0
    most_iterations: int = 10_000
    validated: int = 1024  # episodes with which the best iteration is chosen
    judged: int = 4096  # held-out episodes
    first_judged_seed: int = 10_000


SMOLLM2_IMITATION: Final = ImitationPlan(episodes=2048, passes=4, at_once=128, learning_rate=1e-3)
SMOLLM2_GRPO: Final = GrpoPlan(
    seeds=64, group=8, passes=1, at_once=256, learning_rate=1e-4, kl_price=0.05, validate_every=3
)


def default_plan(model: ModelName) -> Plan:
    """How a model is trained unless somebody says otherwise."""
    if model is ModelName.SMALL:
        return Plan(model=model)
    return Plan(model=model, imitation=SMOLLM2_IMITATION, grpo=SMOLLM2_GRPO, judged=1024, validated=512)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a training is given from outside."""

    now: Callable[[], float]  # seconds; only differences count
    say: Callable[[str], None]  # progress, for people
    commit: str  # of the code that trains
    threads: int  # of the simulator


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind beside its checkpoint."""

    provenance: dict[str, object]
    curves: Curves


class Training:
    """One training, step by step."""

    def __init__(self, plan: Plan, model: Model, about: dict[str, str], out: Path, tools: Tools) -> None:
        self.plan, self.out, self._tools, self._about = plan, out, tools, about
        device = found_device()
        if isinstance(model, torch.nn.Module):
            model.to(device)
        self.learner = Learner(model, device, plan.seed)
        self.checkpoint = out / f"{plan.model}.safetensors"
        self._began_s = tools.now()
        self._passes: list[dict[str, float]] = []
        self._iterations: list[Iteration] = []
        self._validation: list[dict[str, float]] = []
        self._seconds: dict[str, float] = {}

    @property
    def curves(self) -> Curves:
        """What was measured so far."""
        return Curves(
            imitation=self._passes, grpo=[each.to_json() for each in self._iterations], validation=self._validation
        )

    def run(self) -> Trained:
        """Train and judge. Writes the checkpoint and its provenance into the folder."""
        plan = self.plan
        self._tools.say(f"training {plan.model} on {device_name(self.learner.device)}")
        taught = self._timed("demonstrations_and_imitation", self._imitate)
        with tempfile.TemporaryDirectory() as folder:
            start = Path(folder) / "imitation.safetensors"
            self.learner.model.save(start, self._about)
            imitation = self.judge("imitation", start)
            self._timed("grpo", self._improve)
            trained = self.judge("after GRPO", self.checkpoint)
        gain, half = mean_interval(trained.rewards - imitation.rewards)
        self._tools.say(f"GRPO gained {gain:.3f} in mean reward (95%: {gain - half:.3f} to {gain + half:.3f})")
        provenance = self._provenance(taught, imitation, trained, (gain, half))
        text = json.dumps(provenance, indent=1) + "\n"
        self.checkpoint.with_suffix(".json").write_text(text, encoding="utf-8")
        return Trained(provenance, self.curves)

    def _timed(self, name: str, job: Callable[[], Endings | None]) -> Endings | None:
        began_s = self._tools.now()
        done = job()
        self._seconds[name] = round(self._tools.now() - began_s, 1)
        return done

    def _imitate(self) -> Endings:
        plan, count = self.plan, self.plan.imitation.episodes
        batch = open_batch(count, plan.tier, threads=self._tools.threads, spread=plan.spread, seed=plan.seed)
        first = FIRST_DEMONSTRATION_SEED
        shown, taught = demonstrate(batch, plan.teacher, range(first, first + count))
        self._tools.say(f"{count} episodes of {plan.teacher}: {_told(taught)}; {len(shown)} decisions to imitate")
        imitate(self.learner, shown, plan.imitation, self._after_pass)
        return taught

    def _after_pass(self, number: int, loss: float) -> None:
        self._passes.append({PASS: number, "loss": round(loss, 5)})
        self._tools.say(f"imitation {number}: loss {loss:.4f}")

    def _improve(self) -> None:
        plan = self.plan
        batch = open_batch(plan.grpo.size, plan.tier, threads=self._tools.threads, spread=plan.spread, seed=plan.seed)
        began_s, best = self._tools.now(), self._validate(0)
        self.learner.model.save(self.checkpoint, self._about)
        for done in improve(self.learner, batch, plan.grpo):
            self._iterations.append(done)
            over = done.number >= plan.most_iterations or self._tools.now() - began_s >= 60.0 * plan.grpo_minutes
            if over or done.number % plan.grpo.validate_every == 0:
                found = self._validate(done.number)
                self._tools.say(
                    f"GRPO {done.number}: reward {done.reward:.2f}, resolved {done.resolved:.1%}, diagnosed "
                    f"{done.diagnosed:.1%}, distance {done.kl:.3f}, entropy {done.entropy:.3f}; "
                    f"best action: {found:.3f}"
                )
                if found > best:
                    best = found
                    self.learner.model.save(self.checkpoint, self._about)
            if over:
                return

    def _validate(self, iteration: int) -> float:
        found = float(self._played(FIRST_VALIDATION_SEED, self.plan.validated).rewards.mean())
        self._validation.append({ITERATION: iteration, "reward": round(found, 4)})
        return found

    def _played(self, first: int, count: int) -> Endings:
        """The best action in episodes of the simulator as it is, whatever it was varied to in training."""
        batch = open_batch(count, self.plan.tier, threads=self._tools.threads, spread=0.0, seed=0)
        return play(batch, range(first, first + count), self.learner.best())[1]

    def judge(self, what: str, checkpoint: Path) -> Endings:
        """How the checkpoint does on held-out seeds. It is judged as it was written."""
        self.learner.model.load(checkpoint)
        found = self._played(self.plan.first_judged_seed, self.plan.judged)
        self._tools.say(f"{what}, {self.plan.judged} held-out episodes: {_told(found)}")
        return found

    def _provenance(
        self, taught: Endings | None, imitation: Endings, trained: Endings, gain: tuple[float, float]
    ) -> dict[str, object]:
        plan, learner = self.plan, self.learner
        assert taught is not None
        return {
            "checkpoint": self.checkpoint.name,
            "commit": self._tools.commit,
            "device": device_name(learner.device),
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "weights_learned": sum(each.numel() for each in learner.learned()),
            "seeds": {
                "demonstrations": [FIRST_DEMONSTRATION_SEED, FIRST_DEMONSTRATION_SEED + plan.imitation.episodes - 1],
                "validation": [FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + plan.validated - 1],
                "grpo_from": 2 * FIRST_TRAINING_SEED,
                "held_out": [plan.first_judged_seed, plan.first_judged_seed + plan.judged - 1],
            },
            "plan": asdict(plan),
            "seconds": self._seconds | {"all": round(self._tools.now() - self._began_s, 1)},
            "teacher_on_its_episodes": taught.to_json(),
            "held_out": {"imitation": imitation.to_json(), "trained": trained.to_json()},
            "gain": {
                "mean_reward": round(gain[0], 4),
                "interval": [round(gain[0] - gain[1], 4), round(gain[0] + gain[1], 4)],
            },
            "curves": asdict(self.curves),
        }


def new_training(plan: Plan, out: Path, tools: Tools, *, base: str | None = None) -> Training:
    """A training that has not begun. `base` is the pretrained model for `smollm2`, if it is not the package's: a GGUF
    file, a folder, or the name of a model on the Hugging Face Hub."""
    if plan.model is ModelName.SMALL:
        from mirr.agents.training.small import SmallModel, small_about

        return Training(plan, SmallModel(plan.size, plan.seed), small_about(plan.size), out, tools)
    from mirr.agents.training.pretrained import PretrainedModel, adapter_about, base_of, find_base

    torch.manual_seed(plan.seed)  # the adapter's first weights
    chosen = find_base() if base is None else base_of(base)
    return Training(plan, PretrainedModel(chosen), adapter_about(chosen), out, tools)


def _told(endings: Endings) -> str:
    return (
        f"resolved {endings.resolved.mean():.1%}, diagnosed {endings.diagnosed.mean():.1%}, "
        f"mean reward {endings.rewards.mean():.3f}"
    )
