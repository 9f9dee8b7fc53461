"""Every policy by its name."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from mirr.agents.adversarial import FarmPolicy, FirstAlertPolicy, SameFixPolicy
from mirr.agents.baro import BaroPolicy
from mirr.agents.baselines import BruteForcePolicy, OraclePolicy, RandomPolicy, WaitPolicy
from mirr.agents.belief.policy import BeliefPolicy
from mirr.agents.detective import DetectivePolicy
from mirr.agents.heuristic import HeuristicPolicy
from mirr.agents.language_model.policy import LanguageModelPolicy
from mirr.agents.llm.policy import LlmPolicy, line_from_environment
from mirr.agents.ppo.policy import PpoPolicy, chosen_checkpoint
from mirr.agents.single_channel import CPU, ERRORS, LATENCY, MEMORY, UP, LogVolumePolicy, SingleChannelPolicy
from mirr.env.quoting import quoted
from mirr.env.rollout import Policy
from mirr.env.scenario import Scenario
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Restart, Rollback, ScaleUp, Tier, UnknownName


class PolicyName(StrEnum):
    """The names of the policies."""

    WAIT = "wait"
    RANDOM = "random"
    BRUTE_FORCE = "brute_force"
    HEURISTIC = "heuristic"
    DETECTIVE = "detective"
    BELIEF = "belief"
    BARO = "baro"
    TRAINED_LM = "trained_lm"
    PPO = "ppo"
    LLM = "llm"
    ORACLE = "oracle"
    FARM = "farm"
    RESTART_ALL = "restart_all"
    SCALE_ALL = "scale_all"
    ROLLBACK_ALL = "rollback_all"
    FIRST_ALERT = "first_alert"
    ONLY_UP = "only_up"
    ONLY_LATENCY = "only_latency"
    ONLY_CPU = "only_cpu"
    ONLY_MEMORY = "only_memory"
    ONLY_ERRORS = "only_errors"
    ONLY_LOG_VOLUME = "only_log_volume"


def alarms_may_be_false(scenario: Scenario) -> bool:
    """Whether nothing may be broken where the scenario comes from: in every pack, and in some tiers."""
    return bool(scenario.name) or (scenario.tier is not None and TIERS[scenario.tier].config.none_diagnosis)


POLICIES: dict[PolicyName, Callable[[Scenario], Policy]] = {
    PolicyName.WAIT: lambda _: WaitPolicy(),
    PolicyName.RANDOM: lambda _: RandomPolicy(),
    PolicyName.BRUTE_FORCE: lambda _: BruteForcePolicy(),
    PolicyName.HEURISTIC: lambda scenario: HeuristicPolicy(alarms_may_be_false=bool(scenario.name)),
    PolicyName.DETECTIVE: lambda scenario: DetectivePolicy(alarms_may_be_false=alarms_may_be_false(scenario)),
    PolicyName.BELIEF: lambda scenario: BeliefPolicy(
        Tier.HARD if scenario.tier is None else scenario.tier, alarms_may_be_false=alarms_may_be_false(scenario)
    ),
    PolicyName.BARO: lambda _: BaroPolicy(),
    PolicyName.TRAINED_LM: lambda _: LanguageModelPolicy(),
    PolicyName.PPO: lambda scenario: PpoPolicy(
        chosen_checkpoint(scenario.tier), alarms_may_be_false=alarms_may_be_false(scenario)
    ),
    PolicyName.LLM: lambda scenario: LlmPolicy.of(scenario, none_diagnosis=alarms_may_be_false(scenario)),
    PolicyName.ORACLE: OraclePolicy,
    PolicyName.FARM: lambda _: FarmPolicy(),
    PolicyName.RESTART_ALL: lambda _: SameFixPolicy(Restart),
    PolicyName.SCALE_ALL: lambda _: SameFixPolicy(ScaleUp),
    PolicyName.ROLLBACK_ALL: lambda _: SameFixPolicy(Rollback),
    PolicyName.FIRST_ALERT: lambda _: FirstAlertPolicy(),
    PolicyName.ONLY_UP: lambda _: SingleChannelPolicy(UP),
    PolicyName.ONLY_LATENCY: lambda _: SingleChannelPolicy(LATENCY),
    PolicyName.ONLY_CPU: lambda _: SingleChannelPolicy(CPU),
    PolicyName.ONLY_MEMORY: lambda _: SingleChannelPolicy(MEMORY),
    PolicyName.ONLY_ERRORS: lambda _: SingleChannelPolicy(ERRORS),
    PolicyName.ONLY_LOG_VOLUME: lambda _: LogVolumePolicy(),
}

NEEDS: dict[PolicyName, Callable[[], object]] = {PolicyName.LLM: line_from_environment}
"""What raises an error if a policy cannot play here, with a sentence that says what to do. Others always can."""

SELF_SUFFICIENT: tuple[PolicyName, ...] = tuple(name for name in PolicyName if name not in NEEDS)
"""The policies that need nothing from outside."""


def refuse_unready(name: PolicyName) -> None:
    """Raises BadSettings unless the policy can play here."""
    if name in NEEDS:
        NEEDS[name]()


def parse_policy(name: str) -> PolicyName:
    """The policy of that name, or UnknownName."""
    try:
        return PolicyName(name)
    except ValueError as error:
        raise UnknownName(f"unknown policy {quoted(name)}; one of: {', '.join(PolicyName)}") from error


def make_policy(name: PolicyName, scenario: Scenario) -> Policy:
    """A new policy of that name. Only the oracle reads the scenario. The detective only learns whether alarms may be
    false, and `belief` also from which tier the scenario comes; a pack counts as `hard`. The heuristic believes alarms
    unless it plays a pack. Else it would say after two calm steps that nothing is broken, and that is too soon where a
    fault may begin later."""
    return POLICIES[name](scenario)
