"""PPO in one file, in the style of CleanRL: play some steps everywhere, see which actions did better than expected,
make those likelier in a few passes, and again.

Two things are special here. Actions that cannot be of use any more are masked. And the critic, which exists only in
training, also sees what is true in the episode; the actor sees only what an agent sees. So luck in what was broken is
not mistaken for merit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirr.agents.ppo.network import Size
from mirr.agents.ppo.notes import Flags, Notes, Whole
from mirr.agents.training.arena import TRUTHS, Arena, Choose, Decisions, Ended
from mirr.agents.training.ppo_network import Actor, Critic

IMPOSSIBLE = -1e8  # the logit of what is not allowed. It is finite, so that no sum becomes NaN


@dataclass(frozen=True, kw_only=True)
class PpoPlan:
    """How PPO learns. The defaults are for two cores and some minutes."""

    rows: int = 1024  # episodes side by side
    steps: int = 16  # of each, between two updates
    passes: int = 3  # over these decisions
    at_once: int = 1024  # decisions in a step of the optimiser
    learning_rate: float = 1e-3  # at first; it falls evenly to a twentieth
    discount: float = 0.995  # of a reward that comes a step later
    trace: float = 0.95  # lambda of the generalised advantage estimate
    clip: float = 0.2  # how far a pass may change the probability of an action
    entropy_worth: float = 0.01  # at first; it falls evenly to a twentieth
    most_distance: float = 0.03  # KL divergence at which the passes stop early
    most_gradient: float = 0.5  # the norm of each network's gradient is cut there
    reward_unit: float = 10.0  # rewards are divided by it, so that values are around 1


LEFT_AT_LAST = 0.05
"""The share of the learning rate and of the entropy's worth that is left when the training ends."""


