"""Every policy by its name."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from agents.baselines import BruteForcePolicy, OraclePolicy, RandomPolicy, WaitPolicy
from agents.heuristic import HeuristicPolicy
from env.rollout import Policy
from env.scenario import Scenario
from env.vocabulary import UnknownName


class PolicyName(StrEnum):
    """Who can be asked to play."""

    WAIT = "wait"
    RANDOM = "random"
    BRUTE_FORCE = "brute_force"
    HEURISTIC = "heuristic"
    ORACLE = "oracle"


POLICIES: dict[PolicyName, Callable[[Scenario], Policy]] = {
    PolicyName.WAIT: lambda _: WaitPolicy(),
    PolicyName.RANDOM: lambda _: RandomPolicy(),
    PolicyName.BRUTE_FORCE: lambda _: BruteForcePolicy(),
    PolicyName.HEURISTIC: lambda scenario: HeuristicPolicy(alarms_may_be_false=bool(scenario.name)),
    PolicyName.ORACLE: OraclePolicy,
}


def parse_policy(name: str) -> PolicyName:
    """The policy of that name, or UnknownName."""
    try:
        return PolicyName(name)
    except ValueError as error:
        raise UnknownName(f"unknown policy {name!r}; one of: {', '.join(PolicyName)}") from error


def make_policy(name: PolicyName, scenario: Scenario) -> Policy:
    """A new policy of that name. What the scenario holds is for the oracle's ears alone; whether it comes from a pack,
    where alarms may be false, is no secret."""
    return POLICIES[name](scenario)
