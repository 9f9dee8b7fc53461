"""An incident as TRL's `environment_factory` takes it: one method an action, which a model calls as a tool.

    GRPOTrainer(..., train_dataset=Dataset.from_list(prompts(range(1_000_000, 1_000_256))),
                environment_factory=IncidentEnvironment, reward_funcs=[reward])

It imports nothing of TRL. The texts are those of the policy `llm`, and so are the actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from mirr.agents.llm.answers import NoAction, action_of_call
from mirr.agents.llm.conversation import Conversation, system_text
from mirr.env.environment import Environment, EpisodeError
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Action, Tier, Wait, parse_tier

STEP_COST: Final = 0.5
"""Reward that each step costs, in training only: doing nothing is no free way out of all penalties."""

ServiceName = Literal["gateway", "auth", "inventory", "orders", "payments"]
ModeName = Literal["crashed", "memory_leak", "overloaded", "bad_deploy"]


class IncidentEnvironment:
    """One episode after the other on the simulator. Each public method but `reset` is a tool."""

    def __init__(self) -> None:
        self._world = SimulatedWorld()
        self._environment = Environment(self._world)
        self._talk = Conversation(self._environment.config)
        self._over = True
        self._paid = 0.0

    def reset(self, seed: int = 0, tier: str = Tier.EASY, **_: Any) -> str:
        """Begin the incident of a seed in a tier. TRL passes the fields of the data set's row.

        Args:
            seed: which incident
            tier: how hard it is

        Returns:
            The first observation.
        """
        named = parse_tier(tier)
        self._environment = Environment(self._world, TIERS[named].config)
        self._talk = Conversation(self._environment.config)
        seen, _info = self._environment.reset(scenario=draw(int(seed), tier=named))
        self._over, self._paid = False, 0.0
        return self._talk.see(seen)

    def wait(self) -> str:
        """Do nothing, and see what the next step brings.

        Returns:
            What is seen then.
        """
        return self._call("wait")

    def check_logs(self, service: ServiceName) -> str:
        """Read a service's recent log lines.

        Args:
            service: which service

        Returns:
            What is seen then.
        """
        return self._call("check_logs", service=service)

    def diagnose(self, service: ServiceName, mode: ModeName) -> str:
        """Say which service is broken, and how. It cannot be taken back.

        Args:
            service: which service
            mode: what is wrong with it: crashed (its process has ended), memory_leak (it keeps more and more memory),
                overloaded (it is offered more than its CPU can do), bad_deploy (its current release is faulty)

        Returns:
            What is seen then.
        """
        return self._call("diagnose", service=service, mode=mode)

    def restart(self, service: ServiceName) -> str:
        """End its process and start it again, on the same release.

        Args:
            service: which service

        Returns:
            What is seen then.
        """
        return self._call("restart", service=service)

    def rollback(self, service: ServiceName) -> str:
        """Go back to the release before this one, where there is one.

        Args:
            service: which service

        Returns:
            What is seen then.
        """
        return self._call("rollback", service=service)

    def scale_up(self, service: ServiceName) -> str:
        """Double its CPU quota; once.

        Args:
            service: which service

        Returns:
            What is seen then.
        """
        return self._call("scale_up", service=service)

    def _call(self, name: str, **arguments: str) -> str:
        """Take the action. TRL shows the model what a ValueError says."""
        if self._over:
            raise ValueError("the episode is over")
        try:
            action = action_of_call(name, arguments)
        except NoAction as error:
            self._take(Wait())  # nonsense costs a step, as for the policy `llm`
            raise ValueError(f"{error}. The step passed with wait.") from error
        return self._take(action)

    def _take(self, action: Action) -> str:
        seen, paid, terminated, truncated, _info = self._environment.step(action)
        self._paid += paid
        self._over = terminated or truncated
        self._talk.act(action)
        return self._talk.see(seen)

    def _finish(self) -> float:
        """The reward of the whole episode in training. A model that stopped early waits for the rest of it."""
        while not self._over:
            self._take(Wait())
        report = self._environment.report
        steps = 0 if report is None else report.steps
        return self._paid - STEP_COST * steps


class AlarmEnvironment(IncidentEnvironment):
    """The same for tiers in which the alarm may be false: one tool more."""

    def reset(self, seed: int = 0, tier: str = Tier.HARD, **_: Any) -> str:
        """Begin the incident of a seed in a tier whose alarms may be false. Raises EpisodeError for another one.

        Args:
            seed: which incident
            tier: how hard it is

        Returns:
            The first observation.
        """
        if not TIERS[parse_tier(tier)].config.none_diagnosis:
            raise EpisodeError(f"in the tier {tier} something is broken; next: environment_factory=IncidentEnvironment")
        return super().reset(seed, tier)

    def diagnose_none(self) -> str:
        """Say that nothing is broken, and the alarm is false. It cannot be taken back.

        Returns:
            What is seen then.
        """
        return self._call("diagnose_none")


def reward(environments: Sequence[IncidentEnvironment], **_: Any) -> list[float]:
    """What each episode earned, as a reward function of TRL."""
    return [each._finish() for each in environments]


def prompts(seeds: Iterable[int], tier: Tier = Tier.EASY) -> list[dict[str, Any]]:
    """The rows of a data set for TRL: the prompt, and what `reset` needs. The first observation follows the prompt."""
    text = system_text(TIERS[tier].config, tools=True)
    prompt = [{"role": "system", "content": text}, {"role": "user", "content": "This is what you see:\n"}]
    return [{"prompt": prompt, "seed": seed, "tier": str(tier)} for seed in seeds]