@dataclass(frozen=True, kw_only=True)
class ImitationPlan:
    """How a policy is imitated first, if one is."""

    episodes: int = 2048
    passes: int = 12
    at_once: int = 512
    learning_rate: float = 2e-3  # at first; it falls evenly
    critic_iterations: int = 10  # of PPO, in which only the critic learns


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """One rollout and what was learned from it."""

    episodes: int  # that ended
    reward: float  # mean of these episodes, with actions drawn by their probability; NaN if none ended
    resolved: float  # shares of them
    diagnosed: float
    clean: float
    policy_loss: float
    value_loss: float  # in reward units
    entropy: float  # nats
    distance: float  # from the policy before: KL divergence
    clipped: float  # share of decisions whose change was clipped
    explained: float  # share of the variance of returns that the critic explains

    def to_json(self) -> dict[str, float]:
        """As the curve has it."""
        return {name: round(float(value), 5) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Seen:
    """What actor and critic read, for m decisions."""

    own: Tensor  # (m, services, OWN)
    shared: Tensor  # (m, SHARED)
    allowed: Tensor  # (m, actions)
    truth: Tensor  # (m, TRUTHS), for the critic alone

    def __getitem__(self, places: Tensor | slice) -> Seen:
        return Seen(self.own[places], self.shared[places], self.allowed[places], self.truth[places])


@dataclass(frozen=True)
class Rollout:
    """Decisions, and how they turned out."""

    seen: Seen
    actions: Tensor  # (m,)
    log_shares: Tensor  # (m,) logarithm of the probability with which each was drawn
    advantages: Tensor  # (m,)
    returns: Tensor  # (m,)


class Ppo:
    """The algorithm. `iterate` is one round of it."""

    def __init__(self, plan: PpoPlan, arena: Arena, size: Size, device: torch.device, seed: int) -> None:
        assert arena.size == plan.rows
        self.plan, self.arena, self.device = plan, arena, device
        self.actor = Actor(size, seed).to(device)
        self.critic = Critic(TRUTHS, seed=seed).to(device)
        learned = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimiser = torch.optim.Adam(learned, lr=plan.learning_rate, eps=1e-5)
        self.dice = torch.Generator(device=device).manual_seed(seed)

    def imitate(self, shown: Decisions, plan: ImitationPlan) -> Iterator[float]:
        """Teach the actor to decide as it was shown. Yields the mean loss of each pass: cross-entropy in nats."""
        own, shared, allowed, actions = (
            torch.from_numpy(each).to(self.device) for each in (shown.own, shown.shared, shown.allowed, shown.actions)
        )
        optimiser = torch.optim.Adam(self.actor.parameters(), lr=plan.learning_rate)
        for number in range(plan.passes):
            total = 0.0
            for places in self._shuffled(len(shown), plan.at_once):
                for group in optimiser.param_groups:
                    group["lr"] = plan.learning_rate * (1.0 - number / plan.passes)
                logits = self.actor(own[places], shared[places]).masked_fill(~allowed[places], IMPOSSIBLE)
                loss = torch.nn.functional.cross_entropy(logits, actions[places])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no annotation for it
                optimiser.step()
                total += float(loss.detach()) * len(places)
            yield total / len(shown)

    def iterate(self, progress: float, *, critic_alone: bool = False) -> Iteration:
        """Play a rollout and learn from it. `progress` is the share of the training that is over, 0..1. With
        `critic_alone`, the actor stays as it is: after imitation, the critic knows nothing yet."""
        left = 1.0 - (1.0 - LEFT_AT_LAST) * min(max(progress, 0.0), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate * left
        rollout, ended, explained = self._collect()
        for each in self.actor.parameters():
            each.requires_grad_(not critic_alone)
        policy_loss, value_loss, entropy, distance, clipped = self._learn(rollout, self.plan.entropy_worth * left)
        count = sum(len(each.rewards) for each in ended)

        def mean(name: str) -> float:
            return float(np.concatenate([vars(each)[name] for each in ended]).mean()) if count else float("nan")

        return Iteration(
            episodes=count,
            reward=mean("rewards"),
            resolved=mean("resolved"),
            diagnosed=mean("diagnosed"),
            clean=mean("clean"),
            policy_loss=policy_loss,
            value_loss=value_loss,
            entropy=entropy,
            distance=distance,
            clipped=clipped,
            explained=explained,
        )

    @torch.no_grad()
    def _collect(self) -> tuple[Rollout, list[Ended], float]:
        """Play `steps` steps in all episodes."""
        plan, arena = self.plan, self.arena
        seen, actions, shares, ended = [self._seen()], [], [], []
        rewards, over = np.zeros((plan.steps, plan.rows)), np.zeros((plan.steps, plan.rows), dtype=np.bool_)
        for step in range(plan.steps):
            all_shares = self._log_shares(seen[-1])
            chosen = self._drawn(all_shares)
            actions.append(chosen)
            shares.append(all_shares.gather(1, chosen[:, None])[:, 0])
            rewards[step], over[step] = arena.step(chosen.cpu().numpy())
            if over[step].any():
                ended.append(arena.endings(over[step]))
            seen.append(self._seen())
        together = _joined(seen)
        values = self._values(together).reshape(plan.steps + 1, plan.rows).cpu().numpy()
        advantages = self._advantages(rewards / plan.reward_unit, over, values)
        returns = advantages + values[:-1]
        rollout = Rollout(
            seen=together[: plan.steps * plan.rows],
            actions=torch.cat(actions),
            log_shares=torch.cat(shares),
            advantages=self._tensor(advantages),
            returns=self._tensor(returns),
        )
        return rollout, ended, 1.0 - float((returns - values[:-1]).var() / max(float(returns.var()), 1e-9))

    def _advantages(self, rewards: NDArray[Any], over: Flags, values: NDArray[Any]) -> NDArray[Any]:  # (steps, rows)
        """How much better each action did than the critic expected: the generalised advantage estimate. An episode that
        runs out of steps is over like any other: the step is a part of what is seen."""
        plan, found, later = self.plan, np.zeros_like(rewards), np.zeros(self.plan.rows)
        for step in reversed(range(plan.steps)):
            goes_on = 1.0 - over[step]
            surprise = rewards[step] + plan.discount * goes_on * values[step + 1] - values[step]
            found[step] = later = surprise + plan.discount * plan.trace * goes_on * later
        return found

    def _learn(self, rollout: Rollout, entropy_worth: float) -> tuple[float, ...]:
        """Some passes over a rollout: the means of both losses, entropy, distance and share of clipped decisions."""
        told: list[list[float]] = []
        count = len(rollout.actions)
        for _ in range(self.plan.passes):
            for places in self._shuffled(count, self.plan.at_once):
                told.append(self._improve(rollout, places, entropy_worth))
            if told[-1][3] > self.plan.most_distance:
                break
        return tuple(np.mean(told, axis=0).tolist())

    def _improve(self, rollout: Rollout, places: Tensor, entropy_worth: float) -> list[float]:
        """One step of the optimiser."""
        plan, seen = self.plan, rollout.seen[places]
        shares = self._log_shares(seen)
        entropy = -(shares.exp() * shares).sum(dim=1).mean()
        difference = shares.gather(1, rollout.actions[places, None])[:, 0] - rollout.log_shares[places]
        ratio = difference.exp()
        advantages = rollout.advantages[places]
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = ratio.clamp(1.0 - plan.clip, 1.0 + plan.clip)
        policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
        value_loss = 0.5 * (self._values(seen) - rollout.returns[places]).square().mean()
        loss = policy_loss + value_loss - entropy_worth * entropy
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no annotation for it
        for network in (self.actor, self.critic):
            torch.nn.utils.clip_grad_norm_(network.parameters(), plan.most_gradient)
        self.optimiser.step()
        with torch.no_grad():
            distance = (ratio - 1.0 - difference).mean()  # an estimate of the KL divergence that is never negative
            outside = ((ratio - 1.0).abs() > plan.clip).float().mean()
            told: list[float] = torch.stack([policy_loss, value_loss, entropy, distance, outside]).tolist()
        return told

    def _shuffled(self, count: int, at_once: int) -> Sequence[Tensor]:
        """The numbers below `count` in a random order, in parts."""
        return torch.split(torch.randperm(count, generator=self.dice, device=self.device), at_once)

    def _seen(self) -> Seen:
        """What is seen now in every episode."""
        notes = self.arena.notes
        parts = (notes.own(), notes.shared(), notes.allowed.copy(), self.arena.truth())
        own, shared, allowed, truth = (torch.from_numpy(each).to(self.device) for each in parts)
        return Seen(own, shared, allowed, truth)

    def _tensor(self, array: NDArray[Any]) -> Tensor:  # (m,)
        return torch.from_numpy(array.reshape(-1).astype(np.float32)).to(self.device)

    def _log_shares(self, seen: Seen) -> Tensor:  # (m, actions)
        """The logarithm of each action's probability."""
        logits = self.actor(seen.own, seen.shared)
        return torch.log_softmax(logits.masked_fill(~seen.allowed, IMPOSSIBLE), dim=1)

    def _values(self, seen: Seen) -> Tensor:  # (m,)
        values: Tensor = self.critic(seen.own, seen.shared, seen.truth)
        return values

    def _drawn(self, log_shares: Tensor) -> Tensor:  # (m,)
        """An action by its probability. The largest sum with Gumbel noise has it, and that is quicker to find."""
        noise = torch.rand(log_shares.shape, generator=self.dice, device=self.device)
        return (log_shares - (-(noise.clamp_min(1e-20)).log()).clamp_min(1e-20).log()).argmax(dim=1)


def favoured(actor: Actor) -> Choose:
    """Chooses the action with the highest probability, as the policy does."""
    device = next(actor.parameters()).device

    @torch.no_grad()
    def choose(notes: Notes, running: Flags) -> Whole:
        own, shared, allowed = (torch.from_numpy(x).to(device) for x in (notes.own(), notes.shared(), notes.allowed))
        found: Whole = actor(own, shared).masked_fill(~allowed, IMPOSSIBLE).argmax(dim=1).cpu().numpy()
        return found

    return choose


def _joined(each: list[Seen]) -> Seen:
    return Seen(
        torch.cat([one.own for one in each]),
        torch.cat([one.shared for one in each]),
        torch.cat([one.allowed for one in each]),
        torch.cat([one.truth for one in each]),
    )
