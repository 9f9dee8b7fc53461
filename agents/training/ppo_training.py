"""A whole training with PPO. It learns until the time is up, and goes on from its checkpoint after a kill. Validation
seeds choose the best network, and held-out seeds judge it. The files say how it was made."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from mirr.agents.ppo.network import Size
from mirr.agents.ppo.policy import load_checkpoint
from mirr.agents.registry import PolicyName
from mirr.agents.training.arena import Arena, Judged, judged, judged_policy
from mirr.agents.training.curves import ITERATION
from mirr.agents.training.episodes import FIRST_TRAINING_SEED
from mirr.agents.training.learner import device_name
from mirr.agents.training.ppo import ImitationPlan, Iteration, Ppo, PpoPlan, favoured
from mirr.agents.training.ppo_network import Actor
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import ParameterSets, Randomisation, default_parameters
from mirr.env.vocabulary import Tier
from mirr.env.world import WorldError

FIRST_VALIDATION_SEED: Final = FIRST_TRAINING_SEED + 500_000
FIRST_PPO_SEED: Final = 3 * FIRST_TRAINING_SEED
SEEDS_OF_A_START: Final = 10_000  # each time that episodes begin, the first of them take as many seeds
MOST_STARTS: Final = 1_000
MOST_SEEDS: Final = 1_000  # of trainings

STATE: Final = "ppo.state"
"""The file from which a training goes on. It goes when the training is over."""
WEIGHTS: Final = "ppo.safetensors"
PROVENANCE: Final = "ppo.json"
CURVE: Final = "ppo-curve.csv"


class CannotGoOn(ValueError):
    """The folder has a training that does not fit what was asked for. The message says what does."""


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """With which parameters the simulator plays in training. It is a part of the provenance."""

    parameters: tuple[Parameters, ...] = ()  # of each machine; none: those of the project's file
    randomisation: Randomisation | None = None  # around each machine

    def sets(self) -> ParameterSets:
        """The sets of parameters: of every machine as many. Raises ParameterError."""
        if self.randomisation is None:
            return ParameterSets(self._machines())
        drawn = [self.randomisation.draw(each) for each in self._machines()]
        return ParameterSets([one for sets in drawn for one in sets.sets])

    def to_json(self) -> dict[str, object]:
        """All that has to be known to make the same simulator."""
        return {
            "parameters": [asdict(each) for each in self._machines()],
            "randomisation": None if self.randomisation is None else self.randomisation.to_json(),
        }

    def _machines(self) -> tuple[Parameters, ...]:
        return self.parameters or (default_parameters(),)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What to train and for how long. It is a part of the provenance."""

    tier: Tier = Tier.HARD
    minutes: float | None = 15.0  # of training, without the judgement; None: until `steps`
    steps: int | None = None  # in all episodes together; None: until `minutes`
    seed: int = 0  # of the first weights and of all that is drawn
    size: Size = field(default_factory=Size)
    ppo: PpoPlan = field(default_factory=PpoPlan)
    teacher: PolicyName | None = None  # imitated first; None: from nothing
    imitation: ImitationPlan = field(default_factory=ImitationPlan)
    simulator: Simulator = field(default_factory=Simulator)
    validate_s: float = 20.0  # between two validations; then the state is kept, too
    validated: int = 1024  # episodes of a validation
    judged: int = 4096  # held-out episodes
    first_judged_seed: int = 10_000

    def to_json(self) -> dict[str, object]:
        """As the provenance has it."""
        return asdict(replace(self, simulator=Simulator())) | {"simulator": self.simulator.to_json()}

    def same_but_for_length(self) -> dict[str, object]:
        """What must not change when a training goes on."""
        left_out = ("minutes", "steps", "validate_s", "judged", "first_judged_seed")
        told = json.dumps({name: each for name, each in self.to_json().items() if name not in left_out})
        found: dict[str, object] = json.loads(told)
        return found


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a training is given from outside."""

    now: Callable[[], float]  # seconds; only differences count
    say: Callable[[str], None]  # progress, for people
    commit: str  # of the code that trains
    threads: int  # of the simulator; PyTorch has its own setting
    device: torch.device


class Trainer:
    """One training, from the beginning or from where it was when it was killed."""

    def __init__(self, training: Training, out: Path, tools: Tools, *, resume: bool = False) -> None:
        self.training, self.out, self._tools = training, out, tools
        state = _load_state(out, training) if resume else None
        if state is None and (out / STATE).exists():
            raise CannotGoOn(f"{out} has a training that is not over; next: --resume, or another --out")
        out.mkdir(parents=True, exist_ok=True)
        plan = training.ppo
        self._sets = training.simulator.sets()
        self._arena = Arena(plan.rows, training.tier, threads=tools.threads, parameters=self._sets)
        self.ppo = Ppo(plan, self._arena, training.size, tools.device, training.seed)
        self._steps, self._seconds, self._starts = 0, 0.0, 0
        self._curve: list[dict[str, float]] = []
        self._best: float | None = None
        if state is not None:
            self._go_on_from(state)
        self._begin()

    @property
    def curve(self) -> Sequence[dict[str, float]]:
        """What was measured so far, a point for each iteration."""
        return self._curve

    def run(self) -> dict[str, object]:
        """Train, then judge. Returns the provenance, and leaves the files in the folder."""
        training, tools = self.training, self._tools
        began_s, said_s = tools.now() - self._seconds, -training.validate_s
        tools.say(f"PPO on {training.tier}, {device_name(tools.device)}, start {self._starts}")
        if training.teacher is not None and not self._curve:
            self._imitate(training.teacher)
        while not self._curve or self._progress() < 1.0:
            untaught = training.teacher is None
            critic_alone = not untaught and len(self._curve) < training.imitation.critic_iterations
            found = self._iterate(critic_alone=critic_alone)
            self._steps += training.ppo.rows * training.ppo.steps
            self._seconds = tools.now() - began_s
            self._curve.append(
                {ITERATION: len(self._curve) + 1, "seconds": round(self._seconds, 2), "steps": self._steps}
                | found.to_json()
            )
            if self._progress() >= 1.0 or self._seconds - said_s >= training.validate_s:
                said_s = self._seconds
                self._validate()
                self._seconds = tools.now() - began_s
        return self._finish()

    def _begin(self) -> None:
        """Begin all episodes, with seeds that no start of this training has had. Raises WorldError."""
        start = self.training.seed * MOST_STARTS + self._starts
        first = FIRST_PPO_SEED + start * SEEDS_OF_A_START
        self._arena.begin(range(first, first + self.training.ppo.rows))
        self._starts += 1

    def _iterate(self, *, critic_alone: bool) -> Iteration:
        """One round of PPO. Where parameters vary, a fault may fail to land in one of a million episodes. Then all
        episodes begin anew, and the round is played again. Raises WorldError if that happens twice in a row."""
        try:
            return self.ppo.iterate(self._progress(), critic_alone=critic_alone)
        except WorldError as error:
            self._tools.say(f"{error}; all episodes begin anew, with other seeds")
            self._begin()
            return self.ppo.iterate(self._progress(), critic_alone=critic_alone)

    def _imitate(self, teacher: PolicyName) -> None:
        training, tools = self.training, self._tools
        first = FIRST_PPO_SEED + MOST_STARTS * SEEDS_OF_A_START * (MOST_SEEDS + training.seed)
        seeds = range(first, first + training.imitation.episodes)
        found, shown = judged_policy(teacher, seeds, training.tier, threads=tools.threads, parameters=self._sets)
        tools.say(f"{len(seeds)} episodes of {teacher}: {found}; {len(shown)} decisions to imitate")
        for number, loss in enumerate(self.ppo.imitate(shown, training.imitation), 1):
            tools.say(f"imitation {number}: loss {loss:.4f}")

    def _progress(self) -> float:
        """The share of the training that is over."""
        training, shares = self.training, [0.0]
        if training.minutes is not None:
            shares.append(self._seconds / max(60.0 * training.minutes, 1e-9))
        if training.steps is not None:
            shares.append(self._steps / training.steps)
        return max(shares)

    def _validate(self) -> None:
        """Play the favoured actions on validation seeds, and keep the weights if they are the best so far."""
        seeds = range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + self.training.validated)
        found = judged(seeds, self.training.tier, favoured(self.ppo.actor), threads=self._tools.threads)
        reward = float(found.endings.rewards.mean())
        now = self._curve[-1]
        now["validation"] = round(reward, 4)
        self._tools.say(
            f"{self._seconds:.0f} s, {self._steps / 1e6:.2f} M steps: reward {now['reward']:.2f}, entropy "
            f"{now['entropy']:.3f}, distance {now['distance']:.4f}; favoured actions: {found}"
        )
        if self._best is None or reward > self._best:
            self._best = reward
            self.ppo.actor.save(self.out / WEIGHTS)
        self._keep_state()
        _write(self.out / CURVE, _as_csv(self._curve).encode())

    def _finish(self) -> dict[str, object]:
        training, tools = self.training, self._tools
        found = judge_file(self.out / WEIGHTS, training, tools)  # it is judged as it was written
        provenance = self._provenance(found)
        _write(self.out / PROVENANCE, (json.dumps(provenance, indent=1) + "\n").encode())
        (self.out / STATE).unlink()
        return provenance

    def _provenance(self, found: Judged) -> dict[str, object]:
        training, tools = self.training, self._tools
        first = FIRST_PPO_SEED + training.seed * MOST_STARTS * SEEDS_OF_A_START
        return {
            "checkpoint": WEIGHTS,
            "commit": tools.commit,
            "device": device_name(tools.device),
            "threads": {"simulator": tools.threads, "torch": torch.get_num_threads()},
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "weights": sum(each.numel() for each in self.ppo.actor.parameters()),
            "seeds": {
                "training_from": first,
                "validation": [FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + training.validated - 1],
                "held_out": [training.first_judged_seed, training.first_judged_seed + training.judged - 1],
            },
            "training": training.to_json(),
            "starts": self._starts,
            "seconds": round(self._seconds, 1),
            "steps": self._steps,
            "best_validation_reward": self._best,
            "held_out": found.to_json(),
            "curve": [each for each in self._curve if "validation" in each],
        }

    # What is kept, so that a training goes on after a kill

    def _keep_state(self) -> None:
        ppo = self.ppo
        buffer = io.BytesIO()
        torch.save(
            {
                "training": json.dumps(self.training.same_but_for_length()),
                "actor": ppo.actor.state_dict(),
                "critic": ppo.critic.state_dict(),
                "optimiser": ppo.optimiser.state_dict(),
                "dice": ppo.dice.get_state(),
                "steps": self._steps,
                "seconds": self._seconds,
                "starts": self._starts,
                "curve": json.dumps(self._curve),
                "best": self._best,
            },
            buffer,
        )
        _write(self.out / STATE, buffer.getvalue())

    def _go_on_from(self, state: dict[str, Any]) -> None:
        """Weights, optimiser and generator are as they were. The episodes that ran are lost: new ones begin."""
        self.ppo.actor.load_state_dict(state["actor"])
        self.ppo.critic.load_state_dict(state["critic"])
        self.ppo.optimiser.load_state_dict(state["optimiser"])
        self.ppo.dice.set_state(state["dice"].cpu())
        self._steps, self._seconds, self._starts = state["steps"], state["seconds"], state["starts"]
        self._curve, self._best = json.loads(state["curve"]), state["best"]


def judge_file(path: Path, training: Training, tools: Tools) -> Judged:
    """How a checkpoint does on held-out seeds. Raises BadCheckpoint."""
    actor = Actor(load_checkpoint(path).size).to(tools.device)
    actor.load(path)
    seeds = range(training.first_judged_seed, training.first_judged_seed + training.judged)
    found = judged(seeds, training.tier, favoured(actor), threads=tools.threads)
    tools.say(f"{training.judged} held-out episodes of {training.tier}: {found}")
    return found


def _load_state(out: Path, training: Training) -> dict[str, Any]:
    """The state of the training in a folder. Raises CannotGoOn."""
    path = out / STATE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CannotGoOn(
            f"{path} does not exist, so there is nothing to go on with; next: leave --resume out"
        ) from error
    before, now = json.loads(state["training"]), training.same_but_for_length()
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        raise CannotGoOn(
            f"{path} is of a training with another {', '.join(changed)}; next: the same options, or another --out"
        )
    return state


def _write(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def _as_csv(curve: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*curve[0], *(["validation"] if "validation" not in curve[0] else [])])
    writer.writeheader()
    writer.writerows(curve)
    return text.getvalue()
